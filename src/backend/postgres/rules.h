/*
 * backend/postgres/rules.h - when to try, wait, grant, step down, release: the rules of one group
 * as pure functions of (state, event, time). No clock, no I/O, no lock: the keeper feeds events and
 * does what is answered, a test does so with a virtual clock.
 *
 *                 taken, no wait                      resign, handover
 *   WAITING --try--> TRYING ------------> LEADING ----------------> REVOKING --revoked--> RELEASING
 *      ^               |  | taken, wait      ^  |                                          ^     |
 *      |<--busy--------+  +--> GRACE --------+  +-- fenced ---------------------------------+     |
 *      |                        +---- resign, leave -----------------------------------------+    |
 *      +<------------------------------------ released ------------------------------------------+
 *   and from every state to WAITING when the lock session is lost.
 */
#ifndef PGK_POSTGRES_RULES_H
#define PGK_POSTGRES_RULES_H

#include <stdbool.h>
#include <stdint.h>

#include <pgkeeper/uuid.h>

enum group_state {
    GROUP_WAITING,  /* does not lead; tries at try_at_ns */
    GROUP_TRYING,   /* take_over() is under way */
    GROUP_GRACE,    /* holds lock and epoch; grants at grant_at_ns */
    GROUP_LEADING,  /* granted */
    GROUP_REVOKING, /* ended by itself; waits for the revoke callbacks */
    GROUP_RELEASING /* release() is due or under way */
};

/* What the keeper has to do after an event. */
enum group_act {
    ACT_NOTHING,
    ACT_GRANT,       /* begin the tenure */
    ACT_END_ORDERLY, /* end the tenure; revoked follows */
    ACT_END          /* end the tenure; it is over already */
};

/* Why a tenure ends: the words of leader_history.end_reason. */
#define END_RESIGNED "resigned"
#define END_SWITCHOVER "switchover"
#define END_FENCED "fenced"
#define END_LEASE_EXPIRED "lease_expired"
#define END_TERMINATED "terminated"
#define END_CONNECTION_LOST "connection_lost"
#define END_SERVER_RESTARTED "server_restarted"

struct group_rules {
    enum group_state state;
    int64_t try_at_ns; /* WAITING: CLOCK_NEVER: until an event */
    int64_t grant_at_ns;
    pgk_uuid session_id; /* of the tenure, from GRACE on */
    int64_t epoch;
    bool granted;           /* the tenure got as far as LEADING */
    const char *end_reason; /* from REVOKING on */
    int32_t leader;         /* WAITING: member that leads; 0: unknown */
    int64_t leader_epoch;   /* and its epoch */
    int64_t hurried_epoch;  /* released tenure of another for which we have tried at once */
    int32_t gone;           /* member that was seen to die; not to be watched again */
    int64_t gone_epoch;     /* but for a later tenure: it may have come back */
    int backoff;            /* tries in a row that met a lock held by one who is gone */
};

/* What a row of leadership says; see sql/retrieval/read.sql. */
struct group_row {
    int64_t epoch;
    pgk_uuid session_id; /* nil: never led */
    int32_t member;      /* 0: none */
    bool released;
    int32_t handover_from; /* member asked to hand over; 0: none */
    bool lock_free;        /* the locks were looked at, and nobody holds the group's */
};

/* TRYING starts; the keeper sends take_over() with session_id. */
void rules_try(struct group_rules *rules, const pgk_uuid *session_id);

/* Answers of take_over(). `wait_ns` is counted from now, which is not before the lock was taken. */
enum group_act rules_taken(struct group_rules *rules, int64_t now_ns, int64_t epoch,
                           int64_t wait_ns);
void rules_busy(struct group_rules *rules, int64_t now_ns, int32_t holder, int64_t epoch);
void rules_reserved(struct group_rules *rules, int64_t now_ns, int64_t wait_ns);

/* A row has been read. `me` is this process's member id. */
enum group_act rules_row(struct group_rules *rules, int64_t now_ns, int32_t me,
                         const struct group_row *row);

/* Somebody says that the group has just been released. */
void rules_hint_released(struct group_rules *rules, int64_t now_ns);

/* The process of a member is gone. */
void rules_member_gone(struct group_rules *rules, int64_t now_ns, int32_t member);

/* Time has passed. */
enum group_act rules_tick(struct group_rules *rules, int64_t now_ns);

/* Give up: by the application, at a request, at leave. From GRACE nothing has to be revoked. */
enum group_act rules_resign(struct group_rules *rules, const char *reason);

/* A fenced write was refused, or the row is another's: the tenure is over while the lock is still
 * held. */
enum group_act rules_fenced(struct group_rules *rules);

/* Nobody contends any more and nothing is left to revoke: GRACE or LEADING goes to RELEASING. */
void rules_decline(struct group_rules *rules);

/* The revokes have been delivered (a late call is nothing). */
void rules_revoked(struct group_rules *rules);

/* release() was answered; tries again no sooner than stand_back_ns from now. */
void rules_released(struct group_rules *rules, int64_t now_ns, int64_t stand_back_ns);

/* The lock session is lost, and with it the lock. ACT_END when there was a tenure to revoke. */
enum group_act rules_session_lost(struct group_rules *rules, const char *reason);

/* The lock session is there (again). */
void rules_session_ready(struct group_rules *rules, int64_t now_ns);

/* True while the group's advisory lock is, or may be, held by this process. */
bool rules_holds(const struct group_rules *rules);

#endif
