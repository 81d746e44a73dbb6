/* tests/conformance/cases_election.c - contract 2, leader election: who is granted, when, and in what order it is told. */
#include "suite.h"

#define TEN 10

static pgk_election *new_election(struct scene *s, pgk_ha *ha, const char *component)
{
    pgk_election *election = NULL;
    WORKS(s, pgk_ha_election(ha, component, &election, &s->err));
    return election;
}

/* ------------------------------------------------------------------ starting and closing */

static void close_without_start__nothing_happens(struct scene *s)
{
    pgk_election *election = new_election(s, scene_open(s), "dispatcher");
    WORKS(s, pgk_election_close(election, &s->err));
    WORKS(s, pgk_election_close(election, &s->err));
    pgk_election_free(election);
    pgk_election_free(NULL);
}

static void closed_twice__fine_and_revoked_once(struct scene *s)
{
    struct part *part = scene_lead(s, scene_open(s), NULL);
    WORKS(s, pgk_election_close(part->election, &s->err));
    WORKS(s, pgk_election_close(part->election, &s->err));
    assert_int_equal(part_count(part, "revoke"), 1);
}

static void started_twice__illegal_state(struct scene *s)
{
    struct part *part = scene_lead(s, scene_open(s), NULL);
    const pgk_contender contender = {
        .size = sizeof(contender), .grant = ignore_tenure, .revoke = ignore_tenure};
    FAILS(s, PGK_ERR_ILLEGAL_STATE, pgk_election_start(part->election, &contender, &s->err));
    assert_true(part_leads(part));
}

static void started_after_close__illegal_state(struct scene *s)
{
    pgk_election *election = new_election(s, scene_open(s), "dispatcher");
    const pgk_contender contender = {
        .size = sizeof(contender), .grant = ignore_tenure, .revoke = ignore_tenure};
    WORKS(s, pgk_election_close(election, &s->err));
    FAILS(s, PGK_ERR_ILLEGAL_STATE, pgk_election_start(election, &contender, &s->err));
    pgk_election_free(election);
}

static void second_contender_of_a_component_in_a_handle__illegal_state(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    struct part *part = scene_lead(s, ha, NULL);
    pgk_election *second = new_election(s, ha, "dispatcher");
    const pgk_contender contender = {
        .size = sizeof(contender), .grant = ignore_tenure, .revoke = ignore_tenure};
    FAILS(s, PGK_ERR_ILLEGAL_STATE, pgk_election_start(second, &contender, &s->err));
    assert_true(part_leads(part));
    pgk_election_free(second);
}

static void null_callbacks__invalid_argument(struct scene *s)
{
    pgk_election *election = new_election(s, scene_open(s), "dispatcher");
    pgk_contender contender = {.size = sizeof(contender), .grant = ignore_tenure};
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_election_start(election, &contender, &s->err));
    contender.revoke = ignore_tenure;
    contender.grant = NULL;
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_election_start(election, &contender, &s->err));
    contender.grant = ignore_tenure;
    contender.size = 3;
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_election_start(election, &contender, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_election_start(election, NULL, &s->err));
    contender.size = sizeof(contender); /* and what was refused has not started it */
    WORKS(s, pgk_election_start(election, &contender, &s->err));
    pgk_election_free(election);
}

static void bad_names__invalid_argument(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    pgk_election *election = NULL;
    char long_name[PGK_COMPONENT_MAX_BYTES + 2] = "";
    memset(long_name, 'x', PGK_COMPONENT_MAX_BYTES + 1);
    const char *const bad[] = {"", "a\x80", "\xc0\xaf", "\xed\xa0\x80", long_name, NULL};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_ha_election(ha, bad[i], &election, &s->err));
        FAILS(s, PGK_ERR_INVALID_ARGUMENT,
              pgk_ha_election_in_group(ha, "x", bad[i], &election, &s->err));
        FAILS(s, PGK_ERR_INVALID_ARGUMENT,
              pgk_ha_election_in_group(ha, bad[i], "g", &election, &s->err));
    }
    assert_null(election);
}

static void name_of_200_bytes__leads(struct scene *s)
{
    char name[PGK_COMPONENT_MAX_BYTES + 1] = "";
    memset(name, 'x', PGK_COMPONENT_MAX_BYTES);
    struct part *part = scene_contend(s, scene_open(s), name);
    part_granted(part);
    assert_true(part_leads(part));
}

