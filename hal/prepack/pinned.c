// SPDX-License-Identifier: Apache-2.0
#include "pinned.h"

#include "error.h"
#include "files.h"
#include "numa.h"

#include <segue/segue.h>

#include <pthread.h>
#include <stdlib.h>

#define DEFAULT_STAGING_BYTES (UINT64_C(64) << 20)
#define DEFAULT_SLOT_BYTES (UINT64_C(8) << 20)
/** The first slot is smaller, so that it is pinned and filled soon. */
#define FIRST_SLOT_BYTES (UINT64_C(512) << 10)
#define MOST_SLOTS 1024u

/** The rings of a device. */
struct pool {
    segue_device *device;
    /** Plans and segue_prepack_staging objects. */
    uint32_t user_count;
    struct segue_prepack_ring *rings;
    struct pool *next;
};

struct segue_prepack_staging {
    segue_device *device;
};

/** Held for looking and linking, never while memory is pinned or given up, or the device is waited
 *  for. */
static pthread_mutex_t pools_lock = PTHREAD_MUTEX_INITIALIZER;
/** A ring is not waited for any more. */
static pthread_cond_t pools_changed = PTHREAD_COND_INITIALIZER;
static struct pool *pools;

segue_status segue_prepack_settle_staging(segue_device *device, struct segue_prepack_limits *limits)
{
    if (limits->staging_bytes == 0)
        limits->staging_bytes = DEFAULT_STAGING_BYTES;
    if (limits->slot_bytes == 0)
        limits->slot_bytes = DEFAULT_SLOT_BYTES;
    // Two slots at least, so that one is filled while another is copied.
    if (limits->slot_bytes > limits->staging_bytes / 2)
        limits->slot_bytes = limits->staging_bytes / 2;
    limits->slot_bytes -= limits->slot_bytes % SEGUE_PREPACK_SECTOR_BYTES;
    if (limits->slot_bytes == 0)
        return segue_prepack_fail_on(device, SEGUE_INVALID_ARGUMENT,
                                     "prepack: staging_bytes must hold two slots of %u bytes",
                                     SEGUE_PREPACK_SECTOR_BYTES);
    return SEGUE_OK;
}

static uint64_t first_slot_bytes(uint64_t slot_bytes)
{
    return slot_bytes < FIRST_SLOT_BYTES ? slot_bytes : FIRST_SLOT_BYTES;
}

static uint32_t capacity_of(const struct segue_prepack_limits *limits)
{
    const uint64_t slots =
        1 + (limits->staging_bytes - first_slot_bytes(limits->slot_bytes)) / limits->slot_bytes;
    return slots < MOST_SLOTS ? (uint32_t)slots : MOST_SLOTS;
}

/** What the ring's next slot holds. */
static uint64_t next_slot_bytes(const struct segue_prepack_ring *ring)
{
    return ring->slot_count == 0 ? first_slot_bytes(ring->slot_bytes) : ring->slot_bytes;
}

static void free_slots(struct segue_prepack_ring *ring)
{
    for (uint32_t i = 0; i < ring->slot_count; i++)
        segue_buffer_destroy(ring->slots[i].buffer);
    free(ring->slots);
}

static void free_rings(struct segue_prepack_ring *ring)
{
    while (ring != NULL) {
        struct segue_prepack_ring *next = ring->next;
        free_slots(ring);
        free(ring);
        ring = next;
    }
}

/** The device's pool; NULL: it has none. The lock is held. */
static struct pool *find_pool(const segue_device *device)
{
    struct pool *pool = pools;
    while (pool != NULL && pool->device != device)
        pool = pool->next;
    return pool;
}

segue_status segue_prepack_pool_join(segue_device *device)
{
    (void)pthread_mutex_lock(&pools_lock);
    struct pool *pool = find_pool(device);
    if (pool == NULL) {
        pool = calloc(1, sizeof(*pool));
        if (pool != NULL) {
            pool->device = device;
            pool->next = pools;
            pools = pool;
        }
    }
    if (pool != NULL)
        pool->user_count++;
    (void)pthread_mutex_unlock(&pools_lock);
    return pool != NULL ? SEGUE_OK : segue_prepack_fail_memory("staging memory");
}

void segue_prepack_pool_leave(segue_device *device)
{
    struct segue_prepack_ring *rings = NULL;
    (void)pthread_mutex_lock(&pools_lock);
    struct pool **link = &pools;
    while ((*link)->device != device)
        link = &(*link)->next;
    struct pool *pool = *link;
    if (--pool->user_count == 0) {
        *link = pool->next;
        rings = pool->rings;
        free(pool);
    }
    (void)pthread_mutex_unlock(&pools_lock);
    free_rings(rings);
}

/** Waits until nothing copies from a ring that the caller has leased, or that nobody waits for. The
 *  lock is held, and given up meanwhile; whoever has the semaphore takes it before giving that up.
 */
