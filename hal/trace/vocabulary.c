// SPDX-License-Identifier: Apache-2.0
#include "vocabulary.h"

const char *const segue_memory_names[] = {"device", "host_visible", "constant"};

const char *const segue_usage_names[] = {"transfer_source", "transfer_target", "dispatch_read",
                                         "dispatch_write"};

const char *const segue_format_names[] = {"cuda", "ptx", "cubin", "fatbin"};

const char *const segue_access_names[] = {"read_write", "read", "write", "constant"};

const char *const segue_entry_flag_names[] = {"cooperative", "opaque", "grid_dependency"};

const char *const segue_mode_names[] = {"auto", "graph", "stream"};

const char *const segue_command_buffer_flag_names[] = {"one_shot",        "unretained",
                                                       "barrier_order",   "slots_distinct",
                                                       "fills_constants", "lower_aliases"};

const char *const segue_access_mask_names[] = {"transfer_read", "transfer_write", "dispatch_read",
                                               "dispatch_write"};

const char *const segue_command_names[] = {
    "fill",         "update",      "copy",       "dispatch",    "barrier",
    "signal_event", "reset_event", "wait_event", "begin_group", "end_group",
};

const char *const segue_reason_names[] = {
    "read_after_write",
    "write_after_read",
    "write_after_write",
    "opaque",
    "may_alias",
    "barrier",
    "lane",
    "join",
    "implied",
};

const char *const segue_content_names[] = {"zero",    "fill",    "normal",
                                           "uniform", "nibbles", "tensor"};
