/* tests/conformance/cases_retrieval.c - contract 3, following a leader: what is announced, when, and what is not. */
#include "suite.h"

static void ignore_leader(void *user, const pgk_leader *leader)
{
    (void)user;
    (void)leader;
}

/* ------------------------------------------------------------------ calls */

static void null_listener__invalid_argument(struct scene *s)
{
    pgk_retriever *retriever = NULL;
    WORKS(s, pgk_ha_retriever(scene_open(s), "dispatcher", &retriever, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_retriever_start(retriever, NULL, NULL, &s->err));
    WORKS(s, pgk_retriever_start(retriever, ignore_leader, NULL, &s->err));
    pgk_retriever_free(retriever);
    pgk_retriever_free(NULL);
}

static void started_twice__illegal_state(struct scene *s)
{
    struct part *follower = scene_follow(s, scene_open(s), "dispatcher");
    FAILS(s, PGK_ERR_ILLEGAL_STATE,
          pgk_retriever_start(follower->retriever, ignore_leader, NULL, &s->err));
}

static void started_after_stop__illegal_state(struct scene *s)
{
    struct part *follower = scene_follow(s, scene_open(s), "dispatcher");
    WORKS(s, pgk_retriever_stop(follower->retriever, &s->err));
    FAILS(s, PGK_ERR_ILLEGAL_STATE,
          pgk_retriever_start(follower->retriever, ignore_leader, NULL, &s->err));
}

static void stopped_twice_or_never_started__fine(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    pgk_retriever *idle = NULL;
    struct part *follower = scene_follow(s, ha, "dispatcher");
    WORKS(s, pgk_ha_retriever(ha, "dispatcher", &idle, &s->err));
    WORKS(s, pgk_retriever_stop(idle, &s->err));
    WORKS(s, pgk_retriever_stop(follower->retriever, &s->err));
    WORKS(s, pgk_retriever_stop(follower->retriever, &s->err));
    pgk_retriever_free(idle);
}

static void get_before_start__illegal_state(struct scene *s)
{
    pgk_retriever *retriever = NULL;
    pgk_leader leader;
    WORKS(s, pgk_ha_retriever(scene_open(s), "dispatcher", &retriever, &s->err));
    FAILS(s, PGK_ERR_ILLEGAL_STATE, pgk_retriever_get(retriever, &leader, &s->err));
    pgk_retriever_free(retriever);
}

static void bad_names__invalid_argument(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    pgk_retriever *retriever = NULL;
    char long_name[PGK_COMPONENT_MAX_BYTES + 2] = "";
    memset(long_name, 'x', PGK_COMPONENT_MAX_BYTES + 1);
    const char *const bad[] = {"", "a\x80", "\xc0\xaf", long_name, NULL};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_ha_retriever(ha, bad[i], &retriever, &s->err));
    }
    assert_null(retriever);
}

static void service_by_name__is_its_component(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    pgk_retriever *retriever = NULL;
    pgk_leader leader;
    struct part *part = scene_contend(s, ha, PGK_COMPONENT_REST_ENDPOINT);
    part_granted(part);
    part_confirm(part, "rest.example:8081");
    WORKS(s, pgk_ha_service_retriever(ha, "web monitor", NULL, &retriever, &s->err));
    WORKS(s, pgk_retriever_start(retriever, ignore_leader, NULL, &s->err));
    WAIT_UNTIL(pgk_retriever_get(retriever, &leader, NULL) == PGK_OK, WAIT_LONG_MS);
    assert_string_equal(leader.address, "rest.example:8081");
    pgk_retriever_free(retriever);
}

/* ------------------------------------------------------------------ what is announced */

/* A leader that has confirmed its address. */
static struct part *lead_at(struct scene *s, pgk_ha *ha, const char *address)
{
    struct part *part = scene_lead(s, ha, NULL);
    part_confirm(part, address);
    return part;
}

static void no_leader__nothing_is_said(struct scene *s)
{
    pgk_leader leader;
    struct part *follower = scene_follow(s, scene_open(s), "dispatcher");
    scene_quiet(s);
    assert_int_equal(part_count(follower, "leader"), 0);
    FAILS(s, PGK_ERR_NOT_FOUND, pgk_retriever_get(follower->retriever, &leader, &s->err));
}

