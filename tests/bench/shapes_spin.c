// SPDX-License-Identifier: Apache-2.0
/*
 * Lists of kernels that take a given time and do nothing else. Each writes a piece of its own and
 * declares that it reads pieces that earlier ones wrote, so that the exact dependencies are known:
 *
 *   scopes/wW/.../all   a barrier after every W commands; each reads all that the scope before
 * wrote: between neighbouring scopes everything depends on everything scopes/wW/.../own   the same
 * barriers, but command i of a scope reads what command i of the scope before wrote: W chains that
 * need no joins at all towers              24 chains of 40, recorded level by level, or one after
 * the other with a barrier after every command lattice             32 by 32 cells, each of which
 * reads its left and upper neighbours, recorded diagonal by diagonal dag                 each reads
 * up to three of the last 64, scopes of 1 to 24
 */
#include "fixture.h"
#include "shapes.h"

#include "test.h"

#include <stdio.h>
#include <stdlib.h>

#define KERNEL_NAME "segue_bench_spin"
#define PIECE_BYTES 256
#define BLOCK_SIZE 32
/** What a node takes in a line besides its kernel's own time: a kernel "of 3 us" is one of which
 *  1,024 take about 1,024 times 3 us in a line, launches included. */
#define NODE_NS 440
#define TOWER_COUNT 24
#define TOWER_HEIGHT 40
#define LATTICE_SIDE 32
#define DAG_REACH 64
#define DAG_MAX_SCOPE 24

enum kind { SCOPES_ALL, SCOPES_OWN, TOWERS_BY_LEVEL, TOWERS_BY_TOWER, LATTICE, DAG };

static const char kernel_ptx[] = ".version 7.0\n"
                                 ".target sm_70\n"
                                 ".address_size 64\n"
                                 ".visible .entry " KERNEL_NAME "(\n"
                                 "    .param .u64 a, .param .u64 b,\n"
                                 "    .param .u64 c, .param .u64 d,\n"
                                 "    .param .align 4 .b8 e[20])\n"
                                 "{\n"
                                 "    .reg .pred %p<3>;\n"
                                 "    .reg .b32 %r<2>;\n"
                                 "    .reg .b64 %rd<5>;\n"
                                 "    ld.param.u32 %r1, [e+16];\n"
                                 "    setp.eq.u32 %p1, %r1, 0;\n"
                                 "    @%p1 bra DONE;\n"
                                 "    cvt.u64.u32 %rd1, %r1;\n"
                                 "    mov.u64 %rd2, %clock64;\n"
                                 "LOOP:\n"
                                 "    mov.u64 %rd3, %clock64;\n"
                                 "    sub.u64 %rd4, %rd3, %rd2;\n"
                                 "    setp.lt.u64 %p2, %rd4, %rd1;\n"
                                 "    @%p2 bra LOOP;\n"
                                 "DONE:\n"
                                 "    ret;\n"
                                 "}\n";

/** The constants: bytes of the three inputs and of the output, and clock cycles to spin for. */
struct constants {
    uint32_t size_bytes[SEGUE_SHAPES_MAX_INPUTS + 1];
    uint32_t cycles;
};

/** Pieces [first, first + count) of earlier commands. */
struct input {
    uint32_t first;
    uint32_t count;
};

struct command {
    struct input inputs[SEGUE_SHAPES_MAX_INPUTS];
    uint32_t input_count;
    bool barrier_before;
};

struct list {
    struct command commands[SEGUE_SHAPES_COMMAND_COUNT];
    uint32_t count;
};

/* ---- The lists ------------------------------------------------------------------------------- */

static struct command *append(struct list *list, bool barrier_before)
{
    struct command *command = &list->commands[list->count++];
    *command = (struct command){.barrier_before = barrier_before};
    return command;
}

static void add_input(struct command *command, uint32_t first, uint32_t count)
{
    command->inputs[command->input_count++] = (struct input){first, count};
}

static void list_scopes(struct list *list, uint32_t width, uint32_t count, bool own)
{
    for (uint32_t i = 0; i < count; i++) {
        struct command *command = append(list, i > 0 && i % width == 0);
        const uint32_t scope = i / width;
        if (scope > 0 && own)
            add_input(command, i - width, 1);
        else if (scope > 0)
            add_input(command, (scope - 1) * width, width);
    }
}

static void list_towers(struct list *list)
{
    for (uint32_t tower = 0; tower < TOWER_COUNT; tower++) {
        for (uint32_t level = 0; level < TOWER_HEIGHT; level++) {
            struct command *command = append(list, list->count > 0);
            if (level > 0)
                add_input(command, list->count - 2, 1);
        }
    }
}

