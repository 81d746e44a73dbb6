/*
 * services/handle.h - the objects behind the public handles, and what the service files share.
 *
 * One lock, struct pgk_ha's `lock`, guards all that is not constant or atomic; it is lent to the backend
 * and is never held over a callback of the application or an unlocked operation of the backend.
 * Callbacks are level-triggered: nothing is queued but the fact that an object wants a look; what it is
 * told is decided when its turn comes, so that nothing out of date can be delivered.
 */
#ifndef PGK_SERVICES_HANDLE_H
#define PGK_SERVICES_HANDLE_H

#include <stdatomic.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "backend/backend.h"
#include "core/thread.h"
#include "services/async.h"

enum ha_state { HA_OPEN, HA_CLOSING, HA_CLOSED };
enum subject_kind { SUBJECT_ELECTION, SUBJECT_RETRIEVER, SUBJECT_JOB_GRAPHS };
enum subject_state { SUBJECT_NEW, SUBJECT_STARTED, SUBJECT_CLOSING, SUBJECT_CLOSED };

/* What can be called back: the common part of elections, retrievers and job graph stores. */
struct subject {
    enum subject_kind kind;
    enum subject_state state;
    int refs;          /* the user's, and one per callback that runs */
    int running;       /* callbacks on some stack; more than one only when nested on one thread */
    bool dirty;        /* on pgk_ha.dirty */
    uint64_t due_in;   /* dirty: pgk_ha.dispatches when it became so */
    struct pgk_ha *ha; /* holds a reference; constant */
    TAILQ_ENTRY(subject) dirty_link;
    TAILQ_ENTRY(subject) link; /* pgk_ha.subjects, from start until it is closed */
};
TAILQ_HEAD(subject_list, subject);

/* What was granted, or could be. */
struct grant {
    bool live;
    pgk_uuid session_id;
    int64_t epoch;
};

/* The unit of leadership. Lives as long as an election names it, because readers without a lock use it. */
struct ha_group {
    char *name;
    int refs; /* elections */
    struct tenure tenure;
    struct grant current;                /* what its contenders should be granted */
    struct backend_group *backend_group; /* NULL: not joined */
    int contenders;                      /* attached: from start until closed */
    int granted;                         /* grants delivered whose revoke has not returned */
    bool revoke_pending;                 /* the backend waits for revoked() */
    TAILQ_ENTRY(ha_group) link;
};

struct pgk_election {
    struct subject subject; /* first */
    char *component;
    struct ha_group *group; /* constant */
    atomic_bool started;    /* for readers without a lock */
    pgk_contender contender;
    struct grant granted;                /* delivered and not yet revoked */
    int revoking;                        /* revoke callbacks on a stack */
    bool attached;                       /* counts in group->contenders */
    struct backend_component contending; /* while attached, for the backend */
    bool fault_pending;
    bool fault_passed;                       /* it was over before it was delivered */
    pgk_error fault;                         /* to be delivered */
    pgk_error told_fault;                    /* delivered last; PGK_OK: none */
    bool confirming;                         /* a call of ops->confirm is under way */
    pgk_uuid claimed_by;                     /* the tenure that `claimed` was sent in */
    bool confirmed;                          /* `claimed` is known to be written */
    char claimed[PGK_ADDRESS_MAX_BYTES + 1]; /* empty: nothing was sent */
};

struct pgk_retriever {
    struct subject subject; /* first */
    char *component;
    pgk_leader_fn fn;
    void *user;
    struct backend_watch *watch;
    bool known; /* `seen` is a leader */
    pgk_leader seen;
    bool told; /* `announced` is a leader */
    pgk_leader announced;
    int32_t leadership; /* of the group that leads it, as last seen */
    int64_t max_epoch;  /* of all seen of that; nothing older is announced */
};

struct pgk_ha {
    struct settings *settings;
    const struct backend_ops *ops;
    struct backend *backend;
    bool client_only;
    pid_t pid; /* of the process that it works in */
    atomic_bool forgotten;

    pthread_mutex_t lock;
    pthread_cond_t work;    /* for the notifier: something is dirty, or it is to stop */
    pthread_cond_t changed; /* for those who wait: a callback returned, something closed */
    enum ha_state state;
    int refs;  /* the user's, one per subject, one of the notifier, one per call that needs it */
    int calls; /* calls inside the backend's unlocked operations */
    TAILQ_HEAD(, ha_group) groups;
    struct subject_list subjects;
    struct subject_list dirty;

    bool dispatching;     /* somebody has the turn to run callbacks */
    pthread_t dispatcher; /* who, while dispatching */
    int callbacks;        /* on its stack */
    uint64_t dispatches;  /* begun so far: tells what was due before one from what came meanwhile */
    struct thread notifier;
    struct async_pool async;
    bool stop;        /* the notifier is to end */
    bool reaped;      /* it has been joined or detached, or there is none */
    struct wake wake; /* dispatch: manual */
};

