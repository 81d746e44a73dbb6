/*
 * tests/conformance/scene.h - what a case stands on: a cluster id of its own, handles of the mode under test, contenders and
 * followers that write down what they are told, stores. All of it is freed after the case, also when it failed.
 * The test's main thread; callbacks write from others.
 */
#ifndef PGK_CONFORMANCE_SCENE_H
#define PGK_CONFORMANCE_SCENE_H

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ear.h"
#include "modes.h"
#include "recorder.h"
#include "store_tools.h"

#define SCENE_HANDLES 16
#define SCENE_PARTS 40
#define SCENE_THINGS 64

struct scene {
    const struct mode *mode;
    char cluster[64];
    char elsewhere[80]; /* another cluster id */
    pgk_error err;
    pgk_ha *handles[SCENE_HANDLES];
    int handle_count;
    struct part parts[SCENE_PARTS]; /* each with a recorder of its own */
    int part_count;
    /* Freed at the end, the last one first: stores before the handles, memory once no callback can come any more. */
    struct things {
        struct thing {
            void (*free)(void *thing);
            void *thing;
        } list[SCENE_THINGS];
        int count;
    } stores, memory;
    char dir[64]; /* of scene_path; "": not made yet */
    char path[4][128];
    int next_path;
    void *user; /* the case's own */
};

void scene_begin(struct scene *s, const struct mode *mode, int number);
void scene_end(struct scene *s);