static void list_lattice(struct list *list)
{
    uint32_t place[LATTICE_SIDE][LATTICE_SIDE];
    for (uint32_t diagonal = 0; diagonal < 2 * LATTICE_SIDE - 1; diagonal++) {
        bool first = true;
        for (uint32_t x = 0; x < LATTICE_SIDE; x++) {
            if (x > diagonal || diagonal - x >= LATTICE_SIDE)
                continue;
            const uint32_t y = diagonal - x;
            place[y][x] = list->count;
            struct command *command = append(list, first && diagonal > 0);
            if (x > 0)
                add_input(command, place[y][x - 1], 1);
            if (y > 0)
                add_input(command, place[y - 1][x], 1);
            first = false;
        }
    }
}

static void list_dag(struct list *list, uint64_t seed)
{
    uint64_t random = seed;
    uint32_t scope_begin = 0;
    while (list->count < SEGUE_SHAPES_COMMAND_COUNT) {
        const uint32_t width = 1 + segue_test_random_below(&random, DAG_MAX_SCOPE);
        const uint32_t begin = scope_begin;
        scope_begin = list->count;
        for (uint32_t i = 0; i < width && list->count < SEGUE_SHAPES_COMMAND_COUNT; i++) {
            struct command *command = append(list, i == 0 && scope_begin > 0);
            // At least one from the scope right before.
            if (scope_begin > 0)
                add_input(command, begin + segue_test_random_below(&random, scope_begin - begin),
                          1);
            const uint32_t reach = scope_begin < DAG_REACH ? scope_begin : DAG_REACH;
            const uint32_t more = reach > 0 ? segue_test_random_below(&random, 3) : 0;
            for (uint32_t k = 0; k < more; k++)
                add_input(command, scope_begin - 1 - segue_test_random_below(&random, reach), 1);
        }
    }
}

static void make_list(const struct segue_shapes_case *self, struct list *list)
{
    list->count = 0;
    switch ((enum kind)self->kind) {
    case SCOPES_ALL:
    case SCOPES_OWN:
        list_scopes(list, self->width, SEGUE_SHAPES_COMMAND_COUNT, self->kind == SCOPES_OWN);
        break;
    case TOWERS_BY_LEVEL:
        list_scopes(list, TOWER_COUNT, TOWER_COUNT * TOWER_HEIGHT, true);
        break;
    case TOWERS_BY_TOWER:
        list_towers(list);
        break;
    case LATTICE:
        list_lattice(list);
        break;
    case DAG:
        list_dag(list, self->seed);
        break;
    }
}

/* ---- Recording ------------------------------------------------------------------------------- */

static segue_status record_command(const struct segue_shapes *shapes,
                                   const struct segue_shapes_case *self, bool hints, uint32_t index,
                                   const struct command *command,
                                   segue_command_buffer *command_buffer)
{
    struct segue_buffer_ref bindings[SEGUE_SHAPES_MAX_INPUTS + 1];
    struct constants constants = {.size_bytes = {0}};
    for (uint32_t i = 0; i < SEGUE_SHAPES_MAX_INPUTS; i++) {
        const bool used = i < command->input_count;
        const struct input input = used ? command->inputs[i] : (struct input){0, 1};
        bindings[i] = (struct segue_buffer_ref){
            .buffer = used ? shapes->pieces : shapes->source,
            .offset_bytes = (uint64_t)input.first * PIECE_BYTES,
            .length_bytes = (uint64_t)input.count * PIECE_BYTES,
        };
        constants.size_bytes[i] = input.count * PIECE_BYTES;
    }
    bindings[SEGUE_SHAPES_MAX_INPUTS] = (struct segue_buffer_ref){
        .buffer = shapes->pieces,
        .offset_bytes = (uint64_t)index * PIECE_BYTES,
        .length_bytes = PIECE_BYTES,
    };
    constants.size_bytes[SEGUE_SHAPES_MAX_INPUTS] = PIECE_BYTES;
    const uint32_t spin_ns = self->duration_us > 0 ? self->duration_us * 1000 - NODE_NS : 0;
    constants.cycles = (uint32_t)(shapes->cycles_per_us * spin_ns / 1000);
    const struct segue_dispatch dispatch = {
        .executable = shapes->spin,
        .grid = {self->block_count, 1, 1},
        .bindings = bindings,
        .binding_count = SEGUE_SHAPES_MAX_INPUTS + 1,
        .constants = &constants,
        .constants_size_bytes = sizeof(constants),
        .duration_ns = hints ? spin_ns + 1 : 0,
    };
    return segue_cmd_dispatch(command_buffer, &dispatch);
}