static void started_late__announces_the_present_leader(struct scene *s)
{
    struct part *leader = lead_at(s, scene_open(s), "a");
    struct part *follower = scene_follow(s, scene_open(s), "dispatcher");
    assert_int_equal(part_hears(follower, "a"), leader->epoch);
    scene_quiet(s);
    assert_int_equal(part_count(follower, "leader"), 1);
}

static void get__the_leader_in_all_its_parts(struct scene *s)
{
    pgk_leader found;
    struct part *leader = lead_at(s, scene_open(s), "a");
    struct part *follower = scene_follow(s, scene_client(s), "dispatcher");
    part_hears(follower, "a");
    WORKS(s, pgk_retriever_get(follower->retriever, &found, &s->err));
    assert_string_equal(found.address, "a");
    assert_int_equal(found.epoch, leader->epoch);
    assert_int_equal(pgk_uuid_compare(&found.session_id, &leader->session_id), 0);
}

static void granted_but_not_confirmed__nothing_is_said(struct scene *s)
{
    struct part *follower = scene_follow(s, scene_open(s), "dispatcher");
    struct part *leader = scene_lead(s, scene_open(s), NULL);
    scene_quiet(s);
    assert_int_equal(part_count(follower, "leader"), 0);
    part_confirm(leader, "a");
    part_hears(follower, "a");
}

static void confirmed_again__not_announced_again(struct scene *s)
{
    struct part *leader = lead_at(s, scene_open(s), "a");
    struct part *follower = scene_follow(s, scene_open(s), "dispatcher");
    part_hears(follower, "a");
    part_confirm(leader, "a");
    scene_quiet(s);
    assert_int_equal(part_count(follower, "leader"), 1);
}

static void new_leader__its_address(struct scene *s)
{
    pgk_ha *first = scene_open(s);
    struct part *a = lead_at(s, first, "a");
    struct part *follower = scene_follow(s, scene_open(s), "dispatcher");
    part_hears(follower, "a");
    struct part *b = scene_contend(s, scene_open(s), "dispatcher");
    WORKS(s, pgk_ha_close(first, &s->err));
    part_granted(b);
    part_confirm(b, "b");
    const char *line = recorder_expect(follower->recorder, "leader ", WAIT_LONG_MS);
    if (strstr(line, " none") != NULL) { /* between the two there may be none for a moment */
        part_hears(follower, "b");
    } else {
        assert_non_null(strstr(line, " b"));
    }
    assert_true(b->epoch > a->epoch);
}

static void same_address_in_a_new_tenure__is_a_change(struct scene *s)
{
    pgk_leader found;
    struct part *leader = lead_at(s, scene_open(s), "a");
    struct part *follower = scene_follow(s, scene_open(s), "dispatcher");
    part_hears(follower, "a");
    scene_depose_once(s, leader);
    part_confirm(leader, "a");
    WAIT_UNTIL(pgk_retriever_get(follower->retriever, &found, NULL) == PGK_OK &&
                   found.epoch == leader->epoch,
               WAIT_LONG_MS);
    PART_WAIT(follower, "leader", 2);
    assert_string_equal(found.address, "a");
}

static void leader_closed_without_successor__gone_once(struct scene *s)
{
    pgk_leader found;
    pgk_ha *ha = scene_open(s);
    lead_at(s, ha, "a");
    struct part *follower = scene_follow(s, scene_open(s), "dispatcher");
    part_hears(follower, "a");
    scene_close(s, ha);
    part_hears(follower, NULL);
    FAILS(s, PGK_ERR_NOT_FOUND, pgk_retriever_get(follower->retriever, &found, &s->err));
    scene_quiet(s);
    assert_int_equal(part_count(follower, "leader"), 2);
}

static void resigned_and_back__gone_or_replaced_never_stale(struct scene *s)
{
    pgk_leader found;
    struct part *leader = lead_at(s, scene_open(s), "a");
    struct part *follower = scene_follow(s, scene_open(s), "dispatcher");
    part_hears(follower, "a");
    scene_depose(s, leader);
    part_granted(leader);
    part_confirm(leader, "b");
    WAIT_UNTIL(pgk_retriever_get(follower->retriever, &found, NULL) == PGK_OK &&
                   strcmp(found.address, "b") == 0,
               WAIT_LONG_MS);
    assert_int_equal(found.epoch, leader->epoch);
}

