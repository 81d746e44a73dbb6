/* jobs.c - the work of a master, see jobs.h. */
#include "jobs.h"

#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

struct job {
    struct job *next;
    pgk_uuid id;
    char *graph;
    size_t bytes;
    size_t offset, lines; /* how far it is: what its checkpoints hold */
};

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

void say(const char *name, const char *format, ...)
{
    char text[600];
    struct timespec now;
    va_list args;
    clock_gettime(CLOCK_REALTIME, &now);
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    printf("%lld.%06ld %s %s\n", (long long)now.tv_sec, now.tv_nsec / 1000, name, text);
    fflush(stdout);
}

bool fine(const char *name, pgk_status status, const pgk_error *err)
{
    if (status != PGK_OK) {
        say(name, "refused %s: %s", pgk_status_name(status), err->message);
    }
    return status == PGK_OK;
}

static pgk_status note_job(struct worker *worker, const pgk_job_graph *graph,
                           const pgk_checkpoint *checkpoint)
{
    char position[64] = "";
    if (graph->status != PGK_OK) {
        say(worker->name, "damaged %s", graph->reason); /* the others are run all the same */
        return PGK_OK;
    }
    struct job *job = calloc(1, sizeof *job);
    if (job == NULL || (job->graph = malloc(graph->graph_bytes)) == NULL) {
        free(job);
        return PGK_ERR_NO_MEMORY;
    }
    job->id = graph->job_id;
    job->bytes = graph->graph_bytes;
    memcpy(job->graph, graph->graph, graph->graph_bytes);
    if (checkpoint != NULL && checkpoint->status != PGK_OK) {
        /* A job with older ones would look at those: pgk_checkpoints_all(). */
        say(worker->name, "damaged checkpoint %" PRId64 ": %s; the job begins at byte 0",
            checkpoint->checkpoint_id, checkpoint->reason);
    } else if (checkpoint != NULL && checkpoint->metadata != NULL &&
               checkpoint->metadata_bytes < sizeof position) {
        memcpy(position, checkpoint->metadata, checkpoint->metadata_bytes);
        char *end;
        job->offset = strtoull(position, &end, 10);
        job->lines = strtoull(end, NULL, 10);
        say(worker->name, "recovered checkpoint %" PRId64 " at byte %zu of %zu",
            checkpoint->checkpoint_id, job->offset, job->bytes);
    }
    job->next = worker->jobs;
    worker->jobs = job;
    return PGK_OK;
}

/* A job that comes to us, and not from a predecessor: first it is stored, then it is run. */
static bool submit(struct worker *worker, pgk_job_graphs *graphs)
{
    static char bytes[1024 * 1024];
    FILE *file = fopen(worker->submission, "rb");
    size_t length = file == NULL ? 0 : fread(bytes, 1, sizeof bytes, file);
    pgk_job_graph graph = {.status = PGK_OK, .graph = bytes, .graph_bytes = length};
    pgk_error err;
    if (file != NULL) {
        fclose(file);
    }
    if (length == 0 || length == sizeof bytes) {
        say(worker->name, "refused %s: not readable, empty or too large", worker->submission);
        worker->submission = NULL;
        return true;
    }
    pgk_uuid_new(&graph.job_id);
    if (!fine(worker->name, pgk_job_graphs_put(graphs, &graph.job_id, bytes, length, &err), &err)) {
        return false;
    }
    worker->submission = NULL;
    say(worker->name, "submitted");
    return note_job(worker, &graph, NULL) == PGK_OK;
}

static pgk_status on_job(void *user, const pgk_recovered_job *job)
{
    return note_job(user, job->graph, job->checkpoint);
}

/* What remains of a job that has ended: nothing but its result. */
static bool clean_up(struct worker *worker, const pgk_uuid *job_id)
{
    pgk_job_results *results = NULL;
    pgk_error err;
    bool ok =
        fine(worker->name, pgk_ha_cleanup_job(worker->ha, &worker->token, job_id, NULL, &err),
             &err) &&
        fine(worker->name, pgk_ha_job_results(worker->ha, &worker->token, &results, &err), &err) &&
        fine(worker->name, pgk_job_results_mark_clean(results, job_id, &err), &err);
    pgk_job_results_free(results);
    return ok;
}

static pgk_status on_dirty_result(void *user, const pgk_job_result *result)
{
    const struct worker *worker = user;
    if (result->entry_status != PGK_OK || result->status == PGK_JOB_UNKNOWN) {
        /* What may be removed is for people to say: it stays dirty. */
        say(worker->name, "left a result alone: %s",
            result->entry_status != PGK_OK ? result->reason : "nobody knows how the job ended");
        return PGK_OK;
    }
    return clean_up(user, &result->job_id) ? PGK_OK : PGK_ERR_FENCED;
}

/* The data of our checkpoints is in their metadata: nothing else has to be removed. */
static pgk_status discard(void *user, const pgk_checkpoint *checkpoint)
{
    (void)user, (void)checkpoint;
    return PGK_OK;
}

