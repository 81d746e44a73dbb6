/*
 * tests/lib/checkpoint_scene.h - the checkpoints of job 1 under test, unfenced: opening them, adding, what is there.
 * The test's own thread.
 */
#ifndef PGK_TESTS_CHECKPOINT_SCENE_H
#define PGK_TESTS_CHECKPOINT_SCENE_H

#include "store_tools.h"

/* What an enumeration handed out; zero it before use. */
struct checkpoint_seen {
    int count;
    int64_t ids[64];
    int corrupt;
    pgk_checkpoint last;
    char content[64];
    pgk_status answer;
};
/* A row function; user: struct checkpoint_seen. */
pgk_status checkpoint_see(void *user, const pgk_checkpoint *checkpoint);

struct checkpoint_scene {
    struct fixture *fixture;
    pgk_ha *ha;
    pgk_checkpoints *store;
    pgk_error err;
};
void checkpoint_scene_open(struct checkpoint_scene *s, void **state, int max_retained,
                           pgk_discard_fn discard, void *user);
void checkpoint_scene_close(struct checkpoint_scene *s);
/* Another store of the same job and handle. */
pgk_checkpoints *checkpoint_store(struct checkpoint_scene *s, int max_retained,
                                  pgk_discard_fn discard, void *user);
/* Adds an entry to the scene's store. */
void checkpoint_add(struct checkpoint_scene *s, int64_t id, pgk_checkpoint_kind kind);
/* Adds 1, 2, ... of these kinds, see checkpoints_add_all. */
void checkpoint_add_all(struct checkpoint_scene *s, const char *kinds);
/* "1 completed, 2 discarding" */
const char *checkpoint_states(struct checkpoint_scene *s);

#endif
