/* tests/conformance/cases_control.c - leadership that is revoked and granted by call, and memory that is told to stay. */
#include "suite.h"

#include <pgkeeper/embedded.h>

static void revoke(struct scene *s, const char *component)
{
    WORKS(s, pgk_embedded_revoke(s->cluster, component, &s->err));
}

static void grant(struct scene *s, const char *component)
{
    WORKS(s, pgk_embedded_grant(s->cluster, component, &s->err));
}

static void revoked__leaderless_until_granted(struct scene *s)
{
    struct part *leader = scene_lead(s, scene_open(s), NULL);
    struct part *other = scene_contend(s, scene_open(s), "dispatcher");
    int64_t epoch = leader->epoch;
    revoke(s, "dispatcher");
    assert_false(part_leads(leader)); /* as soon as it returns */
    part_revoked(leader);
    scene_quiet(s);
    assert_int_equal(part_count(leader, "grant") + part_count(other, "grant"), 1);
    grant(s, "dispatcher");
    WAIT_UNTIL(part_count(leader, "grant") + part_count(other, "grant") == 2, WAIT_LONG_MS);
    assert_true(leader->epoch > epoch || other->epoch > epoch);
}

static void revoked__address_gone_and_token_fenced_at_once(struct scene *s)
{
    pgk_token token;
    pgk_leader found;
    pgk_uuid job = job_of(1);
    pgk_ha *ha = scene_open(s);
    struct part *leader = scene_lead(s, ha, &token);
    part_confirm(leader, "a");
    struct part *follower = scene_follow(s, scene_client(s), "dispatcher");
    part_hears(follower, "a");
    revoke(s, "dispatcher");
    FAILS(s, PGK_ERR_FENCED,
          pgk_job_registry_set_running(scene_registry(s, ha, &token), &job, &s->err));
    part_hears(follower, NULL);
    FAILS(s, PGK_ERR_NOT_FOUND, pgk_retriever_get(follower->retriever, &found, &s->err));
    grant(s, "dispatcher");
    part_revoked(leader);
    part_granted(leader);
}

static void revoked_twice_and_granted_once__leads(struct scene *s)
{
    struct part *leader = scene_lead(s, scene_open(s), NULL);
    revoke(s, "dispatcher");
    revoke(s, "dispatcher");
    part_revoked(leader);
    grant(s, "dispatcher");
    part_granted(leader);
    grant(s, "dispatcher"); /* granting what was not revoked: nothing */
    scene_quiet(s);
    assert_int_equal(part_count(leader, "grant"), 2);
    assert_int_equal(part_count(leader, "revoke"), 1);
}

static void revoked_before_anybody_contends__waits(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    revoke(s, "dispatcher");
    struct part *part = scene_contend(s, ha, "dispatcher");
    scene_quiet(s);
    assert_int_equal(part_count(part, "grant"), 0);
    grant(s, "dispatcher");
    part_granted(part);
}

static void scope_component__others_lead_on(struct scene *s)
{
    pgk_ha *ha = scene_open_with(s, "leader-election.scope", "component", NULL);
    struct part *x = scene_contend(s, ha, "x");
    struct part *y = scene_contend(s, ha, "y");
    part_granted(x);
    part_granted(y);
    revoke(s, "x");
    part_revoked(x);
    assert_true(part_leads(y));
    assert_int_equal(part_count(y, "revoke"), 0);
    grant(s, "x");
    part_granted(x);
}

static void scope_process__the_handle_loses_its_group(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    struct part *x = scene_contend(s, ha, "x");
    struct part *y = scene_contend(s, ha, "y");
    struct part *other = scene_contend(s, scene_open(s), "y");
    part_granted(x);
    part_granted(y);
    revoke(s, "x");
    part_revoked(x);
    part_revoked(y);
    part_granted(other); /* it does not contend for what is revoked */
    grant(s, "x");
    assert_true(part_leads(other));
}

static void job_master__by_its_component(struct scene *s)
{
    char component[PGK_JOB_COMPONENT_SIZE];
    pgk_uuid job = job_of(3);
    pgk_component_of_job(&job, component);
    struct part *part = scene_contend_in(s, scene_open(s), component, component);
    part_granted(part);
    revoke(s, component);
    part_revoked(part);
    grant(s, component);
    part_granted(part);
}

static void other_cluster__is_not_touched(struct scene *s)
{
    pgk_ha *far = scene_open_with(s, "high-availability.cluster-id", s->elsewhere, NULL);
    struct part *there = scene_lead(s, far, NULL);
    struct part *here = scene_lead(s, scene_open(s), NULL);
    revoke(s, "dispatcher");
    part_revoked(here);
    assert_true(part_leads(there));
}