static void job_master__is_a_component_like_any(struct scene *s)
{
    char component[PGK_JOB_COMPONENT_SIZE];
    pgk_uuid job = job_of(7);
    pgk_component_of_job(&job, component);
    assert_string_equal(component, "job-00000000000000000000000000000007");
    struct part *part = scene_contend(s, scene_open(s), component);
    part_granted(part);
    assert_true(part_leads(part));
}

static void service_by_name__is_its_component(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    pgk_election *election = NULL;
    const pgk_contender contender = {
        .size = sizeof(contender), .grant = ignore_tenure, .revoke = ignore_tenure};
    scene_contend(s, ha, PGK_COMPONENT_RESOURCE_MANAGER);
    WORKS(s, pgk_ha_service_election(ha, "Resource Manager", NULL, &election, &s->err));
    FAILS(s, PGK_ERR_ILLEGAL_STATE, pgk_election_start(election, &contender, &s->err));
    pgk_election_free(election);
    FAILS(s, PGK_ERR_INVALID_ARGUMENT,
          pgk_ha_service_election(ha, "job master", NULL, &election, &s->err));
}

static void no_error_callback__is_allowed(struct scene *s)
{
    pgk_election *election = new_election(s, scene_open(s), "dispatcher");
    pgk_token token;
    const pgk_contender contender = {
        .size = sizeof(contender), .grant = ignore_tenure, .revoke = ignore_tenure, .error = NULL};
    WORKS(s, pgk_election_start(election, &contender, &s->err));
    WAIT_UNTIL(pgk_election_token(election, &token, NULL) == PGK_OK, WAIT_LONG_MS);
    pgk_election_free(election);
}

/* ------------------------------------------------------------------ who leads */

static void first_contender__leads_with_a_random_id_and_an_epoch(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    struct part *part = scene_lead(s, ha, NULL);
    assert_false(pgk_uuid_is_nil(&part->session_id));
    assert_true(part->epoch > 0);
    assert_true(part_leads(part));
}

static void another_handle__waits_while_somebody_leads(struct scene *s)
{
    struct part *leader = scene_lead(s, scene_open(s), NULL);
    struct part *other = scene_contend(s, scene_open(s), "dispatcher");
    scene_await_contender(s, 1);
    scene_quiet(s);
    assert_int_equal(part_count(other, "grant"), 0);
    assert_false(part_leads(other));
    assert_true(part_leads(leader));
}

static void leader_closed__the_next_leads(struct scene *s)
{
    pgk_ha *first = scene_open(s);
    struct part *leader = scene_lead(s, first, NULL);
    struct part *other = scene_contend(s, scene_open(s), "dispatcher");
    WORKS(s, pgk_ha_close(first, &s->err));
    assert_true(part_granted(other) > leader->epoch);
    assert_int_not_equal(pgk_uuid_compare(&other->session_id, &leader->session_id), 0);
    assert_true(part_leads(other));
    assert_false(part_leads(leader));
}

static int find_leader(struct part *const parts[], const bool closed[])
{
    for (int64_t end = wait_now_ns() + WAIT_LONG_MS * WAIT_NS_PER_MS; wait_now_ns() < end;) {
        for (int i = 0; i < TEN; i++) {
            if (!closed[i] && part_count(parts[i], "grant") > 0) {
                return i;
            }
        }
        wait_pause_ms(1);
    }
    fail_msg("nobody leads");
    return -1;
}

static void ten_closed_one_after_the_other__each_leads_once(struct scene *s)
{
    struct part *parts[TEN];
    bool closed[TEN] = {false};
    int64_t epoch = 0;
    pgk_uuid ids[TEN];
    for (int i = 0; i < TEN; i++) {
        parts[i] = scene_contend(s, scene_open(s), "dispatcher");
    }
    for (int round = 0; round < TEN; round++) {
        int leader = find_leader(parts, closed);
        assert_true(part_granted(parts[leader]) > epoch);
        epoch = parts[leader]->epoch;
        ids[round] = parts[leader]->session_id;
        for (int i = 0; i < round; i++) {
            assert_int_not_equal(pgk_uuid_compare(&ids[i], &ids[round]), 0);
        }
        for (int i = 0; i < TEN; i++) {
            assert_int_equal(part_leads(parts[i]), i == leader);
        }
        closed[leader] = true;
        WORKS(s, pgk_ha_close(s->handles[leader], &s->err));
    }
    for (int i = 0; i < TEN; i++) {
        assert_int_equal(part_count(parts[i], "grant"), 1);
        assert_int_equal(part_count(parts[i], "revoke"), 1);
    }
}

