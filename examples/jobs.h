/*
 * jobs.h - the work of a master while it leads: it runs all jobs of the cluster, also those that its
 * predecessor left, with checkpoints. A job counts the lines and bytes of its graph, slowly.
 */
#ifndef JOBS_H
#define JOBS_H

#include <pgkeeper/pgkeeper.h>
#include <stdatomic.h>

struct worker {
    const char *name;
    const char *directory; /* where files of jobs go; NULL: nobody wants them */
    pgk_ha *ha;
    pgk_token token; /* of the tenure: every write of ours carries it */
    const char *
        submission; /* a file: the graph of a job that we bring ourselves; NULL: none, or it has been put */
    int wake_fd; /* an eventfd; written when a job was added, or after stop was set */
    atomic_bool stop;
    struct job *jobs;
};

/* Runs jobs until stop, or until a write was refused. */
void work(struct worker *worker);

/* Fetches the blobs of a job into the directory, as NAME-KEY. */
bool fetch_files(struct worker *worker, const pgk_uuid *job_id);

/* A line on stdout: seconds of the wall clock, name, what happened. */
void say(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Says what is wrong, if anything. */
bool fine(const char *name, pgk_status status, const pgk_error *err);

#endif
