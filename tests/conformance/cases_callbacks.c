/*
 * tests/conformance/cases_callbacks.c - contract 2, the callbacks of contenders: one at a time, in order, delaying nothing;
 * and what may be called inside them.
 */
#include "suite.h"

struct crossing {
    atomic_int inside;
    atomic_int met;
    atomic_int calls;
};

static void cross(struct part *part, const char *kind)
{
    struct crossing *crossing = part->user;
    (void)kind;
    if (atomic_fetch_add(&crossing->inside, 1) > 0) {
        atomic_fetch_add(&crossing->met, 1);
    }
    wait_pause_ms(2);
    atomic_fetch_sub(&crossing->inside, 1);
    atomic_fetch_add(&crossing->calls, 1);
}

static void callbacks__one_at_a_time(struct scene *s)
{
    struct crossing *crossing = scene_memory(s, sizeof(*crossing));
    pgk_ha *ha = scene_open(s);
    for (int i = 0; i < 8; i++) {
        char name[16];
        snprintf(name, sizeof(name), "c%d", i);
        scene_contend_hooked(s, ha, name, cross, crossing);
        scene_follow_hooked(s, ha, name, cross, crossing);
    }
    WAIT_UNTIL(atomic_load(&crossing->calls) >= 8, WAIT_LONG_MS);
    WORKS(s, pgk_ha_close(ha, &s->err));
    assert_true(atomic_load(&crossing->calls) > 8);
    assert_int_equal(atomic_load(&crossing->met), 0);
}

struct gate {
    atomic_bool open;
    atomic_int waiting;
};

static void wait_at_gate(struct part *part, const char *kind)
{
    struct gate *gate = part->user;
    if (strcmp(kind, "grant") == 0) {
        atomic_fetch_add(&gate->waiting, 1);
        for (int64_t end = wait_now_ns() + WAIT_LONG_MS * WAIT_NS_PER_MS;
             !atomic_load(&gate->open) && wait_now_ns() < end;) {
            wait_pause_ms(2);
        }
    }
}

static void blocked_callback__delays_neither_leadership_nor_others(struct scene *s)
{
    struct gate *gate = scene_memory(s, sizeof(*gate));
    pgk_ha *ha = scene_open(s);
    struct part *blocked = scene_contend_hooked(s, ha, "dispatcher", wait_at_gate, gate);
    WAIT_UNTIL(atomic_load(&gate->waiting) == 1, WAIT_LONG_MS);
    struct part *elsewhere = scene_contend_in(s, scene_open(s), "x", "another group");
    part_granted(elsewhere);
    for (int i = 0; i < s->mode->lease_ms / 10; i++) {
        wait_pause_ms(10);
        assert_true(part_leads(blocked));
    }
    atomic_store(&gate->open, true);
    WORKS(s, pgk_ha_close(ha, &s->err));
    assert_int_equal(part_count(blocked, "revoke"), 1);
}

static void lost_while_a_callback_blocks__no_longer_leads_at_once(struct scene *s)
{
    struct gate *gate = scene_memory(s, sizeof(*gate));
    struct part *blocked = scene_contend_hooked(s, scene_open(s), "dispatcher", wait_at_gate, gate);
    WAIT_UNTIL(atomic_load(&gate->waiting) == 1, WAIT_LONG_MS);
    pgk_uuid first = blocked->session_id;
    s->mode->depose(s->cluster, "dispatcher");
    WAIT_UNTIL(!pgk_election_has_leadership(blocked->election, &first), WAIT_LONG_MS);
    assert_int_equal(part_count(blocked, "revoke"), 0); /* its turn comes */
    atomic_store(&gate->open, true);
    part_granted(blocked);
    part_revoked(blocked);
    part_granted(blocked);
}

static void grant_out_of_date_when_its_turn_comes__is_dropped(struct scene *s)
{
    struct gate *gate = scene_memory(s, sizeof(*gate));
    pgk_ha *ha = scene_open(s);
    struct part *blocker = scene_contend_hooked(s, ha, "dispatcher", wait_at_gate, gate);
    WAIT_UNTIL(atomic_load(&gate->waiting) == 1, WAIT_LONG_MS);
    struct part *behind = scene_contend(s, ha, "resource_manager");
    pgk_uuid first = blocker->session_id;
    int64_t epoch = blocker->epoch;
    s->mode->depose(s->cluster, "dispatcher");
    WAIT_UNTIL(!pgk_election_has_leadership(blocker->election, &first), WAIT_LONG_MS);
    atomic_store(&gate->open, true);
    assert_true(part_granted(behind) > epoch);
    assert_int_equal(part_count(behind, "revoke"), 0);
}

static void in_revoke__has_leadership_is_false(struct scene *s)
{
    struct part *part = scene_lead(s, scene_open(s), NULL);
    s->mode->depose(s->cluster, "dispatcher");
    assert_non_null(strstr(recorder_expect(part->recorder, "revoke ", WAIT_LONG_MS), "believes=0"));
    WORKS(s, pgk_election_close(part->election, &s->err));
    assert_int_equal(part_count(part, "grant"), part_count(part, "revoke"));
}

