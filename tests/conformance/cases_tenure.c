/* tests/conformance/cases_tenure.c - contract 2, what a leader does with its tenure: confirming an address, resigning, tokens. */
#include "suite.h"

/* ------------------------------------------------------------------ confirm */

static void confirm_before_start__illegal_state(struct scene *s)
{
    pgk_election *election = NULL;
    pgk_uuid id;
    pgk_uuid_new(&id);
    WORKS(s, pgk_ha_election(scene_open(s), "dispatcher", &election, &s->err));
    FAILS(s, PGK_ERR_ILLEGAL_STATE, pgk_election_confirm(election, &id, "a", &s->err));
    pgk_election_free(election);
}

static void confirm_with_another_id__fenced_and_nothing_told(struct scene *s)
{
    struct part *leader = scene_lead(s, scene_open(s), NULL);
    struct part *follower = scene_follow(s, scene_client(s), "dispatcher");
    pgk_uuid id;
    pgk_uuid_new(&id);
    FAILS(s, PGK_ERR_FENCED, pgk_election_confirm(leader->election, &id, "a", &s->err));
    part_confirm(leader, "b");
    part_hears(follower, "b");
    assert_int_equal(part_count(follower, "leader"), 1);
}

static void confirm_without_leading__fenced(struct scene *s)
{
    struct part *leader = scene_lead(s, scene_open(s), NULL);
    struct part *waiting = scene_contend(s, scene_open(s), "dispatcher");
    scene_await_contender(s, 1);
    FAILS(s, PGK_ERR_FENCED,
          pgk_election_confirm(waiting->election, &leader->session_id, "a", &s->err));
}

static void confirm_same_address_again__fine(struct scene *s)
{
    struct part *leader = scene_lead(s, scene_open(s), NULL);
    for (int i = 0; i < 3; i++) {
        part_confirm(leader, "a");
    }
}

static void confirm_another_address_in_one_tenure__illegal_state(struct scene *s)
{
    pgk_leader found;
    struct part *leader = scene_lead(s, scene_open(s), NULL);
    part_confirm(leader, "a");
    FAILS(s, PGK_ERR_ILLEGAL_STATE,
          pgk_election_confirm(leader->election, &leader->session_id, "b", &s->err));
    struct part *follower = scene_follow(s, scene_client(s), "dispatcher");
    part_hears(follower, "a");
    WORKS(s, pgk_retriever_get(follower->retriever, &found, &s->err));
    assert_string_equal(found.address, "a");
}

static void confirm_another_address_in_a_new_tenure__fine(struct scene *s)
{
    struct part *leader = scene_lead(s, scene_open(s), NULL);
    part_confirm(leader, "a");
    scene_depose_once(s, leader);
    part_confirm(leader, "b");
    part_hears(scene_follow(s, scene_client(s), "dispatcher"), "b");
}

static void confirm_with_the_id_of_a_former_tenure__fenced(struct scene *s)
{
    struct part *leader = scene_lead(s, scene_open(s), NULL);
    pgk_uuid old = leader->session_id;
    scene_depose_once(s, leader);
    FAILS(s, PGK_ERR_FENCED, pgk_election_confirm(leader->election, &old, "a", &s->err));
    part_confirm(leader, "b");
}

static void confirm_after_close__refused(struct scene *s)
{
    struct part *leader = scene_lead(s, scene_open(s), NULL);
    WORKS(s, pgk_election_close(leader->election, &s->err));
    assert_int_not_equal(pgk_election_confirm(leader->election, &leader->session_id, "a", &s->err),
                         PGK_OK);
    assert_true(strlen(s->err.message) > 8);
}

static void confirm_bad_addresses__invalid_argument(struct scene *s)
{
    struct part *leader = scene_lead(s, scene_open(s), NULL);
    char long_address[PGK_ADDRESS_MAX_BYTES + 2] = "";
    memset(long_address, 'a', PGK_ADDRESS_MAX_BYTES + 1);
    const char *const bad[] = {"", "a\x80", "\xc0\xaf", "\xf5\x80\x80\x80", long_address, NULL};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        FAILS(s, PGK_ERR_INVALID_ARGUMENT,
              pgk_election_confirm(leader->election, &leader->session_id, bad[i], &s->err));
    }
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_election_confirm(leader->election, NULL, "a", &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT,
          pgk_election_confirm(NULL, &leader->session_id, "a", &s->err));
    part_confirm(leader, "good");
}

