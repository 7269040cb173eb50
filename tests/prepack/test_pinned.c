// SPDX-License-Identifier: Apache-2.0
// Rings of pinned memory that several loads have at the same time: the cap, and what waits for
// copies that are not done.
#include "pinned.h"
#include "test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#define SLOT_BYTES UINT64_C(65536)
/** What must not wait has this long; what must has had the first part of it. */
#define PATIENCE_US 20000000
#define PAUSE_US 30000

static const struct segue_prepack_limits four_slots = {.staging_bytes = 4 * SLOT_BYTES,
                                                       .slot_bytes = SLOT_BYTES};
static const struct segue_prepack_limits small_slots = {.staging_bytes = 4 * SLOT_BYTES,
                                                        .slot_bytes = SLOT_BYTES / 2};

static uint64_t pinned_bytes(struct segue_test *test)
{
    struct segue_memory_stats stats;
    segue_device_get_memory_stats(test->device, &stats);
    return stats.host_visible.current_bytes;
}

static struct segue_prepack_ring *lease(struct segue_test *test,
                                        const struct segue_prepack_limits *limits)
{
    struct segue_prepack_ring *ring = NULL;
    CHECK_OK(segue_prepack_ring_lease(test->device, limits, &ring));
    return ring;
}

/** Pins slots until the ring has so many. */
static void grow_to(struct segue_test *test, struct segue_prepack_ring *ring, uint32_t slot_count)
{
    while (ring->slot_count < slot_count) {
        assert_true(segue_prepack_ring_reserve(test->device, ring));
        CHECK_OK(segue_prepack_ring_grow(test->device, ring));
    }
}

/** Two loads that would pin the last slot of the cap at the same time: one of them may. */
static void test_the_last_slot_is_one(void **state)
{
    struct segue_test *test = *state;
    const struct segue_prepack_limits limits = {.staging_bytes = 5 * SLOT_BYTES,
                                                .slot_bytes = SLOT_BYTES};
    CHECK_OK(segue_prepack_pool_join(test->device));
    struct segue_prepack_ring *left = lease(test, &limits);
    struct segue_prepack_ring *right = lease(test, &limits);
    assert_ptr_not_equal(left, right);
    grow_to(test, left, 2);
    grow_to(test, right, 2);
    assert_true(segue_prepack_ring_reserve(test->device, left));
    assert_false(segue_prepack_ring_reserve(test->device, right));
    // Where it could not be pinned, the other one may have it.
    if (test->soft != NULL) {
        test->soft->set_fault(&(struct segue_soft_fault){
            .nth = 1, .driver_result = 2, .name_pattern = "cuMemHostAlloc"});
        CHECK_STATUS(segue_prepack_ring_grow(test->device, left), SEGUE_OUT_OF_DEVICE_MEMORY);
        test->soft->set_fault(NULL);
        assert_int_equal(left->held_bytes, 2 * SLOT_BYTES);
        assert_true(segue_prepack_ring_reserve(test->device, right));
        assert_false(segue_prepack_ring_reserve(test->device, left));
        CHECK_OK(segue_prepack_ring_grow(test->device, right));
    } else {
        CHECK_OK(segue_prepack_ring_grow(test->device, left));
    }
    assert_int_equal(pinned_bytes(test), 5 * SLOT_BYTES);
    segue_prepack_ring_return(left, NULL);
    segue_prepack_ring_return(right, NULL);
    segue_prepack_pool_leave(test->device);
    assert_int_equal(pinned_bytes(test), 0);
}

/** A lease that has to wait, on a thread of its own, and a watch that ends the wait if nobody
 *  else does. */
struct waiter {
    struct segue_test *test;
    const struct segue_prepack_limits *limits;
    struct segue_prepack_ring *ring;
    segue_status status;
    segue_semaphore *copied;
    pthread_t thread;
    pthread_t watch;
    atomic_bool is_done;
    atomic_bool is_signalled;
};

static void *lease_elsewhere(void *context)
{
    struct waiter *waiter = context;
    waiter->status = segue_prepack_ring_lease(waiter->test->device, waiter->limits, &waiter->ring);
    atomic_store(&waiter->is_done, true);
    return NULL;
}

/** The copies are done: once. */
static void signal_copied(struct waiter *waiter)
{
    if (!atomic_exchange(&waiter->is_signalled, true) &&
        segue_semaphore_signal(waiter->copied, 1) != SEGUE_OK)
        waiter->status = SEGUE_MISMATCH;
}

