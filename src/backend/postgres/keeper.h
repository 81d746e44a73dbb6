/*
 * backend/postgres/keeper.h - what the parts of the keeper share: one thread, three sessions (lock,
 * sentinel, listener), the groups contended for and the components followed.
 *
 * Marked [lock]: guarded by the handle's lock (backend_env.lock). All else belongs to the keeper
 * thread. The lock is never held across libpq or poll.
 */
#ifndef PGK_POSTGRES_KEEPER_H
#define PGK_POSTGRES_KEEPER_H

#include "backend/backend.h"
#include "backend/postgres/blob_sweep.h"
#include "backend/postgres/pool.h"
#include "backend/postgres/put_queue.h"
#include "backend/postgres/rules.h"
#include "backend/postgres/session.h"
#include "backend/postgres/text_array.h"
#include "core/thread.h"

/* An address that this process has published and keeps standing. */
struct record {
    struct record *next;
    char *component;
    char *address;
    bool asked; /* part of the read under way */
};

struct backend_group {
    struct backend_group *next;
    char *name;
    bool wanted;              /* [lock] the services contend for it; else it is on its way out */
    struct tenure *tenure;    /* [lock] valid while wanted */
    void *ctx;                /* [lock] valid while wanted */
    struct group_rules rules; /* [lock] */
    struct record *records;   /* [lock] of the present tenure */
    int32_t leadership_id;    /* [lock] 0: not enrolled in this lock session */
    const char *announcement; /* [lock] act that is committed and not yet announced; NULL: none */
    bool unentered;           /* [lock] taken early: to be entered before it is announced */
    int64_t enter_at_ns;      /* unentered: when to ask for it (again) */
    bool enter_refused;       /* unentered: it could not be, and that has been told */
    int64_t release_at_ns;    /* RELEASING: when to send it (again) */
    int64_t release_until_ns; /* RELEASING: when to give up; 0: not yet sent */
};

struct backend_watch {
    struct backend_watch *next;
    char *component;
    void *ctx;
    bool asked;            /* part of the read under way */
    pgk_uuid dead_session; /* tenure whose lock was found free */
};

/* A tenure that was lost; its end is explained once the database can be reached again. */
struct report {
    struct report *next;
    int32_t leadership_id;
    int64_t epoch;
    pgk_uuid session_id;
    const char *reason;
    char detail[200];
};

/* A small write that is not the lock session's business; the listener session does it. */
struct errand {
    struct errand *next;
    enum statement_id statement; /* CONFIRM, WITHDRAW or WITHDRAW_MEMBER */
    pgk_token token;
    int32_t member_id;
    char *name; /* component, or group for WITHDRAW_MEMBER */
    char *address;
    bool resting; /* failed for a reason that passes: not again before the next poll */
};

/*
 * A caller's thread that sends a large statement, in libpq's blocking mode: in the other, libpq moves all that is left
 * in its buffer after each piece, 20 s of a processor for 256 MiB. The keeper ends the connection when it takes too long.
 */
struct send_guard {
    struct send_guard *next;
    int fd;
    int64_t until_ns;
    bool ended;
};

struct backend {
    struct backend_env env;
    const struct settings *settings;
    char incarnation[PGK_UUID_TEXT_SIZE];
    struct link_memory memory;
    struct pool pool;
    struct put_queue puts;
    struct blob_sweeping sweeping;
    struct wake wake;
    struct thread thread;

    struct backend_group *groups;  /* [lock] */
    struct backend_watch *watches; /* [lock] */
    struct errand *errands;        /* [lock] first in, first out */
    bool reread;                   /* [lock] something new to read */
    bool closing;                  /* [lock] */
    int64_t close_until_ns;        /* [lock] */
    pgk_error close_error; /* status not OK: a release could not be written; after the join */

    /* contend.c */
    struct session lock;
    int32_t member_id;      /* [lock] 0: not joined in this lock session */
    int64_t lease_until_ns; /* of the lock session: last acknowledged send + D */
    int64_t heartbeat_at_ns;
    int64_t read_at_ns;            /* leading without a listener: when to look at our rows */
    struct backend_group *subject; /* group of the statement under way */
    bool waiting;                  /* which is a take_over() that waits for the lock */
    int64_t cancel_at_ns;          /* not to be cancelled before that */
    bool cancelling;               /* the listener session is about it: nothing else may be hit */
    struct report *reports;

    /* sentinel.c */
    struct session sentinel;
    int32_t sentinel_member;   /* of the slice under way */
    int64_t sentinel_until_ns; /* with nobody to watch: when to end the session */

