// SPDX-License-Identifier: Apache-2.0
// Uses something of each library.
#include <segue/segue.h>
#include <segue/trace.h>

#include <stdio.h>

int main(void)
{
    segue_device *device = NULL;
    if (segue_device_open("soft://", NULL, &device) != SEGUE_OK) {
        fprintf(stderr, "%s\n", segue_last_error()->message);
        return 1;
    }
    struct segue_device_info info;
    segue_device_get_info(device, &info);
    printf("%d.%d.%d %s, %s\n", SEGUE_VERSION_MAJOR, SEGUE_VERSION_MINOR, SEGUE_VERSION_PATCH,
           info.is_soft ? "software device" : "GPU", segue_dtype_name(SEGUE_DTYPE_F32));
    segue_device_destroy(device);
    return 0;
}