static void *watch_out(void *context)
{
    struct waiter *waiter = context;
    for (int us = 0; us < PATIENCE_US && !atomic_load(&waiter->is_signalled); us += PAUSE_US)
        (void)usleep(PAUSE_US);
    signal_copied(waiter);
    return NULL;
}

/** Returns a ring of two slots that is still copied, and has it leased again, with `limits`. */
static void start_waiter(struct waiter *waiter, struct segue_test *test,
                         const struct segue_prepack_limits *limits)
{
    *waiter = (struct waiter){.test = test, .limits = limits};
    CHECK_OK(segue_prepack_pool_join(test->device));
    CHECK_OK(segue_semaphore_create(test->device, 0, &waiter->copied));
    struct segue_prepack_ring *ring = lease(test, &four_slots);
    grow_to(test, ring, 2);
    const struct segue_semaphore_value busy = {.semaphore = waiter->copied, .value = 1};
    segue_prepack_ring_return(ring, &busy);
    assert_int_equal(pthread_create(&waiter->thread, NULL, lease_elsewhere, waiter), 0);
    assert_int_equal(pthread_create(&waiter->watch, NULL, watch_out, waiter), 0);
    (void)usleep(PAUSE_US);
    assert_false(atomic_load(&waiter->is_done));
}

/** Expects the lease to have been had, and so much pinned then. */
static void end_waiter(struct waiter *waiter, uint64_t expected_bytes)
{
    assert_int_equal(pthread_join(waiter->thread, NULL), 0);
    assert_int_equal(pthread_join(waiter->watch, NULL), 0);
    CHECK_OK(waiter->status);
    assert_int_equal(pinned_bytes(waiter->test), expected_bytes);
    segue_prepack_ring_return(waiter->ring, NULL);
    segue_semaphore_destroy(waiter->copied);
    segue_prepack_pool_leave(waiter->test->device);
    assert_int_equal(pinned_bytes(waiter->test), 0);
}

/** While one load waits for the copies of an earlier one, others come, grow and go. */
static void test_others_need_not_wait(void **state)
{
    struct segue_test *test = *state;
    struct waiter waiter;
    start_waiter(&waiter, test, &four_slots);
    CHECK_OK(segue_prepack_pool_join(test->device));
    struct segue_prepack_ring *other = lease(test, &four_slots);
    grow_to(test, other, 2);
    segue_prepack_ring_return(other, NULL);
    segue_prepack_pool_leave(test->device);
    assert_false(atomic_load(&waiter.is_signalled));
    assert_false(atomic_load(&waiter.is_done));
    signal_copied(&waiter);
    end_waiter(&waiter, 4 * SLOT_BYTES);
}

/** Slots of another size come after what is still copied: it is pinned until then. */
static void test_misfits_are_awaited(void **state)
{
    struct segue_test *test = *state;
    struct waiter waiter;
    start_waiter(&waiter, test, &small_slots);
    assert_int_equal(pinned_bytes(test), 2 * SLOT_BYTES);
    signal_copied(&waiter);
    end_waiter(&waiter, 0);
}

static void *signal_soon(void *context)
{
    (void)usleep(PAUSE_US);
    signal_copied(context);
    return NULL;
}

/** Whoever gives a semaphore up waits with those who wait for it, and then nobody does. */
static void test_semaphores_are_forgotten(void **state)
{
    struct segue_test *test = *state;
    for (int i = 0; i < 2; i++) {
        struct waiter waiter;
        pthread_t signaller;
        start_waiter(&waiter, test, i == 0 ? &four_slots : &small_slots);
        assert_int_equal(pthread_create(&signaller, NULL, signal_soon, &waiter), 0);
        segue_prepack_ring_forget(test->device, waiter.copied);
        assert_true(atomic_load(&waiter.is_signalled));
        assert_int_equal(pthread_join(signaller, NULL), 0);
        segue_semaphore_destroy(waiter.copied);
        waiter.copied = NULL;
        end_waiter(&waiter, i == 0 ? 2 * SLOT_BYTES : 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        segue_test_case(test_the_last_slot_is_one),
        segue_test_case(test_others_need_not_wait),
        segue_test_case(test_misfits_are_awaited),
        segue_test_case(test_semaphores_are_forgotten),
    };
    const int prepared = segue_test_prepare();
    return prepared != 0 ? prepared : cmocka_run_group_tests(tests, NULL, NULL);
}
