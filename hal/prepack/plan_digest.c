// SPDX-License-Identifier: Apache-2.0
// The digests that keys need, of all inputs of a plan, by several threads: each input by one of
// them, in the order in which the plan asks for them.
#include "plan.h"

#include "error.h"

#include <signal.h>
#include <stdlib.h>

/** An input whose bytes are read. */
struct job {
    struct segue_prepack_input *input;
    const char *name;
    struct segue_packed_digest content;
    uint64_t read_bytes;
    bool is_done;
    struct segue_error error;
};

struct segue_prepack_digests {
    pthread_mutex_t lock;
    pthread_cond_t is_done;
    struct job *jobs;
    uint32_t job_count;
    /** Those before it are taken. */
    uint32_t next;
    uint32_t thread_count;
    pthread_t threads[];
};

/** Takes the next job and does it; false: all are taken. The lock is held before and after, not
 *  meanwhile. */
static bool do_next(struct segue_prepack_digests *digests)
{
    if (digests->next == digests->job_count)
        return false;
    struct job *job = &digests->jobs[digests->next++];
    (void)pthread_mutex_unlock(&digests->lock);
    const struct segue_prepack_source *source = &job->input->params;
    const struct segue_prepack_bytes bytes = {
        .source = source, .size_bytes = source->size_bytes, .name = job->name};
    const segue_status status = segue_prepack_bytes_digest(&bytes, &job->content, &job->read_bytes);
    if (status != SEGUE_OK)
        job->error = *segue_last_error();
    (void)pthread_mutex_lock(&digests->lock);
    job->error.status = status;
    job->is_done = true;
    (void)pthread_cond_broadcast(&digests->is_done);
    return true;
}

static void *run(void *context)
{
    struct segue_prepack_digests *digests = context;
    (void)pthread_mutex_lock(&digests->lock);
    while (do_next(digests)) {
    }
    (void)pthread_mutex_unlock(&digests->lock);
    return NULL;
}

/** Whether the digest of an input takes reading it. */
static bool is_read(const struct segue_prepack_input *input)
{
    return !input->is_known &&
           (input->params.kind != SEGUE_PREPACK_GENERATOR || input->params.identity_bytes == 0);
}

static void list_jobs(segue_prepack_plan *plan, struct segue_prepack_digests *digests)
{
    for (uint32_t i = 0; i < plan->item_count; i++) {
        const struct segue_prepack_item *item = &plan->items[i];
        for (uint32_t k = 0; k < item->input_count; k++) {
            struct segue_prepack_input *input = &item->inputs[k];
            if (!is_read(input))
                continue;
            input->has_job = true;
            input->job = digests->job_count;
            digests->jobs[digests->job_count++] = (struct job){.input = input, .name = item->name};
        }
    }
}

segue_status segue_prepack_begin_digests(segue_prepack_plan *plan)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < plan->item_count; i++) {
        for (uint32_t k = 0; k < plan->items[i].input_count; k++)
            count += is_read(&plan->items[i].inputs[k]);
    }
    if (count == 0)
        return SEGUE_OK;
    struct segue_prepack_limits limits = plan->params.limits;
    segue_prepack_settle_readers(&limits);
    // Whoever waits reads along.
    const uint32_t wanted = (limits.reader_count < count ? limits.reader_count : count) - 1;
    struct segue_prepack_digests *digests =
        calloc(1, sizeof(*digests) + wanted * sizeof(digests->threads[0]));
    struct job *jobs = calloc(count, sizeof(jobs[0]));
    if (digests == NULL || jobs == NULL) {
        free(digests);
        free(jobs);
        return segue_prepack_fail_memory("the digests of a plan");
    }
    digests->jobs = jobs;
    (void)pthread_mutex_init(&digests->lock, NULL);
    (void)pthread_cond_init(&digests->is_done, NULL);
    list_jobs(plan, digests);
    plan->digests = digests;
    // Signals are the program's business, not that of these threads.
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    while (digests->thread_count < wanted &&
           pthread_create(&digests->threads[digests->thread_count], NULL, run, digests) == 0)
        digests->thread_count++;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return SEGUE_OK;
}

segue_status segue_prepack_wait_digest(segue_prepack_plan *plan, struct segue_prepack_input *input)
{
    struct segue_prepack_digests *digests = plan->digests;
    struct job *job = &digests->jobs[input->job];
    (void)pthread_mutex_lock(&digests->lock);
    while (!job->is_done) {
        if (!do_next(digests))
            (void)pthread_cond_wait(&digests->is_done, &digests->lock);
    }
    (void)pthread_mutex_unlock(&digests->lock);
    plan->stats.source_read_bytes += job->read_bytes;
    input->content = job->content;
    const struct segue_error *error = &job->error;
    return error->status == SEGUE_OK
               ? SEGUE_OK
               : segue_report_error(NULL, error->status, error->file, error->line, error->message);
}

void segue_prepack_end_digests(segue_prepack_plan *plan)
{
    struct segue_prepack_digests *digests = plan->digests;
    if (digests == NULL)
        return;
    plan->digests = NULL;
    (void)pthread_mutex_lock(&digests->lock);
    digests->next = digests->job_count;
    (void)pthread_mutex_unlock(&digests->lock);
    for (uint32_t i = 0; i < digests->thread_count; i++)
        (void)pthread_join(digests->threads[i], NULL);
    (void)pthread_cond_destroy(&digests->is_done);
    (void)pthread_mutex_destroy(&digests->lock);
    free(digests->jobs);
    free(digests);
}