static segue_status wait_until_idle(struct segue_prepack_ring *ring)
{
    while (ring->busy.semaphore != NULL && ring->is_awaited)
        (void)pthread_cond_wait(&pools_changed, &pools_lock);
    if (ring->busy.semaphore == NULL)
        return SEGUE_OK;
    const struct segue_semaphore_value busy = ring->busy;
    ring->is_awaited = true;
    (void)pthread_mutex_unlock(&pools_lock);
    const segue_status status =
        segue_semaphore_wait(busy.semaphore, busy.value, SEGUE_TIMEOUT_INFINITE);
    (void)pthread_mutex_lock(&pools_lock);
    ring->is_awaited = false;
    ring->busy.semaphore = NULL;
    (void)pthread_cond_broadcast(&pools_changed);
    return status;
}

static bool fits(const struct segue_prepack_ring *ring, const struct segue_prepack_limits *limits)
{
    return ring->slot_bytes == limits->slot_bytes && ring->held_bytes <= limits->staging_bytes;
}

/** Leases an idle ring that fits, or else NULL. The lock is held. */
static struct segue_prepack_ring *take_idle(struct pool *pool,
                                            const struct segue_prepack_limits *limits)
{
    struct segue_prepack_ring *ring = pool->rings;
    while (ring != NULL && (ring->is_leased || !fits(ring, limits)))
        ring = ring->next;
    if (ring != NULL)
        ring->is_leased = true;
    return ring;
}

/** Frees all idle rings that do not fit: memory that nobody can use must not add to what is pinned.
 *  Until it is not pinned any more, it counts. The lock is held, and given up meanwhile. */
static void free_misfits(struct pool *pool, const struct segue_prepack_limits *limits)
{
    struct segue_prepack_ring **link = &pool->rings;
    while (*link != NULL) {
        struct segue_prepack_ring *ring = *link;
        if (ring->is_leased || fits(ring, limits)) {
            link = &ring->next;
            continue;
        }
        ring->is_leased = true;
        // A lost device copies nothing any more.
        (void)wait_until_idle(ring);
        (void)pthread_mutex_unlock(&pools_lock);
        free_slots(ring);
        (void)pthread_mutex_lock(&pools_lock);
        // Others may have come and gone.
        link = &pool->rings;
        while (*link != ring)
            link = &(*link)->next;
        *link = ring->next;
        free(ring);
        link = &pool->rings;
    }
}

static struct segue_prepack_ring *make_ring(struct pool *pool, uint64_t slot_bytes, int32_t node)
{
    struct segue_prepack_ring *ring = calloc(1, sizeof(*ring));
    if (ring == NULL)
        return NULL;
    ring->slot_bytes = slot_bytes;
    ring->node = node;
    ring->is_leased = true;
    ring->next = pool->rings;
    pool->rings = ring;
    return ring;
}

segue_status segue_prepack_ring_lease(segue_device *device,
                                      const struct segue_prepack_limits *limits,
                                      struct segue_prepack_ring **out_ring)
{
    const int32_t node = segue_prepack_numa_node(device);
    const uint32_t capacity = capacity_of(limits);
    struct segue_prepack_slot_memory *slots = calloc(capacity, sizeof(slots[0]));
    if (slots == NULL)
        return segue_prepack_fail_memory("staging memory");
    segue_status status = SEGUE_OK;
    (void)pthread_mutex_lock(&pools_lock);
    struct pool *pool = find_pool(device);
    struct segue_prepack_ring *ring = take_idle(pool, limits);
    free_misfits(pool, limits);
    if (ring != NULL)
        status = wait_until_idle(ring);
    else
        ring = make_ring(pool, limits->slot_bytes, node);
    if (ring != NULL && status == SEGUE_OK) {
        // With room for as many slots as this lease allows.
        for (uint32_t i = 0; i < ring->slot_count; i++)
            slots[i] = ring->slots[i];
        struct segue_prepack_slot_memory *before = ring->slots;
        ring->slots = slots;
        slots = before;
        ring->capacity = capacity;
        ring->most_bytes = limits->staging_bytes;
        ring->pin_ns = 0;
    } else if (ring != NULL) {
        ring->is_leased = false;
    }
    (void)pthread_mutex_unlock(&pools_lock);
    free(slots);
    if (status != SEGUE_OK)
        return status;
    if (ring == NULL)
        return segue_prepack_fail_memory("staging memory");
    *out_ring = ring;
    return SEGUE_OK;
}

void segue_prepack_ring_return(struct segue_prepack_ring *ring,
                               const struct segue_semaphore_value *busy)
{
    (void)pthread_mutex_lock(&pools_lock);
    if (busy != NULL)
        ring->busy = *busy;
    ring->is_leased = false;
    (void)pthread_mutex_unlock(&pools_lock);
}

/** A ring of the device that something copies from until the semaphore says so; NULL: none. The
 * lock is held. */