static void five_tenures__epochs_only_rise(struct scene *s)
{
    pgk_leader found;
    int64_t epoch = 0;
    size_t told = 0;
    struct part *leader = lead_at(s, scene_open(s), "a0");
    struct part *follower = scene_follow(s, scene_open(s), "dispatcher");
    for (int i = 1; i <= 5; i++) {
        char address[16];
        snprintf(address, sizeof(address), "a%d", i);
        scene_depose_once(s, leader);
        part_confirm(leader, address);
        WAIT_UNTIL(pgk_retriever_get(follower->retriever, &found, NULL) == PGK_OK &&
                       strcmp(found.address, address) == 0,
                   WAIT_LONG_MS);
    }
    WAIT_UNTIL(part_count(follower, "leader") > 1, WAIT_LONG_MS);
    for (const char *line; (line = recorder_seek(follower->recorder, "leader ", 100)) != NULL;) {
        if (strstr(line, " none") == NULL) {
            int64_t next =
                strtoll(line + strlen("leader dispatcher ") + PGK_UUID_TEXT_SIZE, NULL, 10);
            assert_true(next >= epoch);
            epoch = next;
            told++;
        }
    }
    assert_int_equal(epoch, leader->epoch);
    assert_in_range(told, 1, 6);
}

static void several_retrievers_of_a_component__each_is_told(struct scene *s)
{
    struct part *followers[10];
    pgk_ha *client = scene_client(s);
    for (int i = 0; i < 10; i++) {
        followers[i] = scene_follow(s, client, "dispatcher");
    }
    lead_at(s, scene_open(s), "a");
    for (int i = 0; i < 10; i++) {
        part_hears(followers[i], "a");
    }
}

static void another_component__is_not_told(struct scene *s)
{
    pgk_ha *client = scene_client(s);
    struct part *dispatcher = scene_follow(s, client, "dispatcher");
    struct part *other = scene_follow(s, client, "rest_endpoint");
    pgk_ha *ha = scene_open(s);
    lead_at(s, ha, "a");
    part_hears(dispatcher, "a");
    assert_int_equal(part_count(other, "leader"), 0);
    struct part *rest = scene_contend(s, ha, "rest_endpoint");
    part_granted(rest);
    part_confirm(rest, "r");
    part_hears(other, "r");
    assert_int_equal(part_count(dispatcher, "leader"), 1);
}

static void another_cluster__is_not_told(struct scene *s)
{
    struct part *follower = scene_follow(
        s, scene_open_with(s, "high-availability.cluster-id", s->elsewhere, NULL), "dispatcher");
    struct part *near = scene_follow(s, scene_open(s), "dispatcher");
    lead_at(s, scene_open(s), "a");
    part_hears(near, "a");
    assert_int_equal(part_count(follower, "leader"), 0);
}

static void in_the_leaders_own_handle__told_too(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    struct part *follower = scene_follow(s, ha, "dispatcher");
    struct part *leader = lead_at(s, ha, "a");
    assert_int_equal(part_hears(follower, "a"), leader->epoch);
}

static void one_component_closed__its_address_goes_and_others_stay(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    pgk_ha *client = scene_client(s);
    struct part *x = scene_contend(s, ha, "x");
    struct part *y = scene_contend(s, ha, "y");
    part_granted(x);
    part_granted(y);
    part_confirm(x, "at x");
    part_confirm(y, "at y");
    struct part *follows_x = scene_follow(s, client, "x");
    struct part *follows_y = scene_follow(s, client, "y");
    part_hears(follows_x, "x");
    part_hears(follows_y, "y");
    WORKS(s, pgk_election_close(x->election, &s->err));
    part_hears(follows_x, NULL);
    assert_int_equal(part_count(follows_y, "leader"), 1);
}

static void longest_address__arrives_whole(struct scene *s)
{
    char address[PGK_ADDRESS_MAX_BYTES + 1] = "";
    pgk_leader found;
    for (size_t i = 0; i < PGK_ADDRESS_MAX_BYTES; i += 2) {
        memcpy(address + i, "\xc3\xa9", 2);
    }
    lead_at(s, scene_open(s), address);
    struct part *follower = scene_follow(s, scene_client(s), "dispatcher");
    WAIT_UNTIL(pgk_retriever_get(follower->retriever, &found, NULL) == PGK_OK, WAIT_LONG_MS);
    assert_string_equal(found.address, address);
}

