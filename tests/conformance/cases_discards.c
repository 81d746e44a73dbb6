/* tests/conformance/cases_discards.c - contract 7, what becomes of checkpoints that left the list, and the end of a job. */
#include "suite.h"

struct bin {
    char text[128]; /* ids in the order in which they came */
    char content[32];
    int calls;
    pgk_status answer;
    pgk_job_registry *registry; /* used inside the callback; or NULL */
    pgk_ha *closes;             /* closed inside the callback; or NULL */
    pgk_status used;
};

static pgk_status throw_away(void *user, const pgk_checkpoint *checkpoint)
{
    struct bin *bin = user;
    size_t length = strlen(bin->text);
    bin->calls++;
    snprintf(bin->text + length, sizeof(bin->text) - length, "%lld ",
             (long long)checkpoint->checkpoint_id);
    snprintf(bin->content, sizeof(bin->content), "%.*s", (int)checkpoint->metadata_bytes,
             checkpoint->metadata != NULL ? (const char *)checkpoint->metadata : "");
    if (bin->registry != NULL) {
        pgk_uuid job = job_of(1);
        bin->used = pgk_job_registry_set_running(bin->registry, &job, NULL);
    }
    if (bin->closes != NULL) {
        bin->used = pgk_ha_close(bin->closes, NULL);
    }
    return bin->answer;
}

/* Ids of what is discarding, oldest first; all of it stays. */
static const char *pending(struct scene *s, pgk_ha *ha)
{
    static struct bin bin;
    int64_t left = -1;
    bin = (struct bin){.answer = PGK_ERR_IO};
    WORKS(s, pgk_ha_discard_pending(ha, PGK_UNFENCED, NULL, throw_away, &bin, &left, &s->err));
    assert_int_equal(left, bin.calls);
    return bin.text;
}

static void success__deletes_the_entry(struct scene *s)
{
    struct bin bin = {.answer = PGK_OK};
    pgk_ha *ha = scene_open(s);
    pgk_checkpoints *store = scene_checkpoints(s, ha, PGK_UNFENCED, 1, throw_away, &bin);
    add_checkpoint(s, store, 1, PGK_CHECKPOINT);
    assert_int_equal(bin.calls, 0);
    add_checkpoint(s, store, 2, PGK_CHECKPOINT);
    assert_string_equal(bin.text, "1 ");
    assert_string_equal(bin.content, "metadata");
    assert_string_equal(pending(s, ha), "");
    add_checkpoint(s, store, 1, PGK_CHECKPOINT); /* its id is free again */
}

static void failure__is_not_that_of_add_and_is_tried_again(struct scene *s)
{
    struct bin bin = {.answer = PGK_ERR_IO};
    int64_t left = -1;
    pgk_ha *ha = scene_open(s);
    pgk_checkpoints *store = scene_checkpoints(s, ha, PGK_UNFENCED, 1, throw_away, &bin);
    add_checkpoints(s, store, "cc");
    assert_string_equal(bin.text, "1 ");
    add_checkpoint(s, store, 3, PGK_CHECKPOINT);
    assert_string_equal(bin.text, "1 1 2 ");
    WORKS(s, pgk_checkpoints_discard_pending(store, &left, &s->err));
    assert_int_equal(left, 2);
    bin.answer = PGK_OK;
    WORKS(s, pgk_checkpoints_discard_pending(store, &left, &s->err));
    assert_int_equal(left, 0);
    assert_string_equal(pending(s, ha), "");
}

static void savepoint_that_leaves__is_never_discarded(struct scene *s)
{
    struct bin bin = {.answer = PGK_OK};
    pgk_ha *ha = scene_open(s);
    pgk_checkpoints *store = scene_checkpoints(s, ha, PGK_UNFENCED, 1, throw_away, &bin);
    add_checkpoints(s, store, "ssss");
    assert_string_equal(checkpoints_text(s, store), "4");
    assert_int_equal(bin.calls, 0);
    assert_string_equal(pending(s, ha), "");
}

