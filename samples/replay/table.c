// SPDX-License-Identifier: Apache-2.0
#include "table.h"

#include "report.h"

#include <stdlib.h>
#include <string.h>

void segue_replay_table_add(struct segue_replay_table *table, const char *const *texts)
{
    const size_t columns = table->column_count;
    char **cells = realloc(table->cells, (table->row_count + 1) * columns * sizeof(*cells));
    if (!cells) {
        table->failed = true;
        return;
    }
    table->cells = cells;
    char **row = &cells[table->row_count * columns];
    for (size_t i = 0; i < columns; ++i) {
        row[i] = strdup(texts[i] ? texts[i] : "");
        if (row[i])
            segue_replay_clean(row[i]);
        else
            table->failed = true;
    }
    ++table->row_count;
}

/** Columns on the screen, as far as one code point takes one. */
static uint32_t text_width(const char *text)
{
    uint32_t width = 0;
    for (; *text; ++text)
        width += ((unsigned char)*text & 0xC0) != 0x80;
    return width;
}

bool segue_replay_table_print(const struct segue_replay_table *table, uint32_t indent, FILE *stream)
{
    if (table->failed)
        return false;
    const uint32_t columns = table->column_count;
    uint32_t widths[SEGUE_REPLAY_TABLE_COLUMNS] = {0};
    for (uint32_t i = 0; i < table->row_count * columns; ++i) {
        const uint32_t width = text_width(table->cells[i]);
        if (width > widths[i % columns])
            widths[i % columns] = width;
    }
    for (uint32_t i = 0; i < table->row_count * columns; ++i) {
        const uint32_t column = i % columns;
        const bool last = column + 1 == columns;
        const int padding = (int)(widths[column] - text_width(table->cells[i]));
        if (column == 0)
            fprintf(stream, "%*s%s%*s", (int)indent, "", table->cells[i], last ? 0 : padding, "");
        else
            fprintf(stream, "  %*s%s", padding, "", table->cells[i]);
        if (last)
            fputc('\n', stream);
    }
    return true;
}

void segue_replay_table_clear(struct segue_replay_table *table)
{
    for (uint32_t i = 0; i < table->row_count * table->column_count; ++i)
        free(table->cells[i]);
    free(table->cells);
    *table = (struct segue_replay_table){.column_count = table->column_count};
}
