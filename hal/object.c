// SPDX-License-Identifier: Apache-2.0
#include "object.h"

void segue_object_init(struct segue_object *object, enum segue_object_kind kind,
                       segue_device *device)
{
    atomic_init(&object->references, 1);
    atomic_init(&object->last_recording, 0);
    object->next_dead = NULL;
    object->kind = kind;
    object->device = device;
    segue_device_retain(device);
}

/** Gives up a reference. True: it was the last. */
static bool give_up(struct segue_object *object)
{
    return object && atomic_fetch_sub_explicit(&object->references, 1, memory_order_acq_rel) == 1;
}

static void destroy(struct segue_object *object)
{
    segue_device *device = object->device;
    switch (object->kind) {
    case SEGUE_OBJECT_BUFFER:
        segue_buffer_free((segue_buffer *)object);
        break;
    case SEGUE_OBJECT_EXECUTABLE:
        segue_executable_free((segue_executable *)object);
        break;
    case SEGUE_OBJECT_EVENT:
        segue_event_free((segue_event *)object);
        break;
    case SEGUE_OBJECT_SEMAPHORE:
        segue_semaphore_free((segue_semaphore *)object);
        break;
    }
    segue_device_release(device);
}

void segue_object_release(struct segue_object *object)
{
    if (give_up(object))
        destroy(object);
}

void segue_object_drop(struct segue_object *object, struct segue_object **dead)
{
    if (!give_up(object))
        return;
    object->next_dead = *dead;
    *dead = object;
}

void segue_objects_free(struct segue_object **dead)
{
    while (*dead) {
        struct segue_object *object = *dead;
        *dead = object->next_dead;
        destroy(object);
    }
}
