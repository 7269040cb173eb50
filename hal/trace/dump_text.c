// SPDX-License-Identifier: Apache-2.0
#include "dump.h"

#include "error.h"
#include "vocabulary.h"

#include <inttypes.h>
#include <string.h>

/** Carried through the visit. */
struct printer {
    FILE *out;
    struct segue_dump_names names;
    const struct segue_constant_slot *constant_slots;
    segue_status status;
};

/** `name[offset+length]`; the length is left out where it is the rest of a slot. */
static void print_range(struct printer *printer, const struct segue_buffer_ref *ref)
{
    if (ref->buffer != NULL) {
        const char *name = segue_dump_buffer_name(&printer->names, ref->buffer);
        if (name == NULL) {
            printer->status = segue_trace_fail_memory("a dump");
            return;
        }
        fputs(name, printer->out);
    } else {
        fprintf(printer->out, "slot %" PRIu32, ref->slot);
    }
    fprintf(printer->out, "[%" PRIu64 "+", ref->offset_bytes);
    if (ref->length_bytes != SEGUE_WHOLE_SIZE) {
        fprintf(printer->out, "%" PRIu64, ref->length_bytes);
    }
    fputc(']', printer->out);
}

static void print_dispatch(struct printer *printer, const struct segue_dispatch *dispatch)
{
    struct segue_executable_params params;
    segue_executable_get_params(dispatch->executable, &params);
    const struct segue_entry_point *entry = &params.entry_points[dispatch->entry_point];
    fprintf(printer->out, "%s(", entry->name);
    const struct segue_parameter *parameter = entry->parameters;
    for (uint32_t i = 0; i < dispatch->binding_count; i++, parameter++) {
        while (parameter->kind == SEGUE_PARAMETER_CONSTANT) {
            parameter++;
        }
        fputs(i != 0 ? ", " : "", printer->out);
        // The kernel finds it through a pointer in memory.
        fputs(parameter->kind == SEGUE_PARAMETER_INDIRECT ? "*" : "", printer->out);
        print_range(printer, &dispatch->bindings[i]);
    }
    if (dispatch->constants_size_bytes != 0) {
        fprintf(printer->out, "%s%" PRIu32 " bytes of constants",
                dispatch->binding_count != 0 ? "; " : "", dispatch->constants_size_bytes);
    }
    for (uint32_t i = 0; i < dispatch->constant_use_count; i++) {
        const struct segue_constant_use *use = &dispatch->constant_uses[i];
        fprintf(printer->out, ", %s at %" PRIu32, printer->constant_slots[use->slot].name,
                use->offset_bytes);
    }
    fprintf(printer->out, ") grid %" PRIu32 "x%" PRIu32 "x%" PRIu32, dispatch->grid[0],
            dispatch->grid[1], dispatch->grid[2]);
    fprintf(printer->out, " block %" PRIu32 "x%" PRIu32 "x%" PRIu32, dispatch->block[0],
            dispatch->block[1], dispatch->block[2]);
    if (dispatch->dynamic_shared_bytes != 0) {
        fprintf(printer->out, " shared %" PRIu32, dispatch->dynamic_shared_bytes);
    }
}

static void print_mask(struct printer *printer, uint32_t mask)
{
    bool first = true;
    if (mask == SEGUE_ACCESS_MASK_ALL) {
        fputs("all", printer->out);
        return;
    }
    for (uint32_t i = 0; i < SEGUE_ACCESS_MASK_NAME_COUNT; i++) {
        if ((mask & 1u << i) != 0) {
            fprintf(printer->out, "%s%s", first ? "" : "|", segue_access_mask_names[i]);
            first = false;
        }
    }
    fputs(first ? "none" : "", printer->out);
}