static void replaced_thirty_times__always_a_leader_and_a_larger_epoch(struct scene *s)
{
    struct part *slots[3];
    pgk_ha *handles[3];
    int64_t epoch = 0;
    for (int i = 0; i < 3; i++) {
        handles[i] = scene_open(s);
        slots[i] = scene_contend_in(s, handles[i], "dispatcher", "three");
        if (i == 0) {
            part_granted(slots[0]);
        }
        scene_await_contender(s, i);
    }
    for (int round = 0; round < 30; round++) {
        int leader = -1;
        for (int64_t end = wait_now_ns() + WAIT_LONG_MS * WAIT_NS_PER_MS;
             leader < 0 && wait_now_ns() < end; wait_pause_ms(1)) {
            for (int i = 0; i < 3; i++) {
                pgk_token token;
                leader = pgk_election_token(slots[i]->election, &token, NULL) == PGK_OK &&
                                 token.epoch > epoch
                             ? i
                             : leader;
                epoch = leader == i ? token.epoch : epoch;
            }
        }
        assert_in_range(leader, 0, 2);
        /* The slot's contender is replaced by a new one of the same handle. */
        part_free(slots[leader]);
        part_contend(slots[leader], slots[leader]->recorder, handles[leader], "dispatcher",
                     "three");
    }
}

static void contender_that_joins_a_leading_group__the_same_tenure(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    struct part *first = scene_lead(s, ha, NULL);
    struct part *second = scene_contend(s, ha, "resource_manager");
    assert_int_equal(part_granted(second), first->epoch);
    assert_int_equal(pgk_uuid_compare(&second->session_id, &first->session_id), 0);
    assert_int_equal(part_count(first, "revoke"), 0);
}

static void scope_process__one_handle_leads_all(struct scene *s)
{
    pgk_ha *ha = scene_open_with(s, "leader-election.scope", "process", NULL);
    struct part *a = scene_lead(s, ha, NULL);
    struct part *waiting = scene_contend(s, scene_open(s), "resource_manager");
    struct part *b = scene_contend(s, ha, "resource_manager");
    part_granted(b);
    assert_int_equal(part_count(waiting, "grant"), 0);
    scene_close(s, ha);
    assert_true(part_granted(waiting) > a->epoch);
}

static void scope_component__each_has_its_own_leader(struct scene *s)
{
    pgk_ha *one = scene_open_with(s, "leader-election.scope", "component", NULL);
    pgk_ha *two = scene_open_with(s, "leader-election.scope", "component", NULL);
    struct part *x = scene_contend(s, one, "x");
    part_granted(x);
    struct part *y = scene_contend(s, two, "y");
    part_granted(y);
    assert_int_not_equal(pgk_uuid_compare(&x->session_id, &y->session_id), 0);
    struct part *x_waits = scene_contend(s, two, "x");
    struct part *y_waits = scene_contend(s, one, "y");
    WORKS(s, pgk_election_close(x->election, &s->err));
    part_granted(x_waits);
    assert_true(part_leads(y));
    assert_int_equal(part_count(y_waits, "grant"), 0);
}

static void named_groups__are_led_apart(struct scene *s)
{
    pgk_ha *one = scene_open(s);
    pgk_ha *two = scene_open(s);
    struct part *left = scene_contend_in(s, one, "x", "left");
    part_granted(left);
    struct part *right = scene_contend_in(s, two, "y", "right");
    part_granted(right);
    assert_true(part_leads(left));
    assert_int_not_equal(pgk_uuid_compare(&left->session_id, &right->session_id), 0);
    struct part *more = scene_contend_in(s, two, "z", "right");
    assert_int_equal(part_granted(more), right->epoch);
}

static void other_cluster__has_its_own_leader(struct scene *s)
{
    struct part *here = scene_lead(s, scene_open(s), NULL);
    struct part *there =
        scene_lead(s, scene_open_with(s, "high-availability.cluster-id", s->elsewhere, NULL), NULL);
    assert_true(part_leads(here));
    assert_true(part_leads(there));
}

static void forty_components__one_tenure(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    struct part *first = scene_lead(s, ha, NULL);
    for (int i = 1; i < SCENE_PARTS; i++) {
        char name[24];
        snprintf(name, sizeof(name), "component %d", i);
        assert_int_equal(part_granted(scene_contend(s, ha, name)), first->epoch);
    }
    WORKS(s, pgk_ha_close(ha, &s->err));
    for (int i = 0; i < SCENE_PARTS; i++) {
        assert_int_equal(part_count(&s->parts[i], "revoke"), 1);
    }
}