static bool take_checkpoint(struct worker *worker, const struct job *job, pgk_checkpoints *store,
                            pgk_checkpoint_counter *counter)
{
    char position[64];
    int64_t id;
    pgk_error err;
    if (!fine(worker->name, pgk_checkpoint_counter_get_and_increment(counter, &id, &err), &err)) {
        return false;
    }
    snprintf(position, sizeof position, "%zu %zu", job->offset, job->lines);
    const pgk_checkpoint checkpoint = {.size = sizeof checkpoint,
                                       .checkpoint_id = id,
                                       .completed_ms = now_ms(),
                                       .metadata = position,
                                       .metadata_bytes = strlen(position)};
    bool ok = fine(worker->name, pgk_checkpoints_add(store, &checkpoint, &err), &err);
    if (ok) {
        say(worker->name, "checkpoint %" PRId64 " at byte %zu", id, job->offset);
    }
    return ok;
}

static bool finish(struct worker *worker, const struct job *job, int64_t began_ms)
{
    char counted[64];
    pgk_job_results *results = NULL;
    pgk_error err;
    snprintf(counted, sizeof counted, "%zu lines %zu bytes", job->lines, job->bytes);
    const pgk_job_result result = {.size = sizeof result,
                                   .job_id = job->id,
                                   .status = PGK_JOB_FINISHED,
                                   .job_name = "count",
                                   .started_ms = began_ms,
                                   .ended_ms = now_ms(),
                                   .net_runtime_ms = now_ms() - began_ms,
                                   .accumulators = counted,
                                   .accumulators_bytes = strlen(counted)};
    bool ok =
        fine(worker->name, pgk_ha_job_results(worker->ha, &worker->token, &results, &err), &err) &&
        fine(worker->name, pgk_job_results_finish_job(results, &result, &err), &err);
    pgk_job_results_free(results);
    if (ok) {
        say(worker->name, "finished %s", counted);
    }
    return ok && clean_up(worker, &job->id);
}

/* Two seconds of work, with a checkpoint every 100 ms. False: it has to be left to a successor. */
static bool run_job(struct worker *worker, struct job *job)
{
    const pgk_checkpoints_options options = {
        .size = sizeof options, .job_id = job->id, .max_retained = 1, .discard = discard};
    const size_t piece = job->bytes / 200 + 1;
    const int64_t began_ms = now_ms();
    pgk_checkpoints *store = NULL;
    pgk_checkpoint_counter *counter = NULL;
    pgk_error err;
    bool ok =
        fetch_files(worker, &job->id) &&
        fine(worker->name, pgk_ha_checkpoints(worker->ha, &worker->token, &options, &store, &err),
             &err) &&
        fine(worker->name,
             pgk_ha_checkpoint_counter(worker->ha, &worker->token, &job->id, &counter, &err), &err);
    for (int64_t step = 1; ok && job->offset < job->bytes && !atomic_load(&worker->stop); step++) {
        size_t end = job->offset + piece < job->bytes ? job->offset + piece : job->bytes;
        for (; job->offset < end; job->offset++) {
            job->lines += job->graph[job->offset] == '\n';
        }
        poll(NULL, 0, 10);
        if (step % 10 == 0) {
            ok = take_checkpoint(worker, job, store, counter);
        }
    }
    ok = ok && job->offset == job->bytes && finish(worker, job, began_ms);
    pgk_checkpoints_free(store);
    pgk_checkpoint_counter_free(counter);
    return ok;
}

static void free_jobs(struct worker *worker)
{
    while (worker->jobs != NULL) {
        struct job *job = worker->jobs;
        worker->jobs = job->next;
        free(job->graph);
        free(job);
    }
}

static void on_added(void *user, const pgk_uuid *job_id)
{
    const struct worker *worker = user;
    (void)job_id;
    eventfd_write(worker->wake_fd, 1);
}

static void on_removed(void *user, const pgk_uuid *job_id)
{
    (void)user, (void)job_id;
}

void work(struct worker *worker)
{
    const pgk_recovery recovery = {
        .size = sizeof recovery, .user = worker, .dirty_result = on_dirty_result, .job = on_job};
    const pgk_job_graph_listener listener = {
        .size = sizeof listener, .user = worker, .added = on_added, .removed = on_removed};
    pgk_job_graphs *graphs = NULL;
    pgk_error err;
    bool ok =
        fine(worker->name, pgk_ha_job_graphs(worker->ha, &worker->token, &graphs, &err), &err) &&
        fine(worker->name, pgk_job_graphs_start(graphs, &listener, &err), &err);
    while (ok && !atomic_load(&worker->stop)) {
        struct pollfd wake = {.fd = worker->wake_fd, .events = POLLIN};
        eventfd_t count;
        ok = fine(worker->name, pgk_ha_recover(worker->ha, graphs, &recovery, &err), &err);
        if (ok && worker->submission != NULL) {
            ok = submit(worker, graphs);
        }
        for (struct job *job = worker->jobs; ok && job != NULL; job = job->next) {
            ok = run_job(worker, job);
        }
        free_jobs(worker);
        if (ok && !atomic_load(&worker->stop) && poll(&wake, 1, -1) == 1) {
            eventfd_read(worker->wake_fd, &count);
        }
    }
    pgk_job_graphs_free(graphs);
}