static void print_barrier(struct printer *printer, const struct segue_barrier *barrier)
{
    const char *separator = "";
    if ((barrier->flags & SEGUE_BARRIER_EXECUTION) != 0 ||
        (barrier->memory_barrier_count == 0 && barrier->buffer_barrier_count == 0)) {
        fputs("execution", printer->out);
        separator = ", ";
    }
    for (uint32_t i = 0; i < barrier->memory_barrier_count; i++, separator = ", ") {
        fputs(separator, printer->out);
        print_mask(printer, barrier->memory_barriers[i].source);
        fputs(" -> ", printer->out);
        print_mask(printer, barrier->memory_barriers[i].target);
    }
    for (uint32_t i = 0; i < barrier->buffer_barrier_count; i++, separator = ", ") {
        fputs(separator, printer->out);
        print_range(printer, &barrier->buffer_barriers[i].range);
        fputc(' ', printer->out);
        print_mask(printer, barrier->buffer_barriers[i].source);
        fputs(" -> ", printer->out);
        print_mask(printer, barrier->buffer_barriers[i].target);
    }
}

static void print_arguments(struct printer *printer, const struct segue_command_info *command)
{
    const char *name = NULL;
    switch (command->kind) {
    case SEGUE_COMMAND_FILL:
        print_range(printer, &command->as.fill.target);
        fprintf(printer->out, " pattern 0x%0*" PRIx32,
                (int)(2 * command->as.fill.pattern_size_bytes),
                command->as.fill.pattern &
                    (UINT32_MAX >> (32 - 8 * command->as.fill.pattern_size_bytes)));
        break;
    case SEGUE_COMMAND_UPDATE:
        print_range(printer, &command->as.update.target);
        break;
    case SEGUE_COMMAND_COPY:
        print_range(printer, &command->as.copy.source);
        fputs(" -> ", printer->out);
        print_range(printer, &command->as.copy.target);
        break;
    case SEGUE_COMMAND_DISPATCH:
        print_dispatch(printer, &command->as.dispatch);
        break;
    case SEGUE_COMMAND_BARRIER:
        print_barrier(printer, &command->as.barrier);
        break;
    case SEGUE_COMMAND_SIGNAL_EVENT:
    case SEGUE_COMMAND_RESET_EVENT:
    case SEGUE_COMMAND_WAIT_EVENT:
        name = segue_dump_event_name(&printer->names, command->as.event);
        if (name == NULL) {
            printer->status = segue_trace_fail_memory("a dump");
            return;
        }
        fputs(name, printer->out);
        break;
    case SEGUE_COMMAND_BEGIN_GROUP:
        fputs(command->as.group_label, printer->out);
        break;
    case SEGUE_COMMAND_END_GROUP:
        break;
    }
}

static bool print_command(void *context, const struct segue_command_info *command)
{
    struct printer *printer = context;
    const char *op = segue_command_names[command->kind];
    if (command->kind == SEGUE_COMMAND_END_GROUP) {
        fprintf(printer->out, "%7" PRIu32 "  %s", command->index, op);
    } else {
        fprintf(printer->out, "%7" PRIu32 "  %-12s  ", command->index, op);
    }
    print_arguments(printer, command);
    if (command->group_path[0] != '\0') {
        fprintf(printer->out, "  in %s", command->group_path);
    }
    fputc('\n', printer->out);
    return printer->status == SEGUE_OK;
}

static const char *mode_name(enum segue_execution_mode mode)
{
    return (unsigned)mode < SEGUE_MODE_NAME_COUNT ? segue_mode_names[mode] : "unknown";
}