static void deposed__revoked_and_granted_anew(struct scene *s)
{
    struct part *part = scene_lead(s, scene_open(s), NULL);
    pgk_uuid old = part->session_id;
    int64_t epoch = part->epoch;
    scene_depose(s, part);
    assert_true(part_granted(part) > epoch);
    assert_false(pgk_election_has_leadership(part->election, &old));
    assert_true(part_leads(part));
}

static void deposed_ten_times__epochs_rise_and_calls_alternate(struct scene *s)
{
    struct part *part = scene_lead(s, scene_open(s), NULL);
    for (int i = 0; i < 10; i++) {
        int64_t epoch = part->epoch;
        s->mode->depose(s->cluster, part->component);
        assert_int_equal(part_revoked(part), epoch);
        assert_true(part_granted(part) > epoch);
    }
    assert_int_equal(part_count(part, "grant"), 11);
    assert_int_equal(part_count(part, "revoke"), 10);
}

static void everybody_left__a_later_leader_has_a_larger_epoch(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    struct part *first = scene_lead(s, ha, NULL);
    WORKS(s, pgk_election_close(first->election, &s->err));
    struct part *second = scene_lead(s, ha, NULL);
    assert_true(second->epoch > first->epoch);
    assert_int_not_equal(pgk_uuid_compare(&first->session_id, &second->session_id), 0);
}

/* ------------------------------------------------------------------ leaving */

static void one_component_closed__others_go_on_leading(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    struct part *x = scene_contend(s, ha, "x");
    struct part *y = scene_contend(s, ha, "y");
    part_granted(x);
    part_granted(y);
    WORKS(s, pgk_election_close(x->election, &s->err));
    assert_int_equal(part_count(x, "revoke"), 1);
    assert_false(part_leads(x));
    assert_true(part_leads(y));
    struct part *again = scene_contend(s, ha, "x");
    assert_int_equal(part_granted(again), y->epoch);
    assert_int_equal(part_count(y, "revoke"), 0);
}

static void closed__every_grant_has_its_revoke(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    struct part *x = scene_contend(s, ha, "x");
    struct part *y = scene_contend(s, ha, "y");
    part_granted(x);
    WORKS(s, pgk_ha_close(ha, &s->err));
    assert_int_equal(part_count(x, "grant"), 1);
    assert_int_equal(part_count(x, "revoke"), 1);
    assert_int_equal(part_count(y, "revoke"), part_count(y, "grant"));
}

static void freed_without_close__is_revoked(struct scene *s)
{
    struct part *part = scene_lead(s, scene_open(s), NULL);
    struct part *next = scene_contend(s, scene_open(s), "dispatcher");
    part_free(part);
    assert_int_equal(part_count(part, "revoke"), 1);
    part_granted(next);
}

static void closed_before_its_turn__is_never_granted(struct scene *s)
{
    pgk_ha *one = scene_open(s);
    struct part *leader = scene_lead(s, one, NULL);
    struct part *waiting = scene_contend(s, scene_open(s), "dispatcher");
    scene_await_contender(s, 1);
    WORKS(s, pgk_election_close(waiting->election, &s->err));
    struct part *third = scene_contend(s, scene_open(s), "dispatcher");
    WORKS(s, pgk_election_close(leader->election, &s->err));
    part_granted(third);
    assert_int_equal(part_count(waiting, "grant"), 0);
    assert_int_equal(part_count(waiting, "revoke"), 0);
}

/* ------------------------------------------------------------------ has_leadership */

static void has_leadership__only_the_present_id_of_a_leader(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    pgk_election *election = new_election(s, ha, "other");
    struct part *part = scene_lead(s, ha, NULL);
    pgk_uuid random;
    pgk_uuid nil = {{0}};
    pgk_uuid_new(&random);
    assert_true(pgk_election_has_leadership(part->election, &part->session_id));
    assert_false(pgk_election_has_leadership(part->election, &random));
    assert_false(pgk_election_has_leadership(part->election, &nil));
    assert_false(pgk_election_has_leadership(part->election, NULL));
    assert_false(pgk_election_has_leadership(NULL, &part->session_id));
    assert_false(pgk_election_has_leadership(election, &part->session_id)); /* not started */
    pgk_election_free(election);
}

static void has_leadership__false_once_closed(struct scene *s)
{
    struct part *part = scene_lead(s, scene_open(s), NULL);
    assert_true(part_leads(part));
    WORKS(s, pgk_election_close(part->election, &s->err));
    assert_false(part_leads(part));
}