static segue_status record_list(const struct segue_shapes *shapes,
                                const struct segue_shapes_case *self, bool hints,
                                const struct list *list, segue_command_buffer *command_buffer)
{
    segue_status status = segue_command_buffer_begin(command_buffer);
    for (uint32_t i = 0; i < list->count && status == SEGUE_OK; i++) {
        if (list->commands[i].barrier_before)
            status = segue_cmd_barrier(command_buffer, NULL);
        if (status == SEGUE_OK)
            status = record_command(shapes, self, hints, i, &list->commands[i], command_buffer);
    }
    return status == SEGUE_OK ? segue_command_buffer_end(command_buffer) : status;
}

static bool submit(struct segue_shapes *shapes, void *state)
{
    return segue_bench_check(shapes->bench, segue_bench_submit(&shapes->bench->fixture, state));
}

static bool wait_idle(struct segue_shapes *shapes, void *state)
{
    (void)state;
    return segue_bench_check(shapes->bench, segue_queue_wait_idle(shapes->bench->fixture.queue));
}

static void close_list(struct segue_shapes *shapes, void *state)
{
    (void)shapes;
    segue_command_buffer_destroy(state);
}

static bool make(struct segue_shapes *shapes, const struct segue_shapes_case *self, bool hints,
                 void **state, segue_command_buffer **out_command_buffer)
{
    struct segue_bench *bench = shapes->bench;
    const struct segue_command_buffer_params params = {.mode = SEGUE_EXECUTION_GRAPH};
    struct list *list = malloc(sizeof(*list));
    if (!list)
        return segue_bench_fail(bench, "out of memory");
    make_list(self, list);
    segue_command_buffer *command_buffer = NULL;
    bool good = segue_bench_check(
        bench, segue_command_buffer_create(bench->fixture.device, &params, &command_buffer));
    *state = command_buffer;
    good = good &&
           segue_bench_check(bench, record_list(shapes, self, hints, list, command_buffer)) &&
           submit(shapes, command_buffer) && wait_idle(shapes, command_buffer);
    free(list);
    *out_command_buffer = command_buffer;
    return good;
}

/* ---- The kernel ------------------------------------------------------------------------------ */

/** What the commands declare: the software driver then checks every shape for missing edges. */
static void state_ranges(const struct segue_reference_launch *launch,
                         struct segue_reference_ranges *ranges)
{
    struct constants constants;
    memcpy(&constants, launch->parameters[SEGUE_SHAPES_MAX_INPUTS + 1], sizeof(constants));
    for (uint32_t i = 0; i <= SEGUE_SHAPES_MAX_INPUTS; i++) {
        uint64_t address;
        memcpy(&address, launch->parameters[i], sizeof(address));
        const bool output = i == SEGUE_SHAPES_MAX_INPUTS;
        ranges->add_range(ranges, address, constants.size_bytes[i], !output, output);
    }
}

static segue_status create_executable(segue_device *device, segue_executable **out_executable)
{
    static const uint32_t sizes[] = {8, 8, 8, 8, sizeof(struct constants)};
    static const struct segue_reference_kernel reference = {
        .name = KERNEL_NAME,
        .parameter_sizes = sizes,
        .parameter_count = SEGUE_SHAPES_MAX_INPUTS + 2,
        .run = segue_bench_run_nothing,
        .ranges = state_ranges,
    };
    static const struct segue_parameter parameters[] = {
        {.kind = SEGUE_PARAMETER_BINDING, .access = SEGUE_ACCESS_READ},
        {.kind = SEGUE_PARAMETER_BINDING, .access = SEGUE_ACCESS_READ},
        {.kind = SEGUE_PARAMETER_BINDING, .access = SEGUE_ACCESS_READ},
        {.kind = SEGUE_PARAMETER_BINDING, .access = SEGUE_ACCESS_WRITE},
        {.kind = SEGUE_PARAMETER_CONSTANT, .size_bytes = sizeof(struct constants)},
    };
    static const struct segue_entry_point entry = {
        .name = KERNEL_NAME,
        .parameters = parameters,
        .parameter_count = SEGUE_SHAPES_MAX_INPUTS + 2,
        .block_size = {BLOCK_SIZE, 1, 1},
    };
    const struct segue_executable_params params = {
        .format = SEGUE_EXECUTABLE_PTX,
        .data = kernel_ptx,
        .size_bytes = sizeof(kernel_ptx),
        .entry_points = &entry,
        .entry_point_count = 1,
    };
    const segue_status status = segue_device_register_reference_kernels(device, &reference, 1);
    return status == SEGUE_OK ? segue_executable_create(device, &params, out_executable) : status;
}

