/*
 * event_loop.c - a master of one thread, with a poll loop of its own: it contends for the component
 * "dispatcher", follows who leads it, and while it leads cleans up the jobs that have ended. Every
 * callback runs in pgk_ha_dispatch(), on this thread, so there is nothing to lock; heartbeats are the
 * library's own business and do not wait for the loop.
 *
 *     cc event_loop.c -o event_loop $(pkg-config --cflags --libs pgkeeper)
 *     ./event_loop NAME ADDRESS [JOB...]        each JOB: 32 hex digits; it is said to have ended
 *
 * Start several: they take libpq's environment (PGHOST ...) and PGKEEPER_* variables. SIGTERM or ^C
 * ends one. With PGKEEPER_HIGH_AVAILABILITY_TYPE=embedded it needs no server.
 */
#include <pgkeeper/pgkeeper.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

struct loop {
    const char *name;
    const char *address;
    char **jobs; /* of the command line, NULL-terminated */
    pgk_ha *ha;
    pgk_election *election;
    pgk_retriever *retriever;
    pgk_token token; /* of the latest tenure */
};

/* One clean-up that is under way. Its completion comes exactly once, so that frees it. */
struct errand {
    struct loop *loop;
    pgk_token token; /* of the tenure that it was begun in */
    pgk_uuid job_id;
};

