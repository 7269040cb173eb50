// SPDX-License-Identifier: Apache-2.0
// Instead of uring.c where there is no liburing: every ring is refused.
#include "uring.h"

#include <errno.h>

int segue_prepack_uring_create(uint32_t depth, struct segue_prepack_uring **out_ring)
{
    (void)depth;
    (void)out_ring;
    return ENOSYS;
}

void segue_prepack_uring_destroy(struct segue_prepack_uring *ring)
{
    (void)ring;
}

bool segue_prepack_uring_run(struct segue_prepack_uring *ring,
                             struct segue_prepack_uring_read *reads, uint32_t count)
{
    (void)ring;
    (void)reads;
    (void)count;
    return false;
}
