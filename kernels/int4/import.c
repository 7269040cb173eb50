// SPDX-License-Identifier: Apache-2.0
// Importing: see segue/quant_import.h.
#include "import.h"

#include "layout.h"
#include "number.h"

#include <stdlib.h>

segue_status segue_quant_import_get_matrix(const struct segue_quant_import *import,
                                           struct segue_quant_matrix *out_matrix)
{
    struct import_plan plan;
    if (!out_matrix)
        return quant_fail(NULL, SEGUE_INVALID_ARGUMENT, "out_matrix is NULL");
    const segue_status status = segue_quant_import_plan(import, &plan);
    if (status == SEGUE_OK)
        *out_matrix = plan.matrix;
    return status;
}

static segue_status check_rows(const struct import_plan *plan, struct segue_quant_rows rows)
{
    if (rows.first <= plan->matrix.rows && rows.count <= plan->matrix.rows - rows.first)
        return SEGUE_OK;
    return quant_fail(NULL, SEGUE_OUT_OF_RANGE,
                      "matrix \"%s\": %u rows from row %u on are not in its %u rows",
                      quant_name(&plan->matrix), rows.count, rows.first, plan->matrix.rows);
}

static segue_status check_out(const struct import_plan *plan, const struct segue_quant_plain *out)
{
    const char *missing = !out                                                   ? "out"
                          : !out->weights                                        ? "out->weights"
                          : !out->scales                                         ? "out->scales"
                          : plan->zeros != IMPORT_NO_ZEROS && out->zeros == NULL ? "out->zeros"
                                                                                 : NULL;
    if (!missing)
        return SEGUE_OK;
    return quant_fail(NULL, SEGUE_INVALID_ARGUMENT, "matrix \"%s\": %s is NULL",
                      quant_name(&plan->matrix), missing);
}

segue_status segue_quant_import_rows(const struct segue_quant_import *import,
                                     struct segue_quant_rows rows,
                                     const struct segue_quant_plain *out)
{
    struct import_plan plan;
    segue_status status = segue_quant_import_plan(import, &plan);
    if (status == SEGUE_OK)
        status = check_rows(&plan, rows);
    if (status == SEGUE_OK)
        status = check_out(&plan, out);
    if (status == SEGUE_OK)
        status = segue_quant_import_plan_order(&plan);
    if (status != SEGUE_OK)
        return status;
    // The only part that can fail comes first.
    status = segue_quant_import_zeros(&plan, rows, out->zeros);
    if (status == SEGUE_OK) {
        segue_quant_import_scales(&plan, rows, out->scales);
        segue_quant_import_weights(&plan, rows, out->weights);
    }
    free(plan.order);
    return status;
}

segue_status segue_quant_import_get_order(const struct segue_quant_import *import,
                                          uint32_t *out_order, bool *out_changed)
{
    struct import_plan plan;
    segue_status status = segue_quant_import_plan(import, &plan);
    if (status != SEGUE_OK)
        return status;
    if (!out_order || !out_changed)
        return quant_fail(NULL, SEGUE_INVALID_ARGUMENT, "matrix \"%s\": %s is NULL",
                          quant_name(&plan.matrix), out_order ? "out_changed" : "out_order");
    status = segue_quant_import_plan_order(&plan);
    if (status != SEGUE_OK)
        return status;
    for (uint32_t column = 0; column < plan.matrix.columns; column++)
        out_order[column] = plan.order ? plan.order[column] : column;
    *out_changed = plan.order != NULL;
    free(plan.order);
    return SEGUE_OK;
}

segue_status segue_quant_import_bias(const struct segue_quant_import *import,
                                     struct segue_quant_rows rows, float *out_bias)
{
    struct import_plan plan;
    segue_status status = segue_quant_import_plan(import, &plan);
    if (status == SEGUE_OK)
        status = check_rows(&plan, rows);
    if (status != SEGUE_OK)
        return status;
    if (!import->bias.data || !out_bias)
        return quant_fail(NULL, SEGUE_INVALID_ARGUMENT, "matrix \"%s\": %s is NULL",
                          quant_name(&plan.matrix), import->bias.data ? "out_bias" : "bias.data");
    for (uint32_t row = 0; row < rows.count; row++)
        out_bias[row] = quant_load(import->bias.data, (enum segue_quant_type)import->bias.element,
                                   (uint64_t)rows.first + row);
    return SEGUE_OK;
}
