// SPDX-License-Identifier: Apache-2.0
// From source, PTX and binaries to loaded modules: compiling with the cache, checking images, and
// comparing declarations with modules.
#include "compile.h"
#include "cuda_backend.h"
#include "image.h"
#include "test.h"

#include <elf.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char source[] = "extern \"C\" __global__ void twice(float *data, int count)\n"
                             "{\n"
                             "    int i = blockIdx.x * blockDim.x + threadIdx.x;\n"
                             "    if (i < count)\n"
                             "        data[i] *= FACTOR;\n"
                             "}\n";

/** A backend without a driver: enough to compile. */
struct fixture {
    segue_device device;
    struct segue_cuda cuda;
    char cache_folder[64];
    /** What compilers are told; the calls that reached the compiler. */
    struct segue_executable_params params;
    const char *options[4];
};

static uint32_t compile_count;
static segue_nvrtc_result (*real_compile)(segue_nvrtc_program, int, const char *const *);

static segue_nvrtc_result counting_compile(segue_nvrtc_program program, int option_count,
                                           const char *const *options)
{
    compile_count++;
    return real_compile(program, option_count, options);
}

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    if (fixture == NULL || pthread_mutex_init(&fixture->device.state_lock, NULL) != 0 ||
        pthread_mutex_init(&fixture->cuda.lazy_lock, NULL) != 0)
        return -1;
    strcpy(fixture->cache_folder, "/tmp/segue-module-XXXXXX");
    if (mkdtemp(fixture->cache_folder) == NULL)
        return -1;
    fixture->device.allocator = segue_default_allocator;
    fixture->cuda.base.device = &fixture->device;
    fixture->cuda.driver.version = 13000;
    fixture->cuda.limits.compute_major = 9;
    fixture->cuda.cache_folder = fixture->cache_folder;
    fixture->options[0] = "-DFACTOR=2";
    fixture->params = (struct segue_executable_params){
        .format = SEGUE_EXECUTABLE_CUDA_SOURCE,
        .data = source,
        .size_bytes = sizeof(source) - 1,
        .options = fixture->options,
        .option_count = 1,
        .label = "doubling",
    };
    compile_count = 0;
    *state = fixture;
    return 0;
}