static void confirm_of_a_component_that_another_group_publishes__conflict(struct scene *s)
{
    pgk_ha *one = scene_open(s);
    struct part *left = scene_contend_in(s, one, "x", "left");
    part_granted(left);
    part_confirm(left, "at left");
    struct part *right = scene_contend_in(s, scene_open(s), "x", "right");
    part_granted(right);
    FAILS(s, PGK_ERR_CONFLICT,
          pgk_election_confirm(right->election, &right->session_id, "at right", &s->err));
    struct part *follower = scene_follow(s, scene_client(s), "x");
    part_hears(follower, "at left");
    scene_close(s, one);
    part_confirm(right, "at right");
}

static void taken_over__the_former_address_is_gone_before_the_new_one(struct scene *s)
{
    pgk_leader found;
    struct part *leader = scene_lead(s, scene_open(s), NULL);
    part_confirm(leader, "old");
    struct part *follower = scene_follow(s, scene_client(s), "dispatcher");
    part_hears(follower, "old");
    scene_depose_once(s, leader); /* and it does not confirm */
    part_hears(follower, NULL);
    FAILS(s, PGK_ERR_NOT_FOUND, pgk_retriever_get(follower->retriever, &found, &s->err));
    part_confirm(leader, "new");
    part_hears(follower, "new");
}

/* ------------------------------------------------------------------ resign */

static void resign__another_leads(struct scene *s)
{
    struct part *leader = scene_lead(s, scene_open(s), NULL);
    struct part *other = scene_contend(s, scene_open(s), "dispatcher");
    int64_t epoch = leader->epoch;
    scene_await_contender(s, 1);
    WORKS(s, pgk_election_resign(leader->election, &s->err));
    assert_int_equal(part_revoked(leader), epoch);
    assert_true(part_granted(other) > epoch);
    assert_true(part_leads(other));
    assert_false(part_leads(leader));
}

static void resign_there_and_back__six_times(struct scene *s)
{
    struct part *parts[2];
    parts[0] = scene_lead(s, scene_open(s), NULL);
    parts[1] = scene_contend(s, scene_open(s), "dispatcher");
    scene_await_contender(s, 1);
    for (int i = 0; i < 6; i++) {
        struct part *from = parts[i % 2];
        struct part *to = parts[(i + 1) % 2];
        WORKS(s, pgk_election_resign(from->election, &s->err));
        part_revoked(from);
        part_granted(to);
        assert_true(part_leads(to));
    }
}

static void resign_with_nobody_else__leads_again(struct scene *s)
{
    struct part *leader = scene_lead(s, scene_open(s), NULL);
    int64_t epoch = leader->epoch;
    WORKS(s, pgk_election_resign(leader->election, &s->err));
    part_revoked(leader);
    assert_true(part_granted(leader) > epoch);
    assert_true(part_leads(leader));
}

static void resign_without_leading__illegal_state(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    pgk_election *idle = NULL;
    struct part *leader = scene_lead(s, ha, NULL);
    struct part *waiting = scene_contend(s, scene_open(s), "dispatcher");
    FAILS(s, PGK_ERR_ILLEGAL_STATE, pgk_election_resign(waiting->election, &s->err));
    WORKS(s, pgk_ha_election(ha, "idle", &idle, &s->err));
    FAILS(s, PGK_ERR_ILLEGAL_STATE, pgk_election_resign(idle, &s->err));
    assert_true(part_leads(leader));
    pgk_election_free(idle);
}

static void resign__all_components_of_the_group(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    struct part *x = scene_contend(s, ha, "x");
    struct part *y = scene_contend(s, ha, "y");
    part_granted(x);
    part_granted(y);
    struct part *other = scene_contend(s, scene_open(s), "x");
    scene_await_contender(s, 1);
    WORKS(s, pgk_election_resign(x->election, &s->err));
    part_revoked(x);
    part_revoked(y);
    part_granted(other);
}