static void without_callback__they_wait_for_whoever_discards(struct scene *s)
{
    struct bin bin = {.answer = PGK_OK};
    int64_t left = -1;
    pgk_ha *ha = scene_open(s);
    pgk_checkpoints *store = scene_checkpoints(s, ha, PGK_UNFENCED, 1, NULL, NULL);
    add_checkpoints(s, store, "cccc");
    FAILS(s, PGK_ERR_ILLEGAL_STATE, pgk_checkpoints_discard_pending(store, &left, &s->err));
    assert_string_equal(pending(s, ha), "1 2 3 ");
    WORKS(s, pgk_ha_discard_pending(ha, PGK_UNFENCED, NULL, throw_away, &bin, &left, &s->err));
    assert_int_equal(left, 0);
    assert_string_equal(bin.text, "1 2 3 ");
    assert_string_equal(pending(s, ha), "");
}

static void of_one_job__others_wait(struct scene *s)
{
    struct bin bin = {.answer = PGK_OK};
    int64_t left = -1;
    pgk_uuid one = job_of(1);
    pgk_ha *ha = scene_open(s);
    pgk_checkpoints *store = scene_checkpoints(s, ha, PGK_UNFENCED, 1, NULL, NULL);
    pgk_checkpoints *other = scene_checkpoints_of(s, ha, 2);
    add_checkpoints(s, store, "cc");
    add_checkpoint(s, other, 11, PGK_CHECKPOINT);
    add_checkpoint(s, other, 12, PGK_CHECKPOINT);
    WORKS(s, pgk_ha_discard_pending(ha, PGK_UNFENCED, &one, throw_away, &bin, &left, &s->err));
    assert_string_equal(bin.text, "1 ");
    assert_int_equal(left, 0);
    assert_string_equal(pending(s, ha), "11 ");
}

static void next_leader__finishes_what_the_former_left(struct scene *s)
{
    pgk_token token;
    struct bin bin = {.answer = PGK_OK};
    int64_t left = -1;
    pgk_ha *first = scene_open(s);
    pgk_ha *second = scene_open(s);
    scene_lead(s, first, &token);
    pgk_checkpoints *store = scene_checkpoints(s, first, &token, 1, NULL, NULL);
    add_checkpoints(s, store, "cc");
    WORKS(s, pgk_ha_close(first, &s->err));
    scene_lead(s, second, &token);
    WORKS(s, pgk_ha_discard_pending(second, &token, NULL, throw_away, &bin, &left, &s->err));
    assert_string_equal(bin.text, "1 ");
    assert_int_equal(left, 0);
}

static void in_the_callback__other_stores_work(struct scene *s)
{
    struct bin bin = {.answer = PGK_OK, .used = PGK_ERR_INTERNAL};
    pgk_ha *ha = scene_open(s);
    bin.registry = scene_registry(s, ha, PGK_UNFENCED);
    pgk_checkpoints *store = scene_checkpoints(s, ha, PGK_UNFENCED, 1, throw_away, &bin);
    add_checkpoints(s, store, "cc");
    assert_int_equal(bin.used, PGK_OK);
    assert_int_equal(registry_status(s, bin.registry, 1), PGK_SCHEDULING_RUNNING);
}

static void in_the_callback__closing_the_handle_does_no_harm(struct scene *s)
{
    struct bin bin = {.answer = PGK_OK, .used = PGK_ERR_INTERNAL};
    bin.closes = scene_open(s);
    pgk_checkpoints *store = scene_checkpoints(s, bin.closes, PGK_UNFENCED, 1, throw_away, &bin);
    add_checkpoints(s, store, "cc");
    assert_int_equal(bin.used, PGK_OK);
    assert_int_equal(bin.calls, 1);
}

/* ------------------------------------------------------------------ shutdown */

/* Shuts a job down that has one checkpoint of each policy, and a savepoint; what is then discarding, and what is left in
 * the list. */