/* ha.c */
pgk_status ha_open_with(const struct backend_ops *ops, const pgk_config *config, bool client_only,
                        pgk_ha **ret_ha, pgk_error *err);
bool ha_is_foreign(const pgk_ha *ha);
/* ILLEGAL_STATE in a forked child. Before the lock is taken. */
pgk_status ha_check_process(const pgk_ha *ha, const char *origin, pgk_error *err);
/* Locked. ILLEGAL_STATE unless open. */
pgk_status ha_check_open(const pgk_ha *ha, const char *origin, pgk_error *err);
/* Locked. Drops a reference and the lock; frees the handle with the last one. */
void ha_unref_unlock(pgk_ha *ha);
bool ha_is_manual(const pgk_ha *ha);

/* subject.c, locked but subject_init, subject_lock, subject_close and subject_free */
pgk_status subject_check_component(const char *component, const char *origin, pgk_error *err);
void subject_init(struct subject *subject, enum subject_kind kind, pgk_ha *ha);
void subject_mark_dirty(struct subject *subject);
/* Takes it off the lists: no callback of it begins after this. */
void subject_retire(struct subject *subject);
/* Waits until it is closed and none of its callbacks runs, unless called from a callback; delivers what
 * has to be delivered when nobody else does. */
void subject_settle(struct subject *subject);
/* Drops a reference and the lock; frees the subject with the last one. */
void subject_unref_unlock(struct subject *subject);
/* Takes the lock for a call of the application's. NULL: INVALID_ARGUMENT, naming `what`; ILLEGAL_STATE in a forked
 * child. */
pgk_status subject_lock(const struct subject *subject, const char *what, const char *origin,
                        pgk_error *err);
/* Starts its end: it leaves its group or stops watching, and is told only what it still has to be. Idempotent. */
void subject_begin_close(struct subject *subject);
/* A whole call of the application's: begins to close it and settles it. */
pgk_status subject_close(struct subject *subject, const char *what, const char *origin,
                         pgk_error *err);
/* The same without complaint, NULL included, and the application's reference is gone. */
void subject_free(struct subject *subject);

/* notifier.c, locked */
bool notifier_inside_callback(const pgk_ha *ha);
void notifier_take_turn(pgk_ha *ha);
void notifier_give_turn(pgk_ha *ha);
/* Around a callback of the subject: drop the lock and retake it. */
void notifier_enter(struct subject *subject);
void notifier_leave(struct subject *subject);
/* Calls back what the subject is due, with the turn; drops the lock meanwhile. False: nothing was due.
 * The caller holds a reference to the subject. */
bool notifier_deliver(struct subject *subject);
/* Runs one callback that was due before that dispatch (NOTIFIER_ALL: any); false when none was. */
#define NOTIFIER_ALL UINT64_MAX
bool notifier_run_one(pgk_ha *ha, uint64_t before);
void notifier_run(void *arg);

/* group.c, locked */
struct ha_group *group_get(pgk_ha *ha, const char *name);
void group_put(pgk_ha *ha, struct ha_group *group);
pgk_status group_attach(pgk_ha *ha, pgk_election *election, pgk_error *err);
/* Empties the record of a component that left, if the group goes on leading. */
void group_withdraw(pgk_ha *ha, const pgk_election *election);
void group_detach(pgk_ha *ha, pgk_election *election);
/* The revoke of a delivered grant has returned. */
void group_revoked(pgk_ha *ha, struct ha_group *group);
/* Does this handle lead in that tenure? */
bool group_leads(const pgk_ha *ha, const pgk_uuid *session_id);
struct backend_sink group_sink(pgk_ha *ha);

/* confirm.c, not locked */
/* INVALID_ARGUMENT. */
pgk_status confirm_check_arguments(const pgk_uuid *session_id, const char *address, pgk_error *err);

/* election.c, locked but election_lock */
/* Checks the handle that a call came with, and takes the lock when it is fit. */
pgk_status election_lock(const pgk_election *election, const char *origin, pgk_error *err);
/* ILLEGAL_STATE unless started. */
pgk_status election_check_started(const pgk_election *election, const char *origin, pgk_error *err);
bool election_deliver(pgk_election *election);
void election_begin_close(pgk_election *election);
/* Closed when nothing of it is left to deliver, or at once by force. */
void election_finish_close(pgk_election *election, bool force);
void election_free(pgk_election *election);

/* retrieval.c, locked */
bool retriever_deliver(pgk_retriever *retriever);
void retriever_begin_close(pgk_retriever *retriever);
void retriever_see(pgk_retriever *retriever, int32_t leadership, const pgk_leader *leader);
void retriever_free(pgk_retriever *retriever);

#endif