struct resigning {
    atomic_int done;
    pgk_status status;
};

static void resign_once(struct part *part, const char *kind)
{
    struct resigning *resigning = part->user;
    if (strcmp(kind, "grant") == 0 && atomic_load(&resigning->done) == 0) {
        resigning->status = pgk_election_resign(part->election, NULL);
        atomic_store(&resigning->done, 1);
    }
}

static void resign_inside_grant__revoked_and_another_leads(struct scene *s)
{
    struct resigning *resigning = scene_memory(s, sizeof(*resigning));
    struct part *other = scene_lead(s, scene_open(s), NULL);
    struct part *leader =
        scene_contend_hooked(s, scene_open(s), "dispatcher", resign_once, resigning);
    scene_await_contender(s, 1);
    WORKS(s, pgk_election_resign(other->election, &s->err));
    part_revoked(leader);
    assert_int_equal(resigning->status, PGK_OK);
    part_granted(other);
}

static void resign__the_address_goes(struct scene *s)
{
    struct part *leader = scene_lead(s, scene_open(s), NULL);
    part_confirm(leader, "a");
    struct part *follower = scene_follow(s, scene_client(s), "dispatcher");
    part_hears(follower, "a");
    WORKS(s, pgk_election_resign(leader->election, &s->err));
    part_hears(follower, NULL);
}

static void without__resigned_and_granted_again(struct scene *s)
{
    struct part *leader = scene_lead(s, scene_open(s), NULL);
    WORKS(s, pgk_election_resign(leader->election, &s->err));
    part_revoked(leader);
    assert_int_equal(part_granted(leader), 0);
    assert_true(pgk_uuid_is_nil(&leader->session_id));
    assert_true(part_leads(leader));
}

/* ------------------------------------------------------------------ tokens */

static void token__is_of_the_present_tenure(struct scene *s)
{
    pgk_token token;
    pgk_token again;
    struct part *leader = scene_lead(s, scene_open(s), &token);
    assert_int_equal(token.epoch, leader->epoch);
    assert_int_equal(pgk_uuid_compare(&token.session_id, &leader->session_id), 0);
    assert_true(strlen(token.epoch_text) > 0 && strlen(token.epoch_text) < PGK_EPOCH_TEXT_SIZE);
    scene_depose_once(s, leader);
    WORKS(s, pgk_election_token(leader->election, &again, &s->err));
    assert_true(again.epoch > token.epoch);
}

static void token_without_leading__fenced(struct scene *s)
{
    pgk_token token;
    scene_lead(s, scene_open(s), NULL);
    struct part *waiting = scene_contend(s, scene_open(s), "dispatcher");
    FAILS(s, PGK_ERR_FENCED, pgk_election_token(waiting->election, &token, &s->err));
}

static void token_before_start_and_after_close__illegal_state(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    pgk_election *idle = NULL;
    pgk_token token;
    WORKS(s, pgk_ha_election(ha, "idle", &idle, &s->err));
    FAILS(s, PGK_ERR_ILLEGAL_STATE, pgk_election_token(idle, &token, &s->err));
    pgk_election_free(idle);
    struct part *leader = scene_lead(s, ha, NULL);
    WORKS(s, pgk_election_close(leader->election, &s->err));
    FAILS(s, PGK_ERR_ILLEGAL_STATE, pgk_election_token(leader->election, &token, &s->err));
}