static void shut_down(struct scene *s, pgk_job_status status, const char *discarding,
                      const char *listed)
{
    pgk_ha *ha = scene_open(s);
    pgk_checkpoint late = checkpoint_of(9, PGK_CHECKPOINT);
    pgk_checkpoints *store = scene_checkpoints(s, ha, PGK_UNFENCED, 9, NULL, NULL);
    for (int i = 0; i < 3; i++) {
        pgk_checkpoint checkpoint = checkpoint_of(i + 1, PGK_CHECKPOINT);
        checkpoint.retention = (pgk_retention)i;
        WORKS(s, pgk_checkpoints_add(store, &checkpoint, &s->err));
    }
    add_checkpoint(s, store, 4, PGK_SAVEPOINT);
    for (int i = 0; i < 2; i++) { /* idempotent */
        WORKS(s, pgk_checkpoints_shutdown(store, status, &s->err));
        assert_string_equal(pending(s, ha), discarding);
        assert_string_equal(
            checkpoints_text(s, scene_checkpoints(s, ha, PGK_UNFENCED, 9, NULL, NULL)), listed);
    }
    FAILS(s, PGK_ERR_ILLEGAL_STATE, pgk_checkpoints_add(store, &late, &s->err));
}

static void shutdown_finished__all_but_savepoints_are_discarded(struct scene *s)
{
    shut_down(s, PGK_JOB_FINISHED, "1 2 3 ", "");
}

static void shutdown_failed__each_by_its_policy(struct scene *s)
{
    shut_down(s, PGK_JOB_FAILED, "1 ", "");
}

static void shutdown_canceled__each_by_its_policy(struct scene *s)
{
    shut_down(s, PGK_JOB_CANCELED, "1 2 ", "");
}

static void shutdown_suspended__everything_is_kept(struct scene *s)
{
    shut_down(s, PGK_JOB_SUSPENDED, "", "1 2 3 4");
}

static void shutdown_running__everything_is_kept(struct scene *s)
{
    shut_down(s, PGK_JOB_RUNNING, "", "1 2 3 4");
}

static void shutdown_unknown__everything_is_kept(struct scene *s)
{
    shut_down(s, PGK_JOB_UNKNOWN, "", "1 2 3 4");
}

static void shutdown_with_callback__discards_and_may_go_on_later(struct scene *s)
{
    struct bin bin = {.answer = PGK_ERR_IO};
    int64_t left = -1;
    pgk_ha *ha = scene_open(s);
    pgk_checkpoints *store = scene_checkpoints(s, ha, PGK_UNFENCED, 9, throw_away, &bin);
    add_checkpoints(s, store, "cc");
    WORKS(s, pgk_checkpoints_shutdown(store, PGK_JOB_FINISHED, &s->err));
    assert_int_equal(pgk_checkpoints_count(store), 0);
    assert_string_equal(bin.text, "1 2 ");
    bin.answer = PGK_OK;
    WORKS(s, pgk_checkpoints_discard_pending(store, &left, &s->err));
    assert_int_equal(left, 0);
    assert_string_equal(pending(s, ha), "");
}

static const struct conformance_case cases[] = {
    CASE(success__deletes_the_entry),
    CASE(failure__is_not_that_of_add_and_is_tried_again),
    CASE(savepoint_that_leaves__is_never_discarded),
    CASE(without_callback__they_wait_for_whoever_discards),
    CASE(of_one_job__others_wait),
    CASE_NEEDS(next_leader__finishes_what_the_former_left, BIT(ELECTS) | BIT(SHARES)),
    CASE(in_the_callback__other_stores_work),
    CASE(in_the_callback__closing_the_handle_does_no_harm),
    CASE(shutdown_finished__all_but_savepoints_are_discarded),
    CASE(shutdown_failed__each_by_its_policy),
    CASE(shutdown_canceled__each_by_its_policy),
    CASE(shutdown_suspended__everything_is_kept),
    CASE(shutdown_running__everything_is_kept),
    CASE(shutdown_unknown__everything_is_kept),
    CASE(shutdown_with_callback__discards_and_may_go_on_later),
};
AREA(discards, cases);