static struct segue_prepack_ring *find_busy(const segue_device *device, const segue_semaphore *busy)
{
    struct segue_prepack_ring *ring = busy != NULL ? find_pool(device)->rings : NULL;
    while (ring != NULL && ring->busy.semaphore != busy)
        ring = ring->next;
    return ring;
}

void segue_prepack_ring_forget(segue_device *device, const segue_semaphore *busy)
{
    (void)pthread_mutex_lock(&pools_lock);
    struct segue_prepack_ring *ring;
    while ((ring = find_busy(device, busy)) != NULL) {
        // A lost device copies nothing any more. Whoever waits already may free the ring then.
        if (ring->is_awaited)
            (void)pthread_cond_wait(&pools_changed, &pools_lock);
        else
            (void)wait_until_idle(ring);
    }
    (void)pthread_mutex_unlock(&pools_lock);
}

/** Counts the ring's next slot as pinned. The lock is held. */
static void set_aside(struct segue_prepack_ring *ring)
{
    ring->held_bytes += next_slot_bytes(ring);
}

bool segue_prepack_ring_reserve(segue_device *device, struct segue_prepack_ring *ring)
{
    if (ring->slot_count >= ring->capacity)
        return false;
    uint64_t held_bytes = next_slot_bytes(ring);
    (void)pthread_mutex_lock(&pools_lock);
    const struct segue_prepack_ring *other = find_pool(device)->rings;
    for (; other != NULL; other = other->next)
        held_bytes += other->held_bytes;
    const bool may_grow = ring->slot_count < 2 || held_bytes <= ring->most_bytes;
    if (may_grow)
        set_aside(ring);
    (void)pthread_mutex_unlock(&pools_lock);
    return may_grow;
}

/** Takes back what was set aside for a slot that there will not be. */
static void forgo(struct segue_prepack_ring *ring)
{
    (void)pthread_mutex_lock(&pools_lock);
    ring->held_bytes -= next_slot_bytes(ring);
    (void)pthread_mutex_unlock(&pools_lock);
}

segue_status segue_prepack_ring_grow(segue_device *device, struct segue_prepack_ring *ring)
{
    const uint64_t start_ns = segue_pack_now_ns();
    const struct segue_buffer_params params = {
        .size_bytes = next_slot_bytes(ring),
        .memory = SEGUE_MEMORY_HOST_VISIBLE,
        .label = "prepack staging",
    };
    struct segue_prepack_slot_memory slot = {.size_bytes = params.size_bytes};
    // The driver takes the pages on this thread, by its policy.
    struct segue_prepack_policy before;
    if (!segue_prepack_numa_prefer(ring->node, &before))
        ring->node = -1;
    segue_status status = segue_buffer_create(device, &params, &slot.buffer);
    segue_prepack_numa_restore(&before);
    void *data = NULL;
    if (status == SEGUE_OK)
        status = segue_buffer_map(slot.buffer, &data);
    if (status != SEGUE_OK) {
        segue_buffer_destroy(slot.buffer);
        forgo(ring);
        return status;
    }
    slot.data = data;
    ring->slots[ring->slot_count++] = slot;
    ring->pin_ns += segue_pack_now_ns() - start_ns;
    return SEGUE_OK;
}

segue_status segue_prepack_staging_create(segue_device *device,
                                          const struct segue_prepack_limits *limits,
                                          segue_prepack_staging **out_staging)
{
    if (device == NULL || out_staging == NULL)
        return segue_prepack_fail(
            SEGUE_INVALID_ARGUMENT,
            "segue_prepack_staging_create: device and out_staging must not be NULL");
    struct segue_prepack_limits settled = {0};
    if (limits != NULL)
        settled = *limits;
    segue_status status = segue_prepack_settle_staging(device, &settled);
    if (status != SEGUE_OK)
        return status;
    segue_prepack_staging *staging = calloc(1, sizeof(*staging));
    if (staging == NULL)
        return segue_prepack_fail_memory("staging memory");
    staging->device = device;
    struct segue_prepack_ring *ring = NULL;
    status = segue_prepack_pool_join(device);
    if (status != SEGUE_OK) {
        free(staging);
        return status;
    }
    status = segue_prepack_ring_lease(device, &settled, &ring);
    while (status == SEGUE_OK && ring->slot_count < ring->capacity) {
        // All of it, whatever others hold.
        (void)pthread_mutex_lock(&pools_lock);
        set_aside(ring);
        (void)pthread_mutex_unlock(&pools_lock);
        status = segue_prepack_ring_grow(device, ring);
    }
    if (ring != NULL)
        segue_prepack_ring_return(ring, NULL);
    if (status != SEGUE_OK) {
        segue_prepack_pool_leave(device);
        free(staging);
        return status;
    }
    *out_staging = staging;
    return SEGUE_OK;
}

void segue_prepack_staging_destroy(segue_prepack_staging *staging)
{
    if (staging == NULL)
        return;
    segue_prepack_pool_leave(staging->device);
    free(staging);
}