    /* listen.c */
    struct session listener;
    bool listening;
    int64_t linger_until_ns; /* not wanted: when to end the session */
    int64_t poll_at_ns;      /* next look without a notification, locks included */
    bool looking_at_locks;   /* the read under way does */
    int64_t lost_at_ns;      /* since when nothing can be read; 0: all is well */
    bool told_lost;
    struct errand *errand; /* under way */

    struct send_guard *send_guards; /* [lock] */

    /* listen_graphs.c */
    struct backend_graph_watch *graph_watches; /* [lock] */
    bool graphs_reread;                        /* [lock] */
    int64_t graphs_poll_ns;                    /* next read without a hint */
    int graphs_hidden;     /* reads in a row that the stores' own acts hid something of */
    int64_t graphs_gap_ns; /* and not before this with one */
    pgk_uuid entering;     /* store of the statement under way */
    bool leave_store;      /* it was stopped meanwhile: it is to go again */
};

/* Each part: step does what is due, next_ns says when to come again if nothing happens. */
void contend_step(struct backend *backend);
int64_t contend_next_ns(const struct backend *backend);

/* groups.c: our groups and reports, all [lock]. */
/* Ends or begins a tenure by the rules' act: the services are told, records are dropped. */
void groups_act(struct backend *backend, struct backend_group *group, enum group_act act);
/* Is there anything that has to be released or announced still? */
bool groups_busy(const struct backend *backend);
/* Is any group's lock held, or perhaps held, by this process? */
bool groups_hold_any(const struct backend *backend);
/* A group that somebody else leads and this process waits for; NULL: none. */
struct backend_group *groups_followed(const struct backend *backend);
/* Tries what is followed but not waited for, after a wait for groups of that member has ended. */
void groups_try_others(struct backend *backend, int32_t member);
/* Tries what a member led whose lock is ours now: most likely it is free as well. */
void groups_try_what_led(struct backend *backend, int32_t member);
/* Groups that nobody wants and that hold nothing go. */
void groups_sweep(struct backend *backend);
/* A tenure has been lost: its end is to be explained later. */
void report_later(struct backend *backend, const struct backend_group *group, const char *detail);
void reports_pop(struct backend *backend);
void reports_forget(struct backend *backend);

void sentinel_step(struct backend *backend);
int64_t sentinel_next_ns(const struct backend *backend);

/* What to ask for: our groups and records, and with `watches` what is followed. False: out of memory;
 * the arrays are to be freed in any case. */
bool listen_collect(struct backend *backend, bool watches, struct text_array *groups,
                    struct text_array *components);
/* [lock] Tells the rules what was read of our groups, and has changed records put back. */
void listen_apply_groups(struct backend *backend, const PGresult *rows);
/* The same with what is followed, of the answer that the listener session has. */
void listen_apply(struct backend *backend);
void listen_step(struct backend *backend);
int64_t listen_next_ns(const struct backend *backend);

/* The listener session's work for job graph stores. [lock] When it is due. */
int64_t graphs_next_ns(const struct backend *backend);
void graphs_connected(struct backend *backend);
/* Sends what is due; false: nothing. */
bool graphs_send(struct backend *backend, int64_t now_ns);
/* Takes an answer that is for them, unless it is a fault of the session: false. */
bool graphs_answered(struct backend *backend);

/* errands and records (records.c), all [lock]. */
void errand_add(struct backend *backend, enum statement_id statement, const pgk_token *token,
                int32_t member_id, const char *name, const char *address);
void errand_free(struct errand *errand);
bool record_set(struct backend_group *group, const char *component, const char *address);
void record_drop(struct backend_group *group, const char *component);
void records_clear(struct backend_group *group);

/* sends.c. Around the sending; the guard lives on the caller's stack. False from the end: it was cut off. */
void send_guard_begin(struct backend *backend, struct send_guard *guard, int fd, int64_t until_ns);
/* Has its time run out? */
bool send_guard_ended(struct backend *backend, const struct send_guard *guard);
bool send_guard_end(struct backend *backend, struct send_guard *guard);
/* [lock] */
int64_t send_guards_next_ns(const struct backend *backend);
void send_guards_step(struct backend *backend);

static inline void keeper_lock(struct backend *backend)
{
    pthread_mutex_lock(backend->env.lock);
}

static inline void keeper_unlock(struct backend *backend)
{
    pthread_mutex_unlock(backend->env.lock);
}

#endif