static int remove_entry(const char *path, const struct stat *info, int kind, struct FTW *position)
{
    (void)info;
    (void)kind;
    (void)position;
    return remove(path);
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    segue_nvrtc_unload(&fixture->cuda.nvrtc);
    const int result = nftw(fixture->cache_folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    free(fixture);
    return result;
}

/** Loads the compiler with a counter in front; skips the test where there is none. */
static struct fixture *with_compiler(void **state)
{
    struct fixture *fixture = *state;
    if (segue_cuda_nvrtc(&fixture->cuda) == NULL) {
        print_message("no NVRTC: %s\n", fixture->cuda.nvrtc.reason.text);
        skip();
    }
    real_compile = fixture->cuda.nvrtc.nvrtcCompileProgram;
    fixture->cuda.nvrtc.nvrtcCompileProgram = counting_compile;
    return fixture;
}

/** Compiles; checks how often the compiler has run in all. */
static struct segue_image compile(struct fixture *fixture, uint32_t expected_count)
{
    struct segue_image image;
    CHECK_OK(segue_compile_source(&fixture->cuda, &fixture->params, &image));
    assert_int_equal(compile_count, expected_count);
    assert_ptr_equal(image.data, image.owned);
    return image;
}

static void compile_and_drop(struct fixture *fixture, uint32_t expected_count)
{
    struct segue_image image = compile(fixture, expected_count);
    segue_image_release(&fixture->cuda, &image);
    assert_null(image.owned);
}

static void test_cubin(void **state)
{
    struct fixture *fixture = with_compiler(state);
    struct segue_image image = compile(fixture, 1);
    assert_false(image.is_ptx);
    assert_true(segue_image_is_whole(SEGUE_EXECUTABLE_CUBIN, image.data, image.size_bytes));
    assert_false(segue_image_is_whole(SEGUE_EXECUTABLE_FATBIN, image.data, image.size_bytes));
    // Cut anywhere, it is not whole.
    for (size_t cut = 1; cut < image.size_bytes; cut += 97)
        assert_false(
            segue_image_is_whole(SEGUE_EXECUTABLE_CUBIN, image.data, image.size_bytes - cut));
    assert_false(segue_image_is_whole(SEGUE_EXECUTABLE_CUBIN, image.data, 0));
    segue_image_release(&fixture->cuda, &image);
}

static void test_broken_elf(void **state)
{
    struct fixture *fixture = with_compiler(state);
    struct segue_image image = compile(fixture, 1);
    char *copy = malloc(image.size_bytes);
    assert_non_null(copy);
    Elf64_Ehdr header;
    memcpy(&header, image.data, sizeof(header));
    // A section that ends outside: the sum of its offset and size overflows.
    memcpy(copy, image.data, image.size_bytes);
    Elf64_Shdr section;
    char *at = copy + header.e_shoff + sizeof(section);
    memcpy(&section, at, sizeof(section));
    section.sh_size = UINT64_MAX;
    memcpy(at, &section, sizeof(section));
    assert_false(segue_image_is_whole(SEGUE_EXECUTABLE_CUBIN, copy, image.size_bytes));
    memcpy(copy, image.data, image.size_bytes);
    header.e_shoff = UINT64_MAX - 8;
    memcpy(copy, &header, sizeof(header));
    assert_false(segue_image_is_whole(SEGUE_EXECUTABLE_CUBIN, copy, image.size_bytes));
    memcpy(copy, image.data, image.size_bytes);
    copy[0] = 'x';
    assert_false(segue_image_is_whole(SEGUE_EXECUTABLE_CUBIN, copy, image.size_bytes));
    free(copy);
    segue_image_release(&fixture->cuda, &image);
}

static void test_fatbin(void **state)
{
    (void)state;
    struct {
        uint32_t magic;
        uint16_t version;
        uint16_t header_bytes;
        uint64_t content_bytes;
        char content[8];
    } fatbin = {0xba55ed50, 1, 16, 8, "content"};
    const enum segue_executable_format format = SEGUE_EXECUTABLE_FATBIN;
    assert_true(segue_image_is_whole(format, &fatbin, sizeof(fatbin)));
    assert_false(segue_image_is_whole(format, &fatbin, sizeof(fatbin) - 1));
    assert_false(segue_image_is_whole(format, &fatbin, 15));
    fatbin.content_bytes = UINT64_MAX;
    assert_false(segue_image_is_whole(format, &fatbin, sizeof(fatbin)));
    fatbin.content_bytes = 8;
    fatbin.magic++;
    assert_false(segue_image_is_whole(format, &fatbin, sizeof(fatbin)));
}

/** The software driver reads PTX; so does the driver of a GPU that the compiler does not know. */
static void test_ptx(void **state)
{
    struct fixture *fixture = with_compiler(state);
    const struct segue_soft_api api = {.version = SEGUE_SOFT_API_VERSION};
    fixture->cuda.driver.soft = &api;
    struct segue_image image = compile(fixture, 1);
    assert_true(image.is_ptx);
    assert_non_null(strstr(image.data, ".target sm_90"));
    // Whatever the compiler's version is, drivers since 12.4 take it.
    assert_non_null(strstr(image.data, ".version 8.4"));
    assert_true(segue_image_ptx_has_entry(image.data, "twice"));
    assert_false(segue_image_ptx_has_entry(image.data, "twic"));
    assert_false(segue_image_ptx_has_entry(image.data, "twice2"));
    segue_image_release(&fixture->cuda, &image);

    char newest[32];
    (void)snprintf(newest, sizeof(newest), ".target sm_%d", (int)fixture->cuda.nvrtc.newest_arch);
    fixture->cuda.driver.soft = NULL;
    fixture->cuda.limits.compute_major = 99;
    image = compile(fixture, 2);
    assert_true(image.is_ptx);
    assert_non_null(strstr(image.data, newest));
    segue_image_release(&fixture->cuda, &image);
}

static void test_architecture_of_the_caller(void **state)
{
    struct fixture *fixture = with_compiler(state);
    fixture->options[1] = "-arch=compute_80";
    fixture->params.option_count = 2;
    struct segue_image image = compile(fixture, 1);
    assert_true(image.is_ptx);
    assert_non_null(strstr(image.data, ".target sm_80"));
    segue_image_release(&fixture->cuda, &image);
}

/** Machine code or PTX is part of the key, too. */
static void test_cache_keeps_formats_apart(void **state)
{
    struct fixture *fixture = with_compiler(state);
    const struct segue_soft_api api = {.version = SEGUE_SOFT_API_VERSION};
    fixture->options[1] = "--gpu-architecture=sm_90";
    fixture->params.option_count = 2;
    struct segue_image image = compile(fixture, 1);
    assert_false(image.is_ptx);
    segue_image_release(&fixture->cuda, &image);
    fixture->cuda.driver.soft = &api;
    image = compile(fixture, 2);
    assert_true(image.is_ptx);
    segue_image_release(&fixture->cuda, &image);
}

static void test_compile_errors(void **state)
{
    struct fixture *fixture = with_compiler(state);
    struct segue_image image = {.size_bytes = 77};
    fixture->params.option_count = 0;
    CHECK_ERROR(segue_compile_source(&fixture->cuda, &fixture->params, &image),
                SEGUE_COMPILE_FAILED, "identifier \"FACTOR\" is undefined");
    assert_non_null(strstr(segue_last_error()->message, "executable \"doubling\""));
    assert_non_null(strstr(segue_last_error()->message, "source.cu(5)"));
    assert_int_equal(segue_last_error()->driver_result, SEGUE_NVRTC_COMPILATION);
    fixture->options[0] = "--no-such-option";
    fixture->params.option_count = 1;
    CHECK_ERROR(segue_compile_source(&fixture->cuda, &fixture->params, &image),
                SEGUE_COMPILE_FAILED, "--no-such-option");
    assert_int_equal(image.size_bytes, 77);
}

/** All that the result depends on is in the key, and nothing is compiled twice. */
static void test_cache(void **state)
{
    struct fixture *fixture = with_compiler(state);
    struct segue_image first = compile(fixture, 1);
    struct segue_image second = compile(fixture, 1);
    assert_int_equal(first.size_bytes, second.size_bytes);
    assert_memory_equal(first.data, second.data, first.size_bytes);
    segue_image_release(&fixture->cuda, &first);
    segue_image_release(&fixture->cuda, &second);

    fixture->options[0] = "-DFACTOR=3";
    compile_and_drop(fixture, 2);
    // The same characters, split otherwise.
    fixture->options[0] = "-DFACTOR=2";
    fixture->options[1] = "-DA=1";
    fixture->options[2] = "-DB=2-DC";
    fixture->params.option_count = 3;
    compile_and_drop(fixture, 3);
    fixture->options[1] = "-DA=1-DB=2";
    fixture->options[2] = "-DC";
    compile_and_drop(fixture, 4);
    fixture->params.option_count = 1;
    fixture->cuda.limits.compute_major = 8;
    compile_and_drop(fixture, 5);
    fixture->cuda.nvrtc.version += 10;
    compile_and_drop(fixture, 6);
    fixture->params.size_bytes = sizeof(source);
    compile_and_drop(fixture, 6);
    fixture->cuda.cache_folder = NULL;
    compile_and_drop(fixture, 7);
}

static void test_cache_is_bypassed_for_files(void **state)
{
    struct fixture *fixture = with_compiler(state);
    fixture->options[1] = "-I/usr/include";
    fixture->params.option_count = 2;
    compile_and_drop(fixture, 1);
    compile_and_drop(fixture, 2);

    const char *const other[] = {"-DX", "--pre-include=x.h"};
    assert_false(segue_compile_uses_files("#define include", other, 1));
    assert_true(segue_compile_uses_files("", other, 2));
    assert_true(segue_compile_uses_files("#include <a.h>", other, 0));
    assert_true(segue_compile_uses_files("int a;\n #\tinclude \"a.h\"", other, 0));
    assert_false(segue_compile_uses_files("int include; // #", other, 0));
}

static void test_compiler_missing(void **state)
{
    struct fixture *fixture = *state;
    char path[] = "/nonexistent/libnvrtc.so";
    struct segue_image image;
    fixture->cuda.nvrtc_path = path;
    CHECK_ERROR(segue_image_prepare(&fixture->cuda, &fixture->params, &image), SEGUE_UNAVAILABLE,
                "/nonexistent/libnvrtc.so");
}

static void test_manifest(void **state)
{
    struct fixture *fixture = *state;
    const struct segue_soft_api api = {.version = SEGUE_SOFT_API_VERSION};
    const struct segue_parameter parameters[] = {
        {.kind = SEGUE_PARAMETER_BINDING},
        {.kind = SEGUE_PARAMETER_CONSTANT, .size_bytes = 128},
    };
    struct segue_entry_point entries[] = {
        {.name = "twice", .parameters = parameters, .parameter_count = 2},
        {.name = "nothing"},
    };
    struct segue_image image;
    fixture->params.entry_points = entries;
    fixture->params.entry_point_count = 2;
    fixture->params.format = SEGUE_EXECUTABLE_CUBIN;
    // A GPU wants the real thing.
    CHECK_ERROR(segue_image_prepare(&fixture->cuda, &fixture->params, &image), SEGUE_INVALID_DATA,
                "are not a whole cubin");
    fixture->params.format = SEGUE_EXECUTABLE_FATBIN;
    CHECK_ERROR(segue_image_prepare(&fixture->cuda, &fixture->params, &image), SEGUE_INVALID_DATA,
                "are not a whole fatbin");
    fixture->cuda.driver.soft = &api;
    CHECK_OK(segue_image_prepare(&fixture->cuda, &fixture->params, &image));
    assert_string_equal(image.data, "SEGUE-SOFT-MODULE 1\ntwice 8 128\nnothing\n");
    assert_false(image.is_ptx);
    segue_image_release(&fixture->cuda, &image);
    entries[1].name = "not a name";
    CHECK_ERROR(segue_image_prepare(&fixture->cuda, &fixture->params, &image),
                SEGUE_INVALID_ARGUMENT, "\"not a name\"");
}

static void test_ptx_version(void **state)
{
    (void)state;
    char texts[][32] = {".version 9.0\n.target x", "//\n.version 10.12\n", ".version 9\n",
                        "nothing"};
    static const char *const expected[] = {".version 8.4\n.target x", "//\n.version 8.4  \n",
                                           ".version 9\n", "nothing"};
    for (size_t i = 0; i < 4; i++) {
        segue_compile_lower_ptx_version(texts[i]);
        assert_string_equal(texts[i], expected[i]);
    }
}

static void test_ptx_text(void **state)
{
    struct fixture *fixture = *state;
    struct segue_image image;
    fixture->params.format = SEGUE_EXECUTABLE_PTX;
    fixture->params.data = ".visible .entry a(more than is said";
    fixture->params.size_bytes = 18;
    CHECK_OK(segue_image_prepare(&fixture->cuda, &fixture->params, &image));
    assert_string_equal(image.data, ".visible .entry a(");
    assert_true(image.is_ptx);
    segue_image_release(&fixture->cuda, &image);
    assert_true(segue_image_ptx_has_entry(".entry a(.entry\n\tb_1 (", "b_1"));
    assert_false(segue_image_ptx_has_entry(".entry a$1(", "a"));
    assert_false(segue_image_ptx_has_entry(".func a(", "a"));
}

/* Against the software driver. */

static const struct segue_parameter twice_parameters[] = {
    {.kind = SEGUE_PARAMETER_BINDING},
    {.kind = SEGUE_PARAMETER_CONSTANT, .size_bytes = 4},
    {.kind = SEGUE_PARAMETER_CONSTANT, .size_bytes = 4},
};

static const char twice_ptx[] = ".version 8.0\n"
                                ".target sm_70\n"
                                ".address_size 64\n"
                                ".visible .entry module_twice(\n"
                                "    .param .u64 module_twice_param_0,\n"
                                "    .param .u32 module_twice_param_1\n"
                                ")\n"
                                "{\n"
                                "    ret;\n"
                                "}\n";

static bool run_nothing(const struct segue_reference_launch *launch,
                        segue_reference_translate translate)
{
    (void)launch;
    (void)translate;
    return true;
}

static void no_ranges(const struct segue_reference_launch *launch,
                      struct segue_reference_ranges *ranges)
{
    (void)launch;
    (void)ranges;
}

static int set_up_soft(void **state)
{
    static const uint32_t sizes[] = {8, 4};
    static const struct segue_reference_kernel reference = {
        .name = "module_twice",
        .parameter_sizes = sizes,
        .parameter_count = 2,
        .run = run_nothing,
        .ranges = no_ranges,
    };
    segue_device *device = NULL;
    CHECK_OK(segue_device_open("soft://", NULL, &device));
    CHECK_OK(segue_device_register_reference_kernels(device, &reference, 1));
    *state = device;
    return 0;
}

/** Failed or not, nothing is left. */
static int tear_down_soft(void **state)
{
    struct segue_soft_report report;
    const struct segue_soft_api *soft = segue_device_get_soft_api(*state);
    segue_device_destroy(*state);
    soft->get_report(&report);
    if (report.live_objects != 0)
        print_error("%u objects of the driver are left\n", (unsigned)report.live_objects);
    return report.live_objects != 0;
}

/** Creates an executable of one kernel; drops it again if that succeeds. */
static segue_status try_module(segue_device *device, const char *ptx, const char *name,
                               const struct segue_parameter *parameters, uint32_t count)
{
    const struct segue_entry_point entry = {
        .name = name,
        .parameters = parameters,
        .parameter_count = count,
    };
    const struct segue_executable_params params = {
        .format = ptx != NULL ? SEGUE_EXECUTABLE_PTX : SEGUE_EXECUTABLE_CUBIN,
        .data = ptx != NULL ? ptx : "cubin",
        .size_bytes = ptx != NULL ? strlen(ptx) : 5,
        .entry_points = &entry,
        .entry_point_count = 1,
        .label = "tried",
    };
    segue_executable *executable = NULL;
    const segue_status status = segue_executable_create(device, &params, &executable);
    segue_executable_destroy(executable);
    return status;
}

static void test_declarations(void **state)
{
    segue_device *device = *state;
    const struct segue_parameter *parameters = twice_parameters;
    CHECK_OK(try_module(device, twice_ptx, "module_twice", parameters, 2));
    CHECK_ERROR(try_module(device, twice_ptx, "module_twice", parameters, 1), SEGUE_INCOMPATIBLE,
                "kernel module_twice has more than the 1 parameters declared");
    CHECK_ERROR(try_module(device, twice_ptx, "module_twice", parameters, 3), SEGUE_INCOMPATIBLE,
                "kernel module_twice has fewer than the 3 parameters declared");
    struct segue_parameter larger[2] = {parameters[0], parameters[1]};
    larger[1].size_bytes = 8;
    CHECK_ERROR(try_module(device, twice_ptx, "module_twice", larger, 2), SEGUE_INCOMPATIBLE,
                "parameter 1 of kernel module_twice has 4 bytes, declared are 8");
}

static void test_missing_kernels(void **state)
{
    segue_device *device = *state;
    CHECK_ERROR(try_module(device, twice_ptx, "module_thrice", twice_parameters, 2),
                SEGUE_NOT_FOUND, "has no kernel module_thrice");
    // Declared and unknown to the software driver.
    CHECK_ERROR(try_module(device, NULL, "module_thrice", twice_parameters, 2), SEGUE_UNAVAILABLE,
                "no reference of kernel module_thrice is registered");
    assert_int_equal(segue_last_error()->driver_result, CUDA_ERROR_NOT_FOUND);
    CHECK_OK(try_module(device, NULL, "module_twice", twice_parameters, 2));
}

/** The module and the declaration agree, the reference does not. */
static void test_reference_of_other_parameters(void **state)
{
    segue_device *device = *state;
    char ptx[sizeof(twice_ptx)];
    memcpy(ptx, twice_ptx, sizeof(ptx));
    memcpy(strstr(ptx, ".u32"), ".u64", 4);
    struct segue_parameter larger[2] = {twice_parameters[0], twice_parameters[1]};
    larger[1].size_bytes = 8;
    CHECK_ERROR(try_module(device, ptx, "module_twice", larger, 2), SEGUE_INCOMPATIBLE,
                "the reference registered for kernel module_twice has other parameters");
}

static void test_broken_ptx(void **state)
{
    segue_device *device = *state;
    CHECK_ERROR(try_module(device, "this is no PTX", "module_twice", twice_parameters, 2),
                SEGUE_INVALID_DATA, "loading executable \"tried\"");
    char newer[sizeof(twice_ptx)];
    memcpy(newer, twice_ptx, sizeof(newer));
    memcpy(strstr(newer, "8.0"), "9.9", 3);
    CHECK_ERROR(try_module(device, newer, "module_twice", twice_parameters, 2),
                SEGUE_COMPILE_FAILED, "loading executable \"tried\"");
    assert_non_null(strstr(segue_last_error()->message, "9.9"));
}

int main(void)
{
#define CASE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
#define SOFT_CASE(function) cmocka_unit_test_setup_teardown(function, set_up_soft, tear_down_soft)
    const struct CMUnitTest tests[] = {
        CASE(test_cubin),
        CASE(test_broken_elf),
        CASE(test_fatbin),
        CASE(test_ptx),
        CASE(test_architecture_of_the_caller),
        CASE(test_compile_errors),
        CASE(test_cache),
        CASE(test_cache_keeps_formats_apart),
        CASE(test_cache_is_bypassed_for_files),
        CASE(test_compiler_missing),
        CASE(test_manifest),
        CASE(test_ptx_version),
        CASE(test_ptx_text),
        SOFT_CASE(test_declarations),
        SOFT_CASE(test_missing_kernels),
        SOFT_CASE(test_reference_of_other_parameters),
        SOFT_CASE(test_broken_ptx),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