/* ------------------------------------------------------------------ stopping, slow listeners */

static void stopped__nothing_more_is_told(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    pgk_ha *client = scene_client(s);
    struct part *leader = lead_at(s, ha, "a");
    struct part *stopped = scene_follow(s, client, "dispatcher");
    struct part *other = scene_follow(s, client, "dispatcher");
    part_hears(stopped, "a");
    part_hears(other, "a");
    WORKS(s, pgk_retriever_stop(stopped->retriever, &s->err));
    WORKS(s, pgk_election_close(leader->election, &s->err));
    part_hears(other, NULL);
    scene_quiet(s);
    assert_int_equal(part_count(stopped, "leader"), 1);
}

struct stopping {
    atomic_int done;
    bool frees;
};

static void stop_inside(struct part *part, const char *kind)
{
    struct stopping *stopping = part->user;
    pgk_retriever *retriever = part->retriever;
    (void)kind;
    if (stopping->frees) {
        part->retriever = NULL;
        pgk_retriever_free(retriever);
        atomic_store(&stopping->done, 1);
    } else {
        atomic_store(&stopping->done, pgk_retriever_stop(retriever, NULL) == PGK_OK ? 1 : -1);
    }
}

static void ends_inside(struct scene *s, bool frees)
{
    struct stopping *stopping = scene_memory(s, sizeof(*stopping));
    stopping->frees = frees;
    struct part *leader = lead_at(s, scene_open(s), "a");
    pgk_ha *client = scene_client(s);
    struct part *follower = scene_follow_hooked(s, client, "dispatcher", stop_inside, stopping);
    struct part *other = scene_follow(s, client, "dispatcher");
    WAIT_UNTIL(atomic_load(&stopping->done) != 0, WAIT_LONG_MS);
    assert_int_equal(atomic_load(&stopping->done), 1);
    part_hears(other, "a");
    WORKS(s, pgk_election_close(leader->election, &s->err));
    part_hears(other, NULL);
    assert_int_equal(part_count(follower, "leader"), 1);
}

static void stopped_inside_its_callback__no_deadlock_and_nothing_more(struct scene *s)
{
    ends_inside(s, false);
}

static void freed_inside_its_callback__no_deadlock_and_nothing_more(struct scene *s)
{
    ends_inside(s, true);
}

struct slow {
    atomic_bool go;
    atomic_int calls;
};

static void be_slow(struct part *part, const char *kind)
{
    struct slow *slow = part->user;
    (void)kind;
    atomic_fetch_add(&slow->calls, 1);
    for (int64_t end = wait_now_ns() + WAIT_LONG_MS * WAIT_NS_PER_MS;
         !atomic_load(&slow->go) && wait_now_ns() < end;) {
        wait_pause_ms(2);
    }
}

static void slow_listener__changes_are_merged_and_the_last_counts(struct scene *s)
{
    struct slow *slow = scene_memory(s, sizeof(*slow));
    pgk_leader found;
    struct part *leader = lead_at(s, scene_open(s), "a");
    struct part *follower = scene_follow_hooked(s, scene_client(s), "dispatcher", be_slow, slow);
    WAIT_UNTIL(atomic_load(&slow->calls) == 1, WAIT_LONG_MS);
    for (int i = 0; i < 3; i++) {
        scene_depose_once(s, leader);
        part_confirm(leader, i == 2 ? "last" : "between");
    }
    WAIT_UNTIL(pgk_retriever_get(follower->retriever, &found, NULL) == PGK_OK &&
                   strcmp(found.address, "last") == 0,
               WAIT_LONG_MS);
    assert_int_equal(part_count(follower, "leader"), 1);
    atomic_store(&slow->go, true);
    part_hears(follower, "a");
    part_hears(follower, "last");
    assert_int_equal(part_count(follower, "leader"), 2);
}

static void client_handle__follows_across_leaders(struct scene *s)
{
    pgk_ha *first = scene_open(s);
    struct part *follower = scene_follow(s, scene_client(s), "dispatcher");
    lead_at(s, first, "a");
    part_hears(follower, "a");
    scene_close(s, first);
    part_hears(follower, NULL);
    struct part *second = lead_at(s, scene_open(s), "b");
    assert_int_equal(part_hears(follower, "b"), second->epoch);
}