bool segue_shapes_spin_open(struct segue_shapes *shapes)
{
    struct segue_bench *bench = shapes->bench;
    segue_device *device = bench->fixture.device;
    const struct segue_buffer_params pieces = {
        .size_bytes = (uint64_t)SEGUE_SHAPES_COMMAND_COUNT * PIECE_BYTES,
    };
    const struct segue_buffer_params source = {.size_bytes = PIECE_BYTES};
    int clock_khz = 0;
    if (!segue_bench_check(bench, create_executable(device, &shapes->spin)) ||
        !segue_bench_check(bench, segue_buffer_create(device, &pieces, &shapes->pieces)) ||
        !segue_bench_check(bench, segue_buffer_create(device, &source, &shapes->source)))
        return false;
    if (bench->fixture.info.is_soft)
        return true;
    if (!segue_bench_check_raw(bench,
                               bench->raw.driver.cuDeviceGetAttribute(
                                   &clock_khz, CU_DEVICE_ATTRIBUTE_CLOCK_RATE, bench->raw.device),
                               "cuDeviceGetAttribute"))
        return false;
    shapes->cycles_per_us = clock_khz / 1000.0;
    return true;
}

void segue_shapes_spin_close(struct segue_shapes *shapes)
{
    segue_executable_destroy(shapes->spin);
    segue_buffer_destroy(shapes->pieces);
    segue_buffer_destroy(shapes->source);
}

/* ---- The cases ------------------------------------------------------------------------------- */

static const struct segue_shapes_maker maker = {
    .make = make,
    .has_hints = true,
    .submit = submit,
    .wait = wait_idle,
    .close = close_list,
};

static void add(struct segue_shapes *shapes, struct segue_shapes_case added)
{
    if (shapes->case_count == SEGUE_SHAPES_MAX_CASES) {
        fputs("segue-bench: too many shapes\n", stderr);
        abort();
    }
    added.maker = &maker;
    shapes->cases[shapes->case_count++] = added;
}

static void add_scopes(struct segue_shapes *shapes, uint32_t width, uint32_t duration_us,
                       uint32_t block_count)
{
    // With one command a scope, both are the same chain.
    for (uint32_t own = 0; own < (width > 1 ? 2u : 1u); own++) {
        struct segue_shapes_case added = {
            .kind = own ? SCOPES_OWN : SCOPES_ALL,
            .width = width,
            .duration_us = duration_us,
            .block_count = block_count,
        };
        snprintf(added.name, sizeof(added.name), "shapes/scopes/w%u/%uus/%ub/%s", width,
                 duration_us, block_count, own ? "own" : "all");
        add(shapes, added);
    }
}

static void add_other(struct segue_shapes *shapes, enum kind kind, const char *name, uint64_t seed)
{
    for (uint32_t duration_us = 0; duration_us <= 3; duration_us += 3) {
        struct segue_shapes_case added = {
            .kind = kind,
            .duration_us = duration_us,
            .block_count = 4,
            .seed = seed,
        };
        snprintf(added.name, sizeof(added.name), "shapes/%s/%uus/4b", name, duration_us);
        add(shapes, added);
    }
}

void segue_shapes_add_spin(struct segue_shapes *shapes)
{
    static const uint32_t widths[] = {1, 2, 4, 8, 32, 128, 512};
    static const uint32_t durations_us[] = {0, 3, 20};
    static const uint32_t block_counts[] = {1, 4, 132};
    for (size_t d = 0; d < sizeof(durations_us) / sizeof(durations_us[0]); d++) {
        for (size_t b = 0; b < sizeof(block_counts) / sizeof(block_counts[0]); b++) {
            for (size_t w = 0; w < sizeof(widths) / sizeof(widths[0]); w++)
                add_scopes(shapes, widths[w], durations_us[d], block_counts[b]);
        }
    }
    add_other(shapes, TOWERS_BY_LEVEL, "towers/by_level", 0);
    add_other(shapes, TOWERS_BY_TOWER, "towers/by_tower", 0);
    add_other(shapes, LATTICE, "lattice", 0);
    for (uint64_t seed = 1; seed <= 4; seed++) {
        char name[16];
        snprintf(name, sizeof(name), "dag/%u", (unsigned)seed);
        add_other(shapes, DAG, name, seed);
    }
}