struct acting {
    atomic_int done;
    pgk_status status;
    bool leads;
    pgk_ha *ha;
};

static void confirm_inside(struct part *part, const char *kind)
{
    struct acting *acting = part->user;
    if (strcmp(kind, "grant") == 0) {
        acting->leads = pgk_election_has_leadership(part->election, &part->session_id);
        acting->status = pgk_election_confirm(part->election, &part->session_id, "inside", NULL);
        atomic_store(&acting->done, 1);
    }
}

static void in_grant__confirm_works(struct scene *s)
{
    struct acting *acting = scene_memory(s, sizeof(*acting));
    scene_contend_hooked(s, scene_open(s), "dispatcher", confirm_inside, acting);
    WAIT_UNTIL(atomic_load(&acting->done) == 1, WAIT_LONG_MS);
    assert_int_equal(acting->status, PGK_OK);
    assert_true(acting->leads);
}

static void store_inside(struct part *part, const char *kind)
{
    struct acting *acting = part->user;
    pgk_job_registry *registry = NULL;
    pgk_token token;
    pgk_uuid job = job_of(3);
    if (strcmp(kind, "grant") != 0) {
        return;
    }
    acting->status = pgk_election_token(part->election, &token, NULL);
    if (acting->status == PGK_OK) {
        acting->status = pgk_ha_job_registry(acting->ha, &token, &registry, NULL);
    }
    if (acting->status == PGK_OK) {
        acting->status = pgk_job_registry_set_running(registry, &job, NULL);
    }
    pgk_job_registry_free(registry);
    atomic_store(&acting->done, 1);
}

static void in_grant__stores_work(struct scene *s)
{
    struct acting *acting = scene_memory(s, sizeof(*acting));
    acting->ha = scene_open(s);
    scene_contend_hooked(s, acting->ha, "dispatcher", store_inside, acting);
    WAIT_UNTIL(atomic_load(&acting->done) == 1, WAIT_LONG_MS);
    assert_int_equal(acting->status, PGK_OK);
    pgk_job_registry *registry = scene_registry(s, acting->ha, PGK_UNFENCED);
    assert_int_equal(registry_status(s, registry, 3), PGK_SCHEDULING_RUNNING);
}

static void close_inside(struct part *part, const char *kind)
{
    struct acting *acting = part->user;
    if (strcmp(kind, "grant") == 0) {
        acting->status = pgk_election_close(part->election, NULL);
        atomic_store(&acting->done, 1);
    }
}

static void in_grant__election_closed__revoked_once_and_no_deadlock(struct scene *s)
{
    struct acting *acting = scene_memory(s, sizeof(*acting));
    pgk_ha *ha = scene_open(s);
    struct part *part = scene_contend_hooked(s, ha, "dispatcher", close_inside, acting);
    WAIT_UNTIL(atomic_load(&acting->done) == 1, WAIT_LONG_MS);
    assert_int_equal(acting->status, PGK_OK);
    assert_int_equal(part_count(part, "grant"), 1);
    PART_WAIT(part, "revoke", 1);
    part_granted(scene_contend(s, ha, "dispatcher"));
    assert_int_equal(part_count(part, "revoke"), 1);
}

static void free_inside(struct part *part, const char *kind)
{
    struct acting *acting = part->user;
    if (strcmp(kind, "grant") == 0) {
        pgk_election *election = part->election;
        pgk_election_close(election, NULL); /* the revoke that comes of it looks at it */
        part->election = NULL;
        pgk_election_free(election);
        atomic_store(&acting->done, 1);
    }
}

static void in_grant__election_freed__nothing_more_comes(struct scene *s)
{
    struct acting *acting = scene_memory(s, sizeof(*acting));
    pgk_ha *ha = scene_open(s);
    struct part *part = scene_contend_hooked(s, ha, "dispatcher", free_inside, acting);
    WAIT_UNTIL(atomic_load(&acting->done) == 1, WAIT_LONG_MS);
    part_granted(scene_contend(s, ha, "dispatcher"));
    assert_int_equal(part_count(part, "grant"), 1);
    assert_int_equal(part_count(part, "revoke"), 1);
}

static const struct conformance_case cases[] = {
    CASE(callbacks__one_at_a_time),
    CASE(blocked_callback__delays_neither_leadership_nor_others),
    CASE_NEEDS(lost_while_a_callback_blocks__no_longer_leads_at_once, BIT(ELECTS)),
    CASE_NEEDS(grant_out_of_date_when_its_turn_comes__is_dropped, BIT(ELECTS)),
    CASE_NEEDS(in_revoke__has_leadership_is_false, BIT(ELECTS)),
    CASE(in_grant__confirm_works),
    CASE(in_grant__stores_work),
    CASE(in_grant__election_closed__revoked_once_and_no_deadlock),
    CASE(in_grant__election_freed__nothing_more_comes),
};
AREA(callbacks, cases);