/* ------------------------------------------------------------------ differences */

static void expect_address(struct scene *s, pgk_ha *ha, const char *component, const char *address)
{
    pgk_leader found;
    struct part *follower = scene_follow(s, ha, component);
    part_hears(follower, address);
    WORKS(s, pgk_retriever_get(follower->retriever, &found, &s->err));
    assert_string_equal(found.address, address);
    assert_true(pgk_uuid_is_nil(&found.session_id));
    assert_int_equal(found.epoch, 0);
}

static void without__the_configured_addresses_at_once(struct scene *s)
{
    char component[PGK_JOB_COMPONENT_SIZE];
    pgk_uuid job = job_of(1);
    pgk_ha *ha = scene_open(s);
    pgk_component_of_job(&job, component);
    expect_address(s, ha, PGK_COMPONENT_DISPATCHER, "master.example:6123");
    expect_address(s, ha, PGK_COMPONENT_RESOURCE_MANAGER, "master.example:6123");
    expect_address(s, ha, PGK_COMPONENT_REST_ENDPOINT, "rest.example:8081");
    expect_address(s, ha, component, "master.example:6123");
    expect_address(s, scene_open_with(s, "jobmanager.rpc.address", "", NULL), component, "UNKNOWN");
    expect_address(s, scene_client(s), PGK_COMPONENT_REST_ENDPOINT, "rest.example:8081");
}

static void without__what_is_confirmed_is_not_told(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    struct part *follower = scene_follow(s, ha, "dispatcher");
    part_hears(follower, "master.example:6123");
    struct part *leader = lead_at(s, ha, "elsewhere");
    WORKS(s, pgk_election_close(leader->election, &s->err));
    scene_quiet(s);
    assert_int_equal(part_count(follower, "leader"), 1);
}

#define LED (BIT(ELECTS) | BIT(PUBLISHES) | BIT(SHARES))

static const struct conformance_case cases[] = {
    CASE(null_listener__invalid_argument),
    CASE(started_twice__illegal_state),
    CASE(started_after_stop__illegal_state),
    CASE(stopped_twice_or_never_started__fine),
    CASE(get_before_start__illegal_state),
    CASE(bad_names__invalid_argument),
    CASE(service_by_name__is_its_component),
    CASE_NEEDS(no_leader__nothing_is_said, LED),
    CASE_NEEDS(started_late__announces_the_present_leader, LED),
    CASE_NEEDS(get__the_leader_in_all_its_parts, LED),
    CASE_NEEDS(granted_but_not_confirmed__nothing_is_said, LED),
    CASE_NEEDS(confirmed_again__not_announced_again, LED),
    CASE_NEEDS(new_leader__its_address, LED),
    CASE_NEEDS(same_address_in_a_new_tenure__is_a_change, LED),
    CASE_NEEDS(leader_closed_without_successor__gone_once, LED),
    CASE_NEEDS(resigned_and_back__gone_or_replaced_never_stale, LED),
    CASE_NEEDS(five_tenures__epochs_only_rise, LED),
    CASE_NEEDS(several_retrievers_of_a_component__each_is_told, LED),
    CASE_NEEDS(another_component__is_not_told, LED),
    CASE_NEEDS(another_cluster__is_not_told, LED),
    CASE_NEEDS(in_the_leaders_own_handle__told_too, LED),
    CASE_NEEDS(one_component_closed__its_address_goes_and_others_stay, LED),
    CASE_NEEDS(longest_address__arrives_whole, LED),
    CASE_NEEDS(stopped__nothing_more_is_told, LED),
    CASE_NEEDS(stopped_inside_its_callback__no_deadlock_and_nothing_more, LED),
    CASE_NEEDS(freed_inside_its_callback__no_deadlock_and_nothing_more, LED),
    CASE_NEEDS(slow_listener__changes_are_merged_and_the_last_counts, LED),
    CASE_NEEDS(client_handle__follows_across_leaders, LED),
    CASE_WITHOUT(without__the_configured_addresses_at_once, PUBLISHES),
    CASE_WITHOUT(without__what_is_confirmed_is_not_told, PUBLISHES),
};
AREA(retrieval, cases);
