// SPDX-License-Identifier: Apache-2.0
#include "dump.h"

#include "command_json.h"
#include "error.h"
#include "json_get.h"
#include "vocabulary.h"

#include <inttypes.h>
#include <stdlib.h>

/** Carried through the visit. */
struct printer {
    FILE *out;
    struct segue_dump_names names;
    const struct segue_constant_slot *constant_slots;
    segue_status status;
};

static segue_status check_name(const char *name, const char **out_name)
{
    if (name == NULL) {
        return segue_trace_fail_memory("a dump");
    }
    *out_name = name;
    return SEGUE_OK;
}

static segue_status name_buffer(void *context, segue_buffer *buffer, const char **out_name)
{
    return check_name(segue_dump_buffer_name(context, buffer), out_name);
}

static segue_status name_executable(void *context, segue_executable *executable,
                                    const char **out_name)
{
    return check_name(segue_dump_executable_name(context, executable), out_name);
}

static segue_status name_event(void *context, segue_event *event, const char **out_name)
{
    return check_name(segue_dump_event_name(context, event), out_name);
}

/** All data, in hexadecimal: a dump stands alone. */
static segue_status add_data(void *context, json_t *command, const void *data,
                             uint64_t length_bytes)
{
    (void)context;
    char *digits = malloc(2 * (size_t)length_bytes + 1);
    if (digits == NULL) {
        return segue_trace_fail_memory("a dump");
    }
    segue_hex_encode(data, (uint32_t)length_bytes, digits);
    segue_status status = segue_json_set(command, "hex", json_string(digits));
    free(digits);
    return status;
}

/** Prints a value on the rest of the line; false when out of memory. */
static bool print_value(FILE *out, json_t *value)
{
    char *text = value != NULL ? segue_json_dumps(value, 0) : NULL;
    json_decref(value);
    if (text == NULL) {
        return false;
    }
    fputs(text, out);
    free(text);
    return true;
}

static segue_status print_json(struct printer *printer, const struct segue_command_info *command)
{
    const struct segue_command_names names = {
        .buffer = name_buffer,
        .executable = name_executable,
        .event = name_event,
        .data = add_data,
        .constant_slots = printer->constant_slots,
        .context = &printer->names,
    };
    json_t *json = NULL;
    json_t *line = json_object();
    segue_status status = line != NULL ? SEGUE_OK : segue_trace_fail_memory("a dump");
    if (status == SEGUE_OK) {
        status = segue_json_set(line, "index", json_integer(command->index));
    }
    if (status == SEGUE_OK) {
        status = segue_json_set(line, "group", segue_json_from_text(command->group_path));
    }
    if (status == SEGUE_OK) {
        status = segue_command_to_json(command, &names, &json);
    }
    if (status == SEGUE_OK && json_object_update(line, json) != 0) {
        status = segue_trace_fail_memory("a dump");
    }
    json_decref(json);
    if (status != SEGUE_OK) {
        json_decref(line);
        return status;
    }
    fputs(command->index != 0 ? ",\n  " : "  ", printer->out);
    return print_value(printer->out, line) ? SEGUE_OK : segue_trace_fail_memory("a dump");
}

static bool print_command(void *context, const struct segue_command_info *command)
{
    struct printer *printer = context;
    printer->status = print_json(printer, command);
    return printer->status == SEGUE_OK;
}

segue_status segue_dump_segments_json(segue_command_buffer *command_buffer, FILE *out)
{
    struct segue_command_buffer_info info;
    segue_command_buffer_get_info(command_buffer, &info);
    struct printer printer = {.out = out, .constant_slots = info.constant_slots};
    fputs("{\"commands\": [\n", out);
    segue_status status = segue_command_buffer_visit(command_buffer, print_command, &printer);
    fputs("\n]}\n", out);
    segue_dump_names_free(&printer.names);
    return status == SEGUE_OK ? printer.status : status;
}

static segue_status set_number_or_null(json_t *object, const char *key, uint32_t value,
                                       uint32_t none)
{
    return segue_json_set(object, key, value != none ? json_integer(value) : json_null());
}

/** A line of a list; the object is given up. */
static segue_status print_line(json_t *line, bool last, FILE *out)
{
    fputs("  ", out);
    if (!print_value(out, line)) {
        return segue_trace_fail_memory("a dump");
    }
    fputs(last ? "\n" : ",\n", out);
    return SEGUE_OK;
}

static segue_status print_node(const struct segue_dump_graph *graph, uint32_t index, FILE *out)
{
    const struct segue_graph_node *node = &graph->view.nodes[index];
    json_t *line = json_object();
    segue_status status = segue_json_set(line, "id", json_integer(index));
    if (status == SEGUE_OK) {
        status = set_number_or_null(line, "command", node->command, SEGUE_NO_COMMAND);
    }
    if (status == SEGUE_OK) {
        status = segue_json_set(line, "type", json_string(segue_graph_node_type_name(node->type)));
    }
    if (status == SEGUE_OK) {
        status = segue_json_set(line, "label", segue_json_from_text(node->label));
    }
    if (status == SEGUE_OK) {
        status = set_number_or_null(line, "lane", node->lane, SEGUE_NO_LANE);
    }
    if (status == SEGUE_OK) {
        status = segue_json_set(line, "duration_ns", json_integer(node->duration_ns));
    }
    if (status != SEGUE_OK) {
        json_decref(line);
        return status;
    }
    return print_line(line, index + 1 == graph->view.node_count, out);
}

static segue_status print_edge(struct segue_dump_graph *graph, uint32_t index, FILE *out)
{
    const struct segue_graph_edge *edge = &graph->view.edges[index];
    json_t *line = json_object();
    segue_status status = segue_json_set(line, "from", json_integer(edge->from));
    if (status == SEGUE_OK) {
        status = segue_json_set(line, "to", json_integer(edge->to));
    }
    if (status == SEGUE_OK) {
        status = segue_json_set(line, "type", json_string(segue_graph_edge_type_name(edge->type)));
    }
    if (status == SEGUE_OK) {
        status = segue_dump_reason_json(graph, index, line);
    }
    if (status != SEGUE_OK) {
        json_decref(line);
        return status;
    }
    return print_line(line, index + 1 == graph->view.edge_count, out);
}

segue_status segue_dump_graph_json(struct segue_dump_graph *graph, FILE *out)
{
    const struct segue_graph_view *view = &graph->view;
    segue_status status = SEGUE_OK;
    fprintf(out, "{\"lanes\": %" PRIu32 ", \"nodes\": [\n", view->lane_count);
    for (uint32_t i = 0; status == SEGUE_OK && i < view->node_count; i++) {
        status = print_node(graph, i, out);
    }
    fputs("], \"edges\": [\n", out);
    for (uint32_t i = 0; status == SEGUE_OK && i < view->edge_count; i++) {
        status = print_edge(graph, i, out);
    }
    fputs("]}\n", out);
    return status;
}