static void has_leadership__stays_true_while_nothing_happens(struct scene *s)
{
    struct part *part = scene_lead(s, scene_open(s), NULL);
    for (int i = 0; i < s->mode->lease_ms / 10; i++) {
        assert_true(part_leads(part));
        wait_pause_ms(10);
    }
    assert_int_equal(part_count(part, "revoke"), 0);
}

static void deadline__ahead_while_leading_and_0_otherwise(struct scene *s)
{
    struct part *part = scene_lead(s, scene_open(s), NULL);
    pgk_uuid random;
    pgk_uuid_new(&random);
    assert_true(pgk_election_deadline_ns(part->election, &part->session_id) > wait_now_ns());
    assert_int_equal(pgk_election_deadline_ns(part->election, &random), 0);
    assert_int_equal(pgk_election_deadline_ns(NULL, &part->session_id), 0);
    WORKS(s, pgk_election_close(part->election, &s->err));
    assert_int_equal(pgk_election_deadline_ns(part->election, &part->session_id), 0);
}

/* ------------------------------------------------------------------ differences */

static void without__granted_at_start_with_the_default_id(struct scene *s)
{
    struct part *one = scene_lead(s, scene_open(s), NULL);
    struct part *two = scene_lead(s, scene_open(s), NULL);
    assert_true(pgk_uuid_is_nil(&one->session_id));
    assert_int_equal(one->epoch, 0);
    assert_true(pgk_uuid_is_nil(&two->session_id));
    assert_true(part_leads(one));
    assert_true(part_leads(two));
    WORKS(s, pgk_election_close(one->election, &s->err));
    assert_int_equal(part_count(one, "revoke"), 1);
    assert_false(part_leads(one));
    assert_true(part_leads(two));
}

static const struct conformance_case cases[] = {
    CASE(close_without_start__nothing_happens),
    CASE(closed_twice__fine_and_revoked_once),
    CASE(started_twice__illegal_state),
    CASE(started_after_close__illegal_state),
    CASE(second_contender_of_a_component_in_a_handle__illegal_state),
    CASE(null_callbacks__invalid_argument),
    CASE(bad_names__invalid_argument),
    CASE(name_of_200_bytes__leads),
    CASE(job_master__is_a_component_like_any),
    CASE(service_by_name__is_its_component),
    CASE(no_error_callback__is_allowed),
    CASE_NEEDS(first_contender__leads_with_a_random_id_and_an_epoch, BIT(ELECTS)),
    CASE_NEEDS(another_handle__waits_while_somebody_leads, BIT(ELECTS)),
    CASE_NEEDS(leader_closed__the_next_leads, BIT(ELECTS)),
    CASE_NEEDS(ten_closed_one_after_the_other__each_leads_once, BIT(ELECTS)),
    CASE_NEEDS(replaced_thirty_times__always_a_leader_and_a_larger_epoch, BIT(ELECTS)),
    CASE(contender_that_joins_a_leading_group__the_same_tenure),
    CASE_NEEDS(scope_process__one_handle_leads_all, BIT(ELECTS)),
    CASE_NEEDS(scope_component__each_has_its_own_leader, BIT(ELECTS)),
    CASE_NEEDS(named_groups__are_led_apart, BIT(ELECTS)),
    CASE(other_cluster__has_its_own_leader),
    CASE(forty_components__one_tenure),
    CASE_NEEDS(deposed__revoked_and_granted_anew, BIT(ELECTS)),
    CASE_NEEDS(deposed_ten_times__epochs_rise_and_calls_alternate, BIT(ELECTS)),
    CASE_NEEDS(everybody_left__a_later_leader_has_a_larger_epoch, BIT(ELECTS)),
    CASE(one_component_closed__others_go_on_leading),
    CASE(closed__every_grant_has_its_revoke),
    CASE_NEEDS(freed_without_close__is_revoked, BIT(ELECTS)),
    CASE_NEEDS(closed_before_its_turn__is_never_granted, BIT(ELECTS)),
    CASE_NEEDS(has_leadership__only_the_present_id_of_a_leader, BIT(ELECTS)),
    CASE(has_leadership__false_once_closed),
    CASE(has_leadership__stays_true_while_nothing_happens),
    CASE(deadline__ahead_while_leading_and_0_otherwise),
    CASE_WITHOUT(without__granted_at_start_with_the_default_id, ELECTS),
};
AREA(election, cases);
