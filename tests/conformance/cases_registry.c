/* tests/conformance/cases_registry.c - contract 6, the running jobs registry; and that stores of a mode that does not share
 * are each handle's own. */
#include "suite.h"

static pgk_job_registry *open_registry(struct scene *s)
{
    return scene_registry(s, scene_open(s), PGK_UNFENCED);
}

static void run(struct scene *s, pgk_job_registry *registry, int job)
{
    pgk_uuid id = job_of(job);
    WORKS(s, pgk_job_registry_set_running(registry, &id, &s->err));
}

static void finish(struct scene *s, pgk_job_registry *registry, int job)
{
    pgk_uuid id = job_of(job);
    WORKS(s, pgk_job_registry_set_finished(registry, &id, &s->err));
}

static void clear(struct scene *s, pgk_job_registry *registry, int job)
{
    pgk_uuid id = job_of(job);
    WORKS(s, pgk_job_registry_clear(registry, &id, &s->err));
}

static void unknown__pending(struct scene *s)
{
    assert_int_equal(registry_status(s, open_registry(s), 1), PGK_SCHEDULING_PENDING);
}

static void running_then_done(struct scene *s)
{
    pgk_job_registry *registry = open_registry(s);
    run(s, registry, 1);
    assert_int_equal(registry_status(s, registry, 1), PGK_SCHEDULING_RUNNING);
    finish(s, registry, 1);
    assert_int_equal(registry_status(s, registry, 1), PGK_SCHEDULING_DONE);
    assert_int_equal(registry_status(s, registry, 2), PGK_SCHEDULING_PENDING);
}

static void set__whatever_it_was(struct scene *s)
{
    pgk_job_registry *registry = open_registry(s);
    finish(s, registry, 1); /* never ran */
    assert_int_equal(registry_status(s, registry, 1), PGK_SCHEDULING_DONE);
    finish(s, registry, 1);
    run(s, registry, 1);
    run(s, registry, 1);
    assert_int_equal(registry_status(s, registry, 1), PGK_SCHEDULING_RUNNING);
}

static void cleared__pending_and_again_is_fine(struct scene *s)
{
    pgk_job_registry *registry = open_registry(s);
    clear(s, registry, 1);
    run(s, registry, 1);
    clear(s, registry, 1);
    clear(s, registry, 1);
    assert_int_equal(registry_status(s, registry, 1), PGK_SCHEDULING_PENDING);
    finish(s, registry, 1);
    clear(s, registry, 1);
    assert_int_equal(registry_status(s, registry, 1), PGK_SCHEDULING_PENDING);
}

struct listing {
    char text[256];
    int calls;
    pgk_status answer;
};

static pgk_status list_one(void *user, const pgk_uuid *job_id, pgk_scheduling_status status)
{
    struct listing *listing = user;
    size_t length = strlen(listing->text);
    listing->calls++;
    snprintf(listing->text + length, sizeof(listing->text) - length, "%d:%s ",
             job_id->bytes[15] + 256 * job_id->bytes[14], pgk_scheduling_status_text(status));
    return listing->answer;
}

static void list__in_order_of_job_id(struct scene *s)
{
    struct listing listing = {.answer = PGK_OK};
    pgk_job_registry *registry = open_registry(s);
    WORKS(s, pgk_job_registry_list(registry, list_one, &listing, &s->err));
    assert_int_equal(listing.calls, 0);
    run(s, registry, 300);
    finish(s, registry, 2);
    run(s, registry, 1);
    run(s, registry, 7);
    clear(s, registry, 7);
    WORKS(s, pgk_job_registry_list(registry, list_one, &listing, &s->err));
    assert_string_equal(listing.text, "1:RUNNING 2:DONE 300:RUNNING ");
}

static void callback_that_refuses__ends_the_list(struct scene *s)
{
    struct listing listing = {.answer = PGK_ERR_IO};
    pgk_job_registry *registry = open_registry(s);
    run(s, registry, 1);
    run(s, registry, 2);
    FAILS(s, PGK_ERR_IO, pgk_job_registry_list(registry, list_one, &listing, &s->err));
    assert_int_equal(listing.calls, 1);
}