static void say(const struct loop *loop, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void say(const struct loop *loop, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    printf("%s: ", loop->name);
    vprintf(format, args);
    putchar('\n');
    fflush(stdout);
    va_end(args);
}

static bool leads(const struct loop *loop)
{
    return pgk_election_has_leadership(loop->election, &loop->token.session_id);
}

/* Nothing is left of the job: its result may become clean. One round trip, which a loop can afford. */
static void on_cleaned_up(void *user, const pgk_completion *completion)
{
    struct errand *errand = user;
    struct loop *loop = errand->loop;
    pgk_job_results *results = NULL;
    char job[PGK_UUID_HEX_SIZE];
    pgk_error err = *completion->error;
    pgk_status status = completion->status;

    pgk_uuid_format_hex(&errand->job_id, job);
    if (status == PGK_OK) {
        status = pgk_ha_job_results(loop->ha, &errand->token, &results, &err);
    }
    if (status == PGK_OK) {
        status = pgk_job_results_mark_clean(results, &errand->job_id, &err);
    }
    if (status == PGK_OK) {
        say(loop, "cleaned up %s, tried %d times", job, completion->attempts);
    } else { /* it stays dirty, and the next leader finds it */
        say(loop, "left %s: %s", job, err.message);
    }
    pgk_job_results_free(results);
    free(errand);
}

/* One that has ended: all of them are cleaned up at a time, each tried again as cleanup-strategy says. */
static pgk_status on_dirty(void *user, const pgk_job_result *result)
{
    struct loop *loop = user;

    if (result->entry_status != PGK_OK || result->status == PGK_JOB_UNKNOWN) {
        return PGK_OK; /* what may be removed of that one is for people to say */
    }
    struct errand *errand = calloc(1, sizeof *errand);

    if (errand == NULL) {
        return PGK_ERR_NO_MEMORY;
    }
    *errand = (struct errand){loop, loop->token, result->job_id};
    pgk_status status = pgk_ha_cleanup_job_async(loop->ha, &errand->token, &errand->job_id,
                                                 on_cleaned_up, errand, NULL);
    if (status != PGK_OK) {
        free(errand); /* not begun: no completion comes */
    }
    return status;
}

/* What a leader does first. */
static void take_up_work(struct loop *loop)
{
    pgk_job_results *results = NULL;
    pgk_error err;
    pgk_status status = pgk_ha_job_results(loop->ha, &loop->token, &results, &err);

    for (char **job = loop->jobs; status == PGK_OK && *job != NULL; job++) {
        pgk_job_result result = {
            .size = sizeof result, .status = PGK_JOB_FINISHED, .started_ms = -1, .ended_ms = -1};
        status = pgk_uuid_parse(*job, &result.job_id, &err);
        if (status == PGK_OK) {
            status = pgk_job_results_finish_job(results, &result, &err);
        }
        status = status == PGK_ERR_ALREADY_EXISTS ? PGK_OK : status; /* by a former leader */
    }
    if (status == PGK_OK) {
        status = pgk_job_results_list_dirty(results, on_dirty, loop, &err);
    }
    if (status != PGK_OK) {
        say(loop, "no work: %s", err.message);
    }
    pgk_job_results_free(results);
}

/* A confirm that is under way, and the tenure that it is for. */
struct claim {
    struct loop *loop;
    pgk_uuid session_id;
};

static void confirm(struct loop *loop);

static void on_confirmed(void *user, const pgk_completion *completion)
{
    struct claim *claim = user;
    struct loop *loop = claim->loop;
    /* Grants go before completions: a later tenure may be on by now, with a confirm of its own. */
    bool present =
        leads(loop) && pgk_uuid_compare(&claim->session_id, &loop->token.session_id) == 0;

    free(claim);
    if (!present) {
        return;
    }
    if (completion->status == PGK_OK) {
        say(loop, "confirmed");
        take_up_work(loop);
    } else if (completion->error->flags & (PGK_ERROR_RETRYABLE | PGK_ERROR_OUTCOME_UNKNOWN)) {
        confirm(loop); /* each attempt has its own time-out, so this does not spin */
    } else {
        say(loop, "not confirmed: %s", completion->error->message);
    }
}

static void confirm(struct loop *loop)
{
    pgk_error err;
    struct claim *claim = malloc(sizeof(*claim));
    if (claim == NULL) {
        say(loop, "not confirmed: no memory");
        return;
    }
    *claim = (struct claim){.loop = loop, .session_id = loop->token.session_id};
    if (pgk_election_confirm_async(loop->election, &claim->session_id, loop->address, on_confirmed,
                                   claim, &err) != PGK_OK) {
        say(loop, "not confirmed: %s", err.message);
        free(claim);
    }
}

static void on_grant(void *user, const pgk_uuid *session_id, int64_t epoch)
{
    struct loop *loop = user;
    (void)session_id, (void)epoch;
    if (pgk_election_token(loop->election, &loop->token, NULL) == PGK_OK) {
        say(loop, "granted epoch %s", loop->token.epoch_text);
        confirm(loop); /* returns at once */
    }                  /* else it is lost again already, and revoke comes next */
}

static void on_revoke(void *user, const pgk_uuid *session_id, int64_t epoch)
{
    (void)session_id, (void)epoch;
    say(user, "revoked"); /* clean-ups of the tenure end as fenced; there is nothing else to stop */
}

static void on_leader(void *user, const pgk_leader *leader)
{
    say(user, "the leader is %s", leader != NULL ? leader->address : "gone");
}

static pgk_status start(struct loop *loop, pgk_error *err)
{
    const pgk_contender contender = {sizeof contender, loop, on_grant, on_revoke, NULL};
    pgk_config *config = NULL;
    pgk_status status;

    if ((status = pgk_config_new(&config, err)) == PGK_OK &&
        (status = pgk_config_load_environment(config, err)) == PGK_OK &&
        (status = pgk_config_set(config, "member.name", loop->name, err)) == PGK_OK &&
        (status = pgk_config_set(config, "dispatch", "manual", err)) == PGK_OK &&
        (status = pgk_ha_open(config, &loop->ha, err)) == PGK_OK &&
        (status = pgk_ha_retriever(loop->ha, "dispatcher", &loop->retriever, err)) == PGK_OK &&
        (status = pgk_retriever_start(loop->retriever, on_leader, loop, err)) == PGK_OK &&
        (status = pgk_ha_election(loop->ha, "dispatcher", &loop->election, err)) == PGK_OK) {
        status = pgk_election_start(loop->election, &contender, err);
    }
    pgk_config_free(config);
    return status;
}

/* The loop: an application adds the descriptors of its own. */
static pgk_status run(const struct loop *loop, int signals, pgk_error *err)
{
    struct pollfd fds[] = {{.fd = pgk_ha_fd(loop->ha), .events = POLLIN},
                           {.fd = signals, .events = POLLIN}};
    pgk_status status = PGK_OK;

    while (status == PGK_OK && (fds[1].revents & POLLIN) == 0) {
        if (poll(fds, 2, -1) > 0 && (fds[0].revents & POLLIN) != 0) {
            status = pgk_ha_dispatch(loop->ha, err);
        }
    }
    return status;
}

int main(int argc, char **argv)
{
    struct loop loop = {0};
    pgk_error err;
    sigset_t mask;

    if (argc < 3) {
        fprintf(stderr, "usage: event_loop NAME ADDRESS [JOB...]\n");
        return 2;
    }
    loop.name = argv[1];
    loop.address = argv[2];
    loop.jobs = argv + 3;
    sigemptyset(&mask);
    sigaddset(&mask, SIGINT);
    sigaddset(&mask, SIGTERM);
    sigprocmask(SIG_BLOCK, &mask, NULL); /* before any thread of the library: all inherit it */
    int signals = signalfd(-1, &mask, SFD_CLOEXEC);
    pgk_status status = start(&loop, &err);

    if (status == PGK_OK) {
        status = run(&loop, signals, &err);
    }
    if (status == PGK_OK) {
        /* Delivers what is outstanding, the revoke and the completions, on this thread, and resigns. */
        status = pgk_ha_close(loop.ha, &err);
    }
    if (status != PGK_OK) {
        say(&loop, "%s: %s", pgk_status_name(status), err.message);
    }
    pgk_election_free(loop.election);
    pgk_retriever_free(loop.retriever);
    pgk_ha_free(loop.ha);
    close(signals);
    return status == PGK_OK ? 0 : 1;
}
