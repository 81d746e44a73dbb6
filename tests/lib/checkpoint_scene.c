/* tests/lib/checkpoint_scene.c - see checkpoint_scene.h. */
#include "checkpoint_scene.h"

#include <stdio.h>

pgk_status checkpoint_see(void *user, const pgk_checkpoint *checkpoint)
{
    struct checkpoint_seen *seen = user;
    if (seen->count < 64) {
        seen->ids[seen->count] = checkpoint->checkpoint_id;
    }
    seen->count++;
    seen->corrupt += checkpoint->status == PGK_ERR_CORRUPT;
    seen->last = *checkpoint;
    if (checkpoint->pointer != NULL) {
        snprintf(seen->content, sizeof(seen->content), "%s", checkpoint->pointer);
    } else {
        snprintf(seen->content, sizeof(seen->content), "%.*s", (int)checkpoint->metadata_bytes,
                 checkpoint->metadata != NULL ? (const char *)checkpoint->metadata : "");
    }
    return seen->answer;
}

pgk_checkpoints *checkpoint_store(struct checkpoint_scene *s, int max_retained,
                                  pgk_discard_fn discard, void *user)
{
    pgk_checkpoints *store = NULL;
    STORE_WORKS(&s->err, checkpoints_open(s->ha, PGK_UNFENCED, 1, max_retained, discard, user,
                                          &store, &s->err));
    return store;
}

void checkpoint_scene_open(struct checkpoint_scene *s, void **state, int max_retained,
                           pgk_discard_fn discard, void *user)
{
    *s = (struct checkpoint_scene){.fixture = *state};
    s->ha = handle_open(s->fixture, "a", NULL);
    s->store = checkpoint_store(s, max_retained, discard, user);
}

void checkpoint_scene_close(struct checkpoint_scene *s)
{
    pgk_checkpoints_free(s->store);
    handle_close(s->ha);
}

void checkpoint_add(struct checkpoint_scene *s, int64_t id, pgk_checkpoint_kind kind)
{
    pgk_checkpoint checkpoint = checkpoint_of(id, kind);
    STORE_WORKS(&s->err, pgk_checkpoints_add(s->store, &checkpoint, &s->err));
}

void checkpoint_add_all(struct checkpoint_scene *s, const char *kinds)
{
    STORE_WORKS(&s->err, checkpoints_add_all(s->store, kinds, &s->err));
}

const char *checkpoint_states(struct checkpoint_scene *s)
{
    return db_text(s->fixture,
                   "SELECT string_agg(checkpoint_id || ' ' || state, ', ' ORDER BY checkpoint_id)"
                   " FROM pgkeeper.checkpoint WHERE job_id = " SQL_JOB(1));
}