static void bad_arguments__refused(struct scene *s)
{
    FAILS(s, PGK_ERR_NOT_FOUND, pgk_embedded_revoke(s->cluster, "dispatcher", &s->err));
    FAILS(s, PGK_ERR_NOT_FOUND, pgk_embedded_grant(s->cluster, "dispatcher", &s->err));
    scene_open(s);
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_embedded_revoke(s->cluster, NULL, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_embedded_revoke(s->cluster, "", &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_embedded_grant(NULL, "dispatcher", &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_embedded_keep(NULL, true, &s->err));
    WORKS(s, pgk_embedded_revoke(s->cluster, "dispatcher", &s->err));
}

static void kept__found_by_a_later_handle_and_epochs_rise(struct scene *s)
{
    pgk_job_result result = result_of(1);
    WORKS(s, pgk_embedded_keep(s->cluster, true, &s->err));
    pgk_ha *ha = scene_open(s);
    struct part *first = scene_lead(s, ha, NULL);
    WORKS(s, pgk_job_results_create_dirty(scene_results(s, ha, PGK_UNFENCED), &result, &s->err));
    WORKS(s, pgk_ha_close(ha, &s->err));
    pgk_ha *later = scene_open(s);
    assert_string_equal(results_text(s, scene_results(s, later, PGK_UNFENCED)), "1");
    assert_true(scene_lead(s, later, NULL)->epoch > first->epoch);
    WORKS(s, pgk_embedded_keep(s->cluster, false, &s->err));
    WORKS(s, pgk_ha_close(later, &s->err));
    assert_string_equal(results_text(s, scene_results(s, scene_open(s), PGK_UNFENCED)), "");
}

struct controller {
    pthread_t thread;
    const char *cluster;
    atomic_bool stop;
    int wrong;
};

static void *control(void *arg)
{
    struct controller *controller = arg;
    for (int i = 0; !atomic_load(&controller->stop); i++) {
        pgk_status status = i % 2 == 0
                                ? pgk_embedded_revoke(controller->cluster, "dispatcher", NULL)
                                : pgk_embedded_grant(controller->cluster, "dispatcher", NULL);
        controller->wrong += status != PGK_OK && status != PGK_ERR_NOT_FOUND;
    }
    return NULL;
}

static void beside_closing_handles__no_hang_and_calls_pair(struct scene *s)
{
    struct controller controller = {.cluster = s->cluster};
    assert_int_equal(pthread_create(&controller.thread, NULL, control, &controller), 0);
    for (int i = 0; i < 12; i++) {
        pgk_ha *ha = scene_open(s);
        struct part *part = scene_contend(s, ha, "dispatcher");
        wait_pause_ms(i % 3);
        scene_close(s, ha);
        assert_int_equal(part_count(part, "grant"), part_count(part, "revoke"));
    }
    atomic_store(&controller.stop, true);
    pthread_join(controller.thread, NULL);
    assert_int_equal(controller.wrong, 0);
}

static void without__control_finds_nothing(struct scene *s)
{
    struct part *leader = scene_lead(s, scene_open(s), NULL);
    FAILS(s, PGK_ERR_NOT_FOUND, pgk_embedded_revoke(s->cluster, "dispatcher", &s->err));
    FAILS(s, PGK_ERR_NOT_FOUND, pgk_embedded_grant(s->cluster, "dispatcher", &s->err));
    assert_true(part_leads(leader));
}

static const struct conformance_case cases[] = {
    CASE_NEEDS(revoked__leaderless_until_granted, BIT(CONTROLS)),
    CASE_NEEDS(revoked__address_gone_and_token_fenced_at_once, BIT(CONTROLS)),
    CASE_NEEDS(revoked_twice_and_granted_once__leads, BIT(CONTROLS)),
    CASE_NEEDS(revoked_before_anybody_contends__waits, BIT(CONTROLS)),
    CASE_NEEDS(scope_component__others_lead_on, BIT(CONTROLS)),
    CASE_NEEDS(scope_process__the_handle_loses_its_group, BIT(CONTROLS)),
    CASE_NEEDS(job_master__by_its_component, BIT(CONTROLS)),
    CASE_NEEDS(other_cluster__is_not_touched, BIT(CONTROLS)),
    CASE_NEEDS(bad_arguments__refused, BIT(CONTROLS)),
    CASE_NEEDS(kept__found_by_a_later_handle_and_epochs_rise, BIT(CONTROLS)),
    CASE_NEEDS(beside_closing_handles__no_hang_and_calls_pair, BIT(CONTROLS)),
    CASE_WITHOUT(without__control_finds_nothing, CONTROLS),
};
AREA(control, cases);