static void another_handle__sees_it_at_once(struct scene *s)
{
    pgk_job_registry *here = open_registry(s);
    pgk_job_registry *there = open_registry(s);
    for (int i = 0; i < 10; i++) {
        run(s, here, i);
        assert_int_equal(registry_status(s, there, i), PGK_SCHEDULING_RUNNING);
        finish(s, there, i);
        assert_int_equal(registry_status(s, here, i), PGK_SCHEDULING_DONE);
    }
}

static void another_cluster__sees_nothing(struct scene *s)
{
    pgk_ha *far = scene_open_with(s, "high-availability.cluster-id", s->elsewhere, NULL);
    pgk_job_registry *here = open_registry(s);
    pgk_job_registry *there = scene_registry(s, far, PGK_UNFENCED);
    run(s, here, 1);
    assert_int_equal(registry_status(s, there, 1), PGK_SCHEDULING_PENDING);
    clear(s, there, 1);
    assert_int_equal(registry_status(s, here, 1), PGK_SCHEDULING_RUNNING);
}

static void bad_arguments__invalid_argument(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    pgk_uuid job = job_of(1);
    pgk_scheduling_status status;
    pgk_job_registry *registry = scene_registry(s, ha, PGK_UNFENCED);
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_ha_job_registry(ha, PGK_UNFENCED, NULL, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_job_registry_set_running(registry, NULL, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_job_registry_set_finished(NULL, &job, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_job_registry_clear(registry, NULL, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_job_registry_get(registry, NULL, &status, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_job_registry_get(registry, &job, NULL, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_job_registry_list(registry, NULL, NULL, &s->err));
    pgk_job_registry_free(NULL);
}

static void handle_closed__illegal_state(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    pgk_uuid job = job_of(1);
    pgk_scheduling_status status;
    pgk_job_registry *registry = scene_registry(s, ha, PGK_UNFENCED);
    WORKS(s, pgk_ha_close(ha, &s->err));
    FAILS(s, PGK_ERR_ILLEGAL_STATE, pgk_job_registry_set_running(registry, &job, &s->err));
    FAILS(s, PGK_ERR_ILLEGAL_STATE, pgk_job_registry_get(registry, &job, &status, &s->err));
}

static void words__those_of_the_contract(struct scene *s)
{
    (void)s;
    assert_string_equal(pgk_scheduling_status_text(PGK_SCHEDULING_PENDING), "PENDING");
    assert_string_equal(pgk_scheduling_status_text(PGK_SCHEDULING_RUNNING), "RUNNING");
    assert_string_equal(pgk_scheduling_status_text(PGK_SCHEDULING_DONE), "DONE");
    assert_string_equal(pgk_scheduling_status_text((pgk_scheduling_status)9), "?");
}

static void without__another_handle_sees_nothing(struct scene *s)
{
    pgk_ha *one = scene_open(s);
    pgk_ha *two = scene_open(s);
    pgk_job_result result = result_of(1);
    run(s, scene_registry(s, one, PGK_UNFENCED), 1);
    WORKS(s, pgk_job_results_create_dirty(scene_results(s, one, PGK_UNFENCED), &result, &s->err));
    assert_int_equal(registry_status(s, scene_registry(s, one, PGK_UNFENCED), 1),
                     PGK_SCHEDULING_RUNNING); /* stores of one handle share */
    assert_int_equal(registry_status(s, scene_registry(s, two, PGK_UNFENCED), 1),
                     PGK_SCHEDULING_PENDING);
    assert_string_equal(results_text(s, scene_results(s, two, PGK_UNFENCED)), "");
}

static const struct conformance_case cases[] = {
    CASE(unknown__pending),
    CASE(running_then_done),
    CASE(set__whatever_it_was),
    CASE(cleared__pending_and_again_is_fine),
    CASE(list__in_order_of_job_id),
    CASE(callback_that_refuses__ends_the_list),
    CASE_NEEDS(another_handle__sees_it_at_once, BIT(SHARES)),
    CASE(another_cluster__sees_nothing),
    CASE(bad_arguments__invalid_argument),
    CASE(handle_closed__illegal_state),
    CASE(words__those_of_the_contract),
    CASE_WITHOUT(without__another_handle_sees_nothing, SHARES),
};
AREA(registry, cases);
