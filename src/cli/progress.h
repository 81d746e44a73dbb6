/*
 * progress.h - how far a long transfer is, on a terminal; and how to leave one when interrupted.
 */
#ifndef PGK_CLI_PROGRESS_H
#define PGK_CLI_PROGRESS_H

#include "cli.h"

/* As pg_size_pretty() has it, which the tables use: "64 MB", "17 bytes"; negative: "unknown". */
#define SIZE_TEXT_SIZE 32
const char *size_text(int64_t bytes, char out[SIZE_TEXT_SIZE]);

/* A line on standard error that is drawn over itself, if that is a terminal; without one nothing is drawn. */
struct progress {
    const char *what; /* borrowed: what is transferred */
    int64_t started_ms;
    int64_t drawn_ms;
    int64_t done;
    bool shown;
};
void progress_begin(struct progress *progress, const char *what);
/* A pgk_blob_progress_fn, `user` being the progress. Ends the transfer when a signal came. */
pgk_status progress_step(void *user, int64_t done, int64_t total);
/* Takes the line away. On a terminal says "stored 64.0 MiB (67108864 bytes) in 0.5 s"; verb NULL: nothing. */
void progress_end(struct progress *progress, const struct cli *cli, const char *verb);

/*
 * From interrupts_catch() on SIGINT, SIGTERM and SIGHUP only note that they came, so that the library can give up in
 * order; a second one, or three seconds in which it does not come to it, end the process. interrupts_obey() lets the
 * noted one do what it does. What the caller ignores stays ignored.
 */
void interrupts_catch(void);
bool interrupted(void);
void interrupts_obey(void);

#endif