segue_status segue_dump_segments_text(segue_command_buffer *command_buffer, FILE *out)
{
    struct segue_command_buffer_info info;
    struct segue_command_buffer_stats stats;
    struct printer printer = {.out = out};
    segue_status status = segue_command_buffer_get_stats(command_buffer, &stats);
    if (status != SEGUE_OK) {
        return status;
    }
    segue_command_buffer_get_info(command_buffer, &info);
    fprintf(out, "command buffer \"%s\": %" PRIu32 " commands, %" PRIu32 " of them work, %s mode",
            info.label != NULL ? info.label : "", stats.command_count, stats.work_count,
            mode_name(stats.mode));
    if (info.slot_count != 0) {
        fprintf(out, ", %" PRIu32 " slots", info.slot_count);
    }
    for (uint32_t i = 0; i < info.constant_slot_count; i++) {
        fprintf(out, "%s%s (%" PRIu32 " bytes)", i == 0 ? ", constant slots " : ", ",
                info.constant_slots[i].name, info.constant_slots[i].size_bytes);
    }
    printer.constant_slots = info.constant_slots;
    fprintf(out, "\n%7s  %-12s  %s\n", "index", "command", "what");
    status = segue_command_buffer_visit(command_buffer, print_command, &printer);
    segue_dump_names_free(&printer.names);
    return status == SEGUE_OK ? printer.status : status;
}

static void print_number_or_dash(FILE *out, uint32_t value, uint32_t none)
{
    if (value != none) {
        fprintf(out, "%7" PRIu32 "  ", value);
    } else {
        fprintf(out, "%7s  ", "-");
    }
}

/** Nodes with what they come after; edges are sorted by target, as nodes are. */
static void print_nodes(const struct segue_graph_view *view, FILE *out)
{
    int width = 5;
    for (uint32_t i = 0; i < view->node_count; i++) {
        int length = (int)strnlen(view->nodes[i].label, 60);
        width = length > width ? length : width;
    }
    fprintf(out, "%7s  %7s  %7s  %-11s  %-*s  %s\n", "node", "command", "lane", "type", width,
            "label", "after");
    uint32_t edge = 0;
    for (uint32_t i = 0; i < view->node_count; i++) {
        const struct segue_graph_node *node = &view->nodes[i];
        fprintf(out, "%7" PRIu32 "  ", i);
        print_number_or_dash(out, node->command, SEGUE_NO_COMMAND);
        print_number_or_dash(out, node->lane, SEGUE_NO_LANE);
        fprintf(out, "%-11s  %-*s ", segue_graph_node_type_name(node->type), width, node->label);
        bool any = false;
        for (; edge < view->edge_count && view->edges[edge].to == i; edge++, any = true) {
            fprintf(out, " %" PRIu32 "%s", view->edges[edge].from,
                    view->edges[edge].type == SEGUE_GRAPH_EDGE_PROGRAMMATIC ? "p" : "");
        }
        fputs(any ? "\n" : " -\n", out);
    }
}

segue_status segue_dump_graph_text(struct segue_dump_graph *graph, FILE *out)
{
    const struct segue_graph_view *view = &graph->view;
    struct segue_command_buffer_info info;
    segue_status status = SEGUE_OK;
    segue_command_buffer_get_info(graph->command_buffer, &info);
    fprintf(out, "%s of command buffer \"%s\": %" PRIu32 " nodes, %" PRIu32 " edges",
            graph->stage == SEGUE_GRAPH_STAGE_DAG ? "dag" : "graph",
            info.label != NULL ? info.label : "", view->node_count, view->edge_count);
    if (view->lane_count != 0) {
        fprintf(out, ", %" PRIu32 " lane%s", view->lane_count, view->lane_count == 1 ? "" : "s");
    }
    fputc('\n', out);
    print_nodes(view, out);
    if (view->edge_count != 0) {
        fprintf(out, "\n%7s  %7s  %-12s  %s\n", "from", "to", "type", "why");
    }
    for (uint32_t i = 0; status == SEGUE_OK && i < view->edge_count; i++) {
        fprintf(out, "%7" PRIu32 "  %7" PRIu32 "  %-12s  ", view->edges[i].from, view->edges[i].to,
                segue_graph_edge_type_name(view->edges[i].type));
        status = segue_dump_reason_text(graph, i, out);
        fputc('\n', out);
    }
    return status;
}