/* Every way to open a store with a token that is none. */
static void refuse_token(struct scene *s, pgk_ha *ha, const pgk_token *token)
{
    pgk_job_graphs *graphs = NULL;
    pgk_job_results *results = NULL;
    pgk_job_registry *registry = NULL;
    pgk_checkpoints *checkpoints = NULL;
    pgk_checkpoint_counter *counter = NULL;
    pgk_blobs *blobs = NULL;
    pgk_uuid job = job_of(1);
    pgk_checkpoints_options options = {.size = sizeof(options), .job_id = job, .max_retained = 1};
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_ha_job_graphs(ha, token, &graphs, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_ha_job_results(ha, token, &results, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_ha_job_registry(ha, token, &registry, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT,
          pgk_ha_checkpoints(ha, token, &options, &checkpoints, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT,
          pgk_ha_checkpoint_counter(ha, token, &job, &counter, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_ha_blobs(ha, token, &blobs, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_ha_cleanup_job(ha, token, &job, NULL, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_ha_cleanup_all(ha, token, NULL, &s->err));
}

static void no_token__refused_by_every_store(struct scene *s)
{
    refuse_token(s, scene_open(s), NULL);
}

static void zeroed_token__refused_by_every_store(struct scene *s)
{
    pgk_token token = {.epoch = 0};
    refuse_token(s, scene_open(s), &token);
}

static void copy_of_unfenced__refused_by_every_store(struct scene *s)
{
    pgk_token token = *PGK_UNFENCED;
    refuse_token(s, scene_open(s), &token);
}

static void without__token_is_the_default_one_and_works(struct scene *s)
{
    pgk_token token;
    pgk_uuid job = job_of(1);
    pgk_ha *ha = scene_open(s);
    struct part *leader = scene_lead(s, ha, &token);
    assert_true(pgk_uuid_is_nil(&token.session_id));
    assert_int_equal(token.epoch, 0);
    pgk_job_registry *registry = scene_registry(s, ha, &token);
    WORKS(s, pgk_job_registry_set_running(registry, &job, &s->err));
    assert_int_equal(registry_status(s, registry, 1), PGK_SCHEDULING_RUNNING);
    WORKS(s, pgk_election_close(leader->election, &s->err));
    WORKS(s, pgk_job_registry_set_finished(registry, &job, &s->err));
}

#define LED (BIT(ELECTS) | BIT(PUBLISHES) | BIT(SHARES))

static const struct conformance_case cases[] = {
    CASE(confirm_before_start__illegal_state),
    CASE_NEEDS(confirm_with_another_id__fenced_and_nothing_told, LED),
    CASE_NEEDS(confirm_without_leading__fenced, BIT(ELECTS)),
    CASE(confirm_same_address_again__fine),
    CASE_NEEDS(confirm_another_address_in_one_tenure__illegal_state, LED),
    CASE_NEEDS(confirm_another_address_in_a_new_tenure__fine, LED),
    CASE_NEEDS(confirm_with_the_id_of_a_former_tenure__fenced, BIT(ELECTS)),
    CASE(confirm_after_close__refused),
    CASE(confirm_bad_addresses__invalid_argument),
    CASE_NEEDS(confirm_of_a_component_that_another_group_publishes__conflict, LED),
    CASE_NEEDS(taken_over__the_former_address_is_gone_before_the_new_one, LED),
    CASE_NEEDS(resign__another_leads, BIT(ELECTS)),
    CASE_NEEDS(resign_there_and_back__six_times, BIT(ELECTS)),
    CASE_NEEDS(resign_with_nobody_else__leads_again, BIT(ELECTS)),
    CASE_NEEDS(resign_without_leading__illegal_state, BIT(ELECTS)),
    CASE_NEEDS(resign__all_components_of_the_group, BIT(ELECTS)),
    CASE_NEEDS(resign_inside_grant__revoked_and_another_leads, BIT(ELECTS)),
    CASE_NEEDS(resign__the_address_goes, LED),
    CASE_NEEDS(token__is_of_the_present_tenure, BIT(ELECTS)),
    CASE_NEEDS(token_without_leading__fenced, BIT(ELECTS)),
    CASE(token_before_start_and_after_close__illegal_state),
    CASE(no_token__refused_by_every_store),
    CASE_NEEDS(zeroed_token__refused_by_every_store, BIT(FENCES)),
    CASE_NEEDS(copy_of_unfenced__refused_by_every_store, BIT(FENCES)),
    CASE_WITHOUT(without__resigned_and_granted_again, ELECTS),
    CASE_WITHOUT(without__token_is_the_default_one_and_works, FENCES),
};
AREA(tenure, cases);
