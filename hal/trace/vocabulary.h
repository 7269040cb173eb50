// SPDX-License-Identifier: Apache-2.0
/**
 * @file vocabulary.h
 * The words of the format, in the order of the enums or bits that they stand for: shared by reader,
 * writer and dumps.
 */
#ifndef SEGUE_TRACE_VOCABULARY_H
#define SEGUE_TRACE_VOCABULARY_H

#include <stdint.h>

#define SEGUE_MEMORY_NAME_COUNT 3
extern const char *const segue_memory_names[SEGUE_MEMORY_NAME_COUNT];
#define SEGUE_USAGE_NAME_COUNT 4
extern const char *const segue_usage_names[SEGUE_USAGE_NAME_COUNT];
#define SEGUE_FORMAT_NAME_COUNT 4
extern const char *const segue_format_names[SEGUE_FORMAT_NAME_COUNT];
#define SEGUE_ACCESS_NAME_COUNT 4
extern const char *const segue_access_names[SEGUE_ACCESS_NAME_COUNT];
#define SEGUE_ENTRY_FLAG_NAME_COUNT 3
extern const char *const segue_entry_flag_names[SEGUE_ENTRY_FLAG_NAME_COUNT];
#define SEGUE_MODE_NAME_COUNT 3
extern const char *const segue_mode_names[SEGUE_MODE_NAME_COUNT];
#define SEGUE_COMMAND_BUFFER_FLAG_NAME_COUNT 6
extern const char *const segue_command_buffer_flag_names[SEGUE_COMMAND_BUFFER_FLAG_NAME_COUNT];
#define SEGUE_ACCESS_MASK_NAME_COUNT 4
extern const char *const segue_access_mask_names[SEGUE_ACCESS_MASK_NAME_COUNT];
#define SEGUE_COMMAND_NAME_COUNT 10
/** In the order of enum segue_command_kind. */
extern const char *const segue_command_names[SEGUE_COMMAND_NAME_COUNT];
#define SEGUE_REASON_NAME_COUNT 9
/** In the order of the bits of enum segue_graph_reason. */
extern const char *const segue_reason_names[SEGUE_REASON_NAME_COUNT];
#define SEGUE_CONTENT_NAME_COUNT 6
/** In the order of enum segue_content_kind, then "tensor". */
extern const char *const segue_content_names[SEGUE_CONTENT_NAME_COUNT];
#define SEGUE_CONTENT_NAME_TENSOR 5

#endif // SEGUE_TRACE_VOCABULARY_H