/* Says which statuses were answered and wanted, and why. */
void scene_expect(struct scene *s, pgk_status wanted, pgk_status answer, const char *call);
/* Asserts that a call worked; it must fill s->err. */
#define WORKS(s, call)                                                                             \
    scene_expect(s, PGK_OK, (memset(&(s)->err, 0xaa, sizeof((s)->err)), (call)), #call)
/* Asserts that a call failed with that status, filled s->err, and says why in a sentence. */
#define FAILS(s, wanted, call)                                                                     \
    scene_expect(s, wanted, (memset(&(s)->err, 0xaa, sizeof((s)->err)), (call)), #call)

/* Handles of the scene's cluster, members "m0", "m1", ... as they are opened; as if each were a process. */
pgk_ha *scene_open(struct scene *s);
pgk_ha *scene_client(struct scene *s);
/* With pairs of key and value on top, ending with NULL. */
pgk_ha *scene_open_with(struct scene *s, const char *key, ...) __attribute__((sentinel));
pgk_config *scene_config(struct scene *s);
/* Closes, which must work, and frees. */
void scene_close(struct scene *s, pgk_ha *ha);
/* The case has freed it. */
void scene_forget(struct scene *s, const pgk_ha *ha);

/* Makes and starts an election; the part has its hook set before, if any. */
struct part *scene_contend(struct scene *s, pgk_ha *ha, const char *component);
struct part *scene_contend_in(struct scene *s, pgk_ha *ha, const char *component,
                              const char *group);
struct part *scene_contend_hooked(struct scene *s, pgk_ha *ha, const char *component,
                                  void (*hook)(struct part *part, const char *kind), void *user);
struct part *scene_follow(struct scene *s, pgk_ha *ha, const char *component);
struct part *scene_follow_hooked(struct scene *s, pgk_ha *ha, const char *component,
                                 void (*hook)(struct part *part, const char *kind), void *user);
/* Contends for "dispatcher" and waits for the grant; *ret_token may be NULL. */
struct part *scene_lead(struct scene *s, pgk_ha *ha, pgk_token *ret_token);

/* What a part has been told so far: "grant", "revoke", "error", "leader". */
size_t part_count(const struct part *part, const char *kind);
#define PART_WAIT(part, kind, times) WAIT_UNTIL(part_count(part, kind) >= (times), WAIT_LONG_MS)
bool part_leads(const struct part *part);
/* Waits for the next leader that a follower is told, which must have that address; NULL: none. Returns its epoch. */
int64_t part_hears(struct part *part, const char *address);
/* Ends the tenure of a leading part from outside; the part has been revoked when this returns. */
void scene_depose(struct scene *s, struct part *part);
/* Ends it, and waits for the next grant of the same part. */
void scene_depose_once(struct scene *s, struct part *part);
/* Lets pass the time after which what has not been told is not told. */
void scene_quiet(const struct scene *s);
/* Waits until the n-th handle's member waits for leadership. */
void scene_await_contender(struct scene *s, int member);

/* Stores; graphs are started, and freed with the scene. */
pgk_job_graphs *scene_graphs(struct scene *s, pgk_ha *ha, const pgk_token *token);
/* Two of one handle: what one owns the other does not. */
void scene_two_graphs(struct scene *s, pgk_ha *ha, const pgk_token *token, pgk_job_graphs **ret_one,
                      pgk_job_graphs **ret_other);
/* Unfenced, in a handle of their own; `one` has put job 1 and owns it, `other` has recovered and replaced it ("two"). */
void scene_changed_graph(struct scene *s, pgk_job_graphs **ret_one, pgk_job_graphs **ret_other);
pgk_job_graphs *scene_graphs_listening(struct scene *s, pgk_ha *ha, const pgk_token *token,
                                       struct ear *ear);
pgk_job_results *scene_results(struct scene *s, pgk_ha *ha, const pgk_token *token);
pgk_job_registry *scene_registry(struct scene *s, pgk_ha *ha, const pgk_token *token);
/* Of job 1. */
pgk_checkpoints *scene_checkpoints(struct scene *s, pgk_ha *ha, const pgk_token *token,
                                   int max_retained, pgk_discard_fn discard, void *user);
/* Of any job, unfenced; at most one is retained, and nothing discards. */
pgk_checkpoints *scene_checkpoints_of(struct scene *s, pgk_ha *ha, int job);
pgk_checkpoint_counter *scene_counter(struct scene *s, pgk_ha *ha, const pgk_token *token);
pgk_blobs *scene_blobs(struct scene *s, pgk_ha *ha, const pgk_token *token);
struct ear *scene_ear(struct scene *s);
/* Zeroed memory that is freed with the scene. */
void *scene_memory(struct scene *s, size_t bytes);

/* The path of a name in a directory of the case; lives until the fourth call after it. */
const char *scene_path(struct scene *s, const char *name);
/* How many files there are in it. */
int scene_files(struct scene *s);

/* Starts another process of the cluster that contends for "dispatcher": what it says first, "granted" or "waiting". */
struct process *scene_probe(struct scene *s, const char **ret_word);

/* Stores and reads back: small steps that many areas need. */
void put_graph(struct scene *s, pgk_job_graphs *store, int job, const char *text);
/* A row function that counts the graphs, and notes which jobs below 64 came whole with the bytes "graph". */
struct graph_tally {
    int calls;
    int refuse_at; /* the call that answers PGK_ERR_IO; 0: none */
    bool seen[64];
};
pgk_status tally_graph(void *user, const pgk_job_graph *graph);
/* The text of a stored graph, "-" when there is none; lives until the next call. */
const char *graph_text(struct scene *s, pgk_job_graphs *store, int job);
/* "3" for a dirty result of job 3, "(3)" for a clean one, separated by blanks; lives until the next call. */
const char *results_text(struct scene *s, pgk_job_results *store);
/* Ids of the completed entries, separated by blanks; lives until the next call. */
const char *checkpoints_text(struct scene *s, pgk_checkpoints *store);
void add_checkpoint(struct scene *s, pgk_checkpoints *store, int64_t id, pgk_checkpoint_kind kind);
/* Adds 1, 2, ... of these kinds, see checkpoints_add_all. */
void add_checkpoints(struct scene *s, pgk_checkpoints *store, const char *kinds);
pgk_scheduling_status registry_status(struct scene *s, pgk_job_registry *registry, int job);
int64_t counter_next(struct scene *s, pgk_checkpoint_counter *counter);
void put_blob(struct scene *s, pgk_blobs *blobs, int job, const char *text, pgk_blob_key *ret_key);
bool blob_exists(struct scene *s, pgk_blobs *blobs, int job, const pgk_blob_key *key);
/* Gets a blob of put_pattern and compares all of it. */
void expect_pattern(struct scene *s, pgk_blobs *blobs, const pgk_uuid *job_id,
                    const pgk_blob_key *key, size_t bytes, unsigned seed);

#endif
