// SPDX-License-Identifier: Apache-2.0
#include "status.h"

segue_status segue_report_error(segue_device *device, segue_status status, const char *file,
                                int line, const char *message)
{
    return segue_raise(device, status, 0, file, line, "%s", message != NULL ? message : "");
}
