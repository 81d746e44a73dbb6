/* tests/conformance/cases_handles.c - contract 1, the life of a handle: opening, dispatching, closing, and use after it. */
#include "suite.h"

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

/* ------------------------------------------------------------------ opening */

static void opened_without_config_or_result__invalid_argument(struct scene *s)
{
    pgk_ha *ha = NULL;
    pgk_config *config = scene_config(s);
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_ha_open(NULL, &ha, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_ha_open(config, NULL, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_ha_open_client(NULL, &ha, &s->err));
    assert_null(ha);
    pgk_config_free(config);
    pgk_ha_free(NULL);
}

static void config_freed_after_open__the_handle_has_a_copy(struct scene *s)
{
    pgk_ha *ha = NULL;
    pgk_config *config = scene_config(s);
    WORKS(s, pgk_ha_open(config, &ha, &s->err));
    WORKS(s, pgk_config_set(config, "high-availability.cluster-id", "changed", &s->err));
    pgk_config_free(config);
    s->handles[s->handle_count++] = ha;
    put_graph(s, scene_graphs(s, ha, PGK_UNFENCED), 1, "graph");
    pgk_job_registry *registry = scene_registry(s, ha, PGK_UNFENCED);
    WORKS(s, pgk_job_registry_set_running(registry, &(pgk_uuid){{1}}, &s->err));
}

static void other_ways_to_open__the_same_mode(struct scene *s)
{
    pgk_ha *handles[3] = {NULL};
    pgk_config *config = scene_config(s);
    WORKS(s, pgk_ha_open_or_embedded(config, &handles[0], &s->err));
    WORKS(s, pgk_ha_open_resolving(config, PGK_RESOLVE_NOTHING, &handles[1], &s->err));
    WORKS(s, pgk_ha_open_client_resolving(config, PGK_RESOLVE_NOTHING, &handles[2], &s->err));
    pgk_config_free(config);
    for (int i = 0; i < 3; i++) {
        s->handles[s->handle_count++] = handles[i];
    }
    scene_lead(s, handles[0], NULL);
    pgk_election *election = NULL;
    FAILS(s, PGK_ERR_ILLEGAL_STATE, pgk_ha_election(handles[2], "dispatcher", &election, &s->err));
}

static void type_in_capitals__is_the_mode(struct scene *s)
{
    char type[16] = "";
    for (size_t i = 0; s->mode->name[i] != '\0'; i++) {
        type[i] = (char)(s->mode->name[i] - 'a' + 'A');
    }
    part_granted(
        scene_contend(s, scene_open_with(s, "high-availability.type", type, NULL), "dispatcher"));
}

static void two_handles_of_one_cluster__both_work(struct scene *s)
{
    pgk_ha *one = scene_open(s);
    pgk_ha *two = scene_open(s);
    assert_string_equal(results_text(s, scene_results(s, one, PGK_UNFENCED)), "");
    assert_string_equal(results_text(s, scene_results(s, two, PGK_UNFENCED)), "");
    scene_close(s, one);
    assert_string_equal(results_text(s, scene_results(s, two, PGK_UNFENCED)), "");
}

static void client_handle__gives_retrievers_and_no_elections(struct scene *s)
{
    pgk_ha *client = scene_client(s);
    pgk_election *election = NULL;
    FAILS(s, PGK_ERR_ILLEGAL_STATE, pgk_ha_election(client, "dispatcher", &election, &s->err));
    FAILS(s, PGK_ERR_ILLEGAL_STATE,
          pgk_ha_election_in_group(client, "dispatcher", "g", &election, &s->err));
    FAILS(s, PGK_ERR_ILLEGAL_STATE,
          pgk_ha_service_election(client, "dispatcher", NULL, &election, &s->err));
    scene_follow(s, client, "dispatcher");
}

static void twenty_times_opened_and_closed__works_on(struct scene *s)
{
    for (int i = 0; i < 20; i++) {
        pgk_ha *ha = NULL;
        pgk_config *config = scene_config(s);
        WORKS(s, pgk_ha_open(config, &ha, &s->err));
        pgk_config_free(config);
        pgk_ha_free(ha);
    }
    scene_lead(s, scene_open(s), NULL);
}

/* ------------------------------------------------------------------ closing */

static void closed_twice__fine(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    scene_lead(s, ha, NULL);
    WORKS(s, pgk_ha_close(ha, &s->err));
    WORKS(s, pgk_ha_close(ha, &s->err));
}

static void closed__used_everywhere_it_is_illegal_state(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    pgk_token token;
    pgk_election *idle = NULL;
    pgk_election *election = NULL;
    pgk_retriever *retriever = NULL;
    pgk_contender contender = {
        .size = sizeof(contender), .grant = ignore_tenure, .revoke = ignore_tenure};
    WORKS(s, pgk_ha_election(ha, "idle", &idle, &s->err));
    struct part *part = scene_lead(s, ha, NULL);
    WORKS(s, pgk_ha_close(ha, &s->err));
    FAILS(s, PGK_ERR_ILLEGAL_STATE, pgk_ha_election(ha, "x", &election, &s->err));
    FAILS(s, PGK_ERR_ILLEGAL_STATE, pgk_ha_election_in_group(ha, "x", "g", &election, &s->err));
    FAILS(s, PGK_ERR_ILLEGAL_STATE, pgk_ha_retriever(ha, "x", &retriever, &s->err));
    FAILS(s, PGK_ERR_ILLEGAL_STATE, pgk_election_start(idle, &contender, &s->err));
    FAILS(s, PGK_ERR_ILLEGAL_STATE, pgk_election_resign(part->election, &s->err));
    FAILS(s, PGK_ERR_ILLEGAL_STATE, pgk_election_token(part->election, &token, &s->err));
    assert_int_not_equal(pgk_election_confirm(part->election, &part->session_id, "x", NULL),
                         PGK_OK);
    assert_false(part_leads(part));
    WORKS(s, pgk_election_close(part->election, &s->err));
    assert_int_equal(pgk_ha_fd(ha), -1);
    FAILS(s, PGK_ERR_ILLEGAL_STATE, pgk_ha_dispatch(ha, &s->err));
    pgk_election_free(idle);
}

static void closed__no_store_can_be_opened(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    pgk_uuid job = job_of(1);
    pgk_checkpoints_options options = {.size = sizeof(options), .max_retained = 1};
    pgk_job_graphs *graphs = NULL;
    pgk_job_results *results = NULL;
    pgk_checkpoints *checkpoints = NULL;
    pgk_checkpoint_counter *counter = NULL;
    pgk_blobs *blobs = NULL;
    WORKS(s, pgk_ha_close(ha, &s->err));
    FAILS(s, PGK_ERR_ILLEGAL_STATE, pgk_ha_job_graphs(ha, PGK_UNFENCED, &graphs, &s->err));
    FAILS(s, PGK_ERR_ILLEGAL_STATE, pgk_ha_job_results(ha, PGK_UNFENCED, &results, &s->err));
    FAILS(s, PGK_ERR_ILLEGAL_STATE,
          pgk_ha_checkpoints(ha, PGK_UNFENCED, &options, &checkpoints, &s->err));
    FAILS(s, PGK_ERR_ILLEGAL_STATE,
          pgk_ha_checkpoint_counter(ha, PGK_UNFENCED, &job, &counter, &s->err));
    FAILS(s, PGK_ERR_ILLEGAL_STATE, pgk_ha_blobs(ha, PGK_UNFENCED, &blobs, &s->err));
}

static void closed__no_callback_comes_any_more(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    struct part *leader = scene_lead(s, ha, NULL);
    struct part *follower = scene_follow(s, ha, "dispatcher");
    part_confirm(leader, "a");
    PART_WAIT(follower, "leader", 1);
    WORKS(s, pgk_ha_close(ha, &s->err));
    size_t told = recorder_count(leader->recorder, "") + recorder_count(follower->recorder, "");
    scene_quiet(s);
    assert_int_equal(recorder_count(leader->recorder, "") + recorder_count(follower->recorder, ""),
                     told);
    assert_int_equal(part_count(leader, "revoke"), 1);
}

static void freed_before_its_elections__they_stay_closed_objects(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    struct part *part = scene_lead(s, ha, NULL);
    struct part *follower = scene_follow(s, ha, "dispatcher");
    scene_forget(s, ha);
    pgk_ha_free(ha);
    assert_false(part_leads(part));
    WORKS(s, pgk_election_close(part->election, &s->err));
    WORKS(s, pgk_retriever_stop(follower->retriever, &s->err));
    assert_int_equal(part_count(part, "revoke"), 1);
}

struct closing {
    pgk_ha *ha;
    atomic_int done;
    pgk_status status;
};

static void close_inside(struct part *part, const char *kind)
{
    struct closing *closing = part->user;
    if (strcmp(kind, "revoke") != 0) {
        closing->status = pgk_ha_close(closing->ha, NULL);
        atomic_store(&closing->done, 1);
    }
}

static void closed_inside_a_grant__revoked_once_and_no_deadlock(struct scene *s)
{
    struct closing *closing = scene_memory(s, sizeof(*closing));
    closing->ha = scene_open(s);
    struct part *other = scene_contend(s, closing->ha, "other");
    struct part *part = scene_contend_hooked(s, closing->ha, "dispatcher", close_inside, closing);
    WAIT_UNTIL(atomic_load(&closing->done) == 1, WAIT_LONG_MS);
    assert_int_equal(closing->status, PGK_OK);
    WORKS(s, pgk_ha_close(closing->ha, &s->err));
    assert_int_equal(part_count(part, "grant"), 1);
    assert_int_equal(part_count(part, "revoke"), 1);
    assert_int_equal(part_count(other, "grant"), part_count(other, "revoke"));
    part_granted(scene_contend(s, scene_open(s), "dispatcher"));
}

static void closed_inside_a_listener__told_once_and_no_deadlock(struct scene *s)
{
    struct closing *closing = scene_memory(s, sizeof(*closing));
    struct part *leader = scene_lead(s, scene_open(s), NULL);
    part_confirm(leader, "a");
    closing->ha = scene_client(s);
    struct part *follower =
        scene_follow_hooked(s, closing->ha, "dispatcher", close_inside, closing);
    WAIT_UNTIL(atomic_load(&closing->done) == 1, WAIT_LONG_MS);
    assert_int_equal(closing->status, PGK_OK);
    WORKS(s, pgk_ha_close(closing->ha, &s->err));
    assert_int_equal(part_count(follower, "leader"), 1);
    assert_true(part_leads(leader));
}

static pgk_status close_in_list(void *user, const pgk_job_result *result)
{
    (void)result;
    return pgk_ha_close(user, NULL);
}

static void closed_inside_a_list__ends_and_does_not_hang(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    pgk_job_results *results = scene_results(s, ha, PGK_UNFENCED);
    pgk_job_graphs *graphs = scene_graphs(s, ha, PGK_UNFENCED);
    for (int job = 1; job <= 3; job++) {
        pgk_job_result result = result_of(job);
        WORKS(s, pgk_job_results_create_dirty(results, &result, &s->err));
    }
    pgk_status status = pgk_job_results_list_dirty(results, close_in_list, ha, &s->err);
    assert_true(status == PGK_OK || status == PGK_ERR_ILLEGAL_STATE);
    FAILS(s, PGK_ERR_ILLEGAL_STATE, pgk_job_graphs_put(graphs, &(pgk_uuid){{1}}, "g", 1, &s->err));
}

struct load {
    pthread_t thread;
    pgk_ha *ha;
    struct part *part;
    pgk_job_registry *registry;
    atomic_bool stop;
    int wrong;
};

static void *run_load(void *arg)
{
    struct load *load = arg;
    while (!atomic_load(&load->stop)) {
        pgk_token token;
        pgk_election *election = NULL;
        pgk_uuid job = job_of(1);
        pgk_status status = pgk_job_registry_set_running(load->registry, &job, NULL);
        load->wrong += status != PGK_OK && status != PGK_ERR_ILLEGAL_STATE;
        if (pgk_election_token(load->part->election, &token, NULL) == PGK_OK) {
            (void)pgk_election_confirm(load->part->election, &token.session_id, "here", NULL);
        }
        if (pgk_ha_election(load->ha, "passing", &election, NULL) == PGK_OK) {
            load->wrong += pgk_election_close(election, NULL) != PGK_OK;
        }
        pgk_election_free(election);
    }
    return NULL;
}

static void closed_while_other_threads_use_it__nothing_hangs(struct scene *s)
{
    for (int round = 0; round < 3; round++) {
        struct load *loads = scene_memory(s, 3 * sizeof(*loads));
        pgk_ha *ha = scene_open(s);
        struct part *part = scene_lead(s, ha, NULL);
        pgk_job_registry *registry = scene_registry(s, ha, PGK_UNFENCED);
        for (int i = 0; i < 3; i++) {
            loads[i].ha = ha;
            loads[i].part = part;
            loads[i].registry = registry;
            assert_int_equal(pthread_create(&loads[i].thread, NULL, run_load, &loads[i]), 0);
        }
        wait_pause_ms(30 * round);
        pgk_status status = pgk_ha_close(ha, &s->err);
        for (int i = 0; i < 3; i++) {
            atomic_store(&loads[i].stop, true);
            pthread_join(loads[i].thread, NULL);
            assert_int_equal(loads[i].wrong, 0);
        }
        scene_expect(s, PGK_OK, status, "pgk_ha_close");
        assert_int_equal(part_count(part, "grant"), part_count(part, "revoke"));
    }
}

/* ------------------------------------------------------------------ dispatching by hand */

static void note_thread(struct part *part, const char *kind)
{
    (void)kind;
    if (pthread_equal(pthread_self(), *(pthread_t *)part->user) == 0) {
        abort();
    }
}

/* The application's loop, until a part was told so. */
static void loop_until(struct scene *s, pgk_ha *ha, const struct part *part, const char *kind,
                       size_t times)
{
    for (int64_t end = wait_now_ns() + WAIT_LONG_MS * WAIT_NS_PER_MS;
         part_count(part, kind) < times;) {
        struct pollfd poller = {.fd = pgk_ha_fd(ha), .events = POLLIN};
        assert_true(poller.fd >= 0);
        assert_true(wait_now_ns() < end);
        if (poll(&poller, 1, 100) > 0) {
            WORKS(s, pgk_ha_dispatch(ha, &s->err));
        }
    }
}

static void dispatch_manual__callbacks_only_in_the_loop(struct scene *s)
{
    pthread_t self = pthread_self();
    pgk_ha *ha = scene_open_with(s, "dispatch", "manual", NULL);
    struct part *part = scene_contend_hooked(s, ha, "dispatcher", note_thread, &self);
    scene_quiet(s);
    assert_int_equal(part_count(part, "grant"), 0);
    loop_until(s, ha, part, "grant", 1);
    assert_true(part_leads(part));
    struct part *follower = scene_follow_hooked(s, ha, "dispatcher", note_thread, &self);
    part_confirm(part, "a");
    loop_until(s, ha, follower, "leader", 1);
    WORKS(s, pgk_ha_close(ha, &s->err));
    assert_int_equal(part_count(part, "revoke"), 1);
}

static void dispatch_where_it_does_not_belong__illegal_state(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    assert_int_equal(pgk_ha_fd(ha), -1);
    FAILS(s, PGK_ERR_ILLEGAL_STATE, pgk_ha_dispatch(ha, &s->err));
}

static void dispatch_with_nothing_due__fine(struct scene *s)
{
    pgk_ha *ha = scene_open_with(s, "dispatch", "manual", NULL);
    WORKS(s, pgk_ha_dispatch(ha, &s->err));
    WORKS(s, pgk_ha_dispatch(ha, &s->err));
}

/* ------------------------------------------------------------------ what outlives a handle */

static void one_of_two_closed__what_it_stored_stays(struct scene *s)
{
    pgk_job_result result = result_of(1);
    pgk_ha *one = scene_open(s);
    pgk_ha *two = scene_open(s);
    WORKS(s, pgk_job_results_create_dirty(scene_results(s, one, PGK_UNFENCED), &result, &s->err));
    put_graph(s, scene_graphs(s, one, PGK_UNFENCED), 1, "graph");
    WORKS(s, pgk_ha_close(one, &s->err));
    assert_string_equal(results_text(s, scene_results(s, two, PGK_UNFENCED)), "1");
    assert_string_equal(graph_text(s, scene_graphs(s, two, PGK_UNFENCED), 1), "graph");
}

static const char *results_after_the_last_close(struct scene *s)
{
    pgk_job_result result = result_of(1);
    pgk_ha *ha = scene_open(s);
    WORKS(s, pgk_job_results_create_dirty(scene_results(s, ha, PGK_UNFENCED), &result, &s->err));
    WORKS(s, pgk_ha_close(ha, &s->err));
    return results_text(s, scene_results(s, scene_open(s), PGK_UNFENCED));
}

static void last_handle_closed__what_is_stored_stays(struct scene *s)
{
    assert_string_equal(results_after_the_last_close(s), "1");
}

static void last_handle_closed__epochs_go_on_rising(struct scene *s)
{
    pgk_ha *ha = scene_open(s);
    struct part *first = scene_lead(s, ha, NULL);
    WORKS(s, pgk_ha_close(ha, &s->err));
    assert_true(scene_lead(s, scene_open(s), NULL)->epoch > first->epoch);
}

static void without__last_handle_closed__all_is_forgotten(struct scene *s)
{
    assert_string_equal(results_after_the_last_close(s), "");
}

/* ------------------------------------------------------------------ processes */

static void another_process__waits_and_takes_over(struct scene *s)
{
    const char *word;
    pgk_ha *ha = scene_open(s);
    scene_lead(s, ha, NULL);
    struct process *other = scene_probe(s, &word);
    assert_string_equal(word, "waiting");
    WORKS(s, pgk_ha_close(ha, &s->err));
    process_expect(other, "probe granted", WAIT_LONG_MS);
    process_kill(other);
    scene_lead(s, scene_open(s), NULL);
}

static void another_process_killed__its_successor_leads(struct scene *s)
{
    const char *word;
    struct process *other = scene_probe(s, &word);
    assert_string_equal(word, "granted");
    struct part *part = scene_contend(s, scene_open(s), "dispatcher");
    scene_await_contender(s, 0);
    scene_quiet(s);
    assert_int_equal(part_count(part, "grant"), 0);
    process_kill(other);
    part_granted(part);
}

static void without__another_process_leads_too(struct scene *s)
{
    const char *word;
    struct part *part = scene_lead(s, scene_open(s), NULL);
    scene_probe(s, &word);
    assert_string_equal(word, "granted");
    assert_true(part_leads(part));
}

static void forked_child__is_refused_and_the_parent_goes_on(struct scene *s)
{
    int wait_status = -1;
    pgk_uuid job = job_of(1);
    pgk_ha *ha = scene_open(s);
    struct part *part = scene_lead(s, ha, NULL);
    pgk_job_registry *registry = scene_registry(s, ha, PGK_UNFENCED);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        pgk_election *election = NULL;
        bool refused =
            pgk_job_registry_set_running(registry, &job, NULL) == PGK_ERR_ILLEGAL_STATE &&
            pgk_ha_election(ha, "x", &election, NULL) == PGK_ERR_ILLEGAL_STATE &&
            !pgk_election_has_leadership(part->election, &part->session_id);
        pgk_job_registry_free(registry);
        pgk_election_free(part->election);
        pgk_ha_free(ha);
        _exit(refused ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &wait_status, 0), child);
    assert_int_equal(wait_status, 0);
    assert_true(part_leads(part));
    WORKS(s, pgk_job_registry_set_running(registry, &job, &s->err));
}

static void version__is_a_version(struct scene *s)
{
    (void)s;
    assert_true(strlen(pgk_version()) >= 5);
    assert_true(pgk_version()[0] >= '0' && pgk_version()[0] <= '9');
}

static const struct conformance_case cases[] = {
    CASE(opened_without_config_or_result__invalid_argument),
    CASE(config_freed_after_open__the_handle_has_a_copy),
    CASE(other_ways_to_open__the_same_mode),
    CASE(type_in_capitals__is_the_mode),
    CASE(two_handles_of_one_cluster__both_work),
    CASE(client_handle__gives_retrievers_and_no_elections),
    CASE(twenty_times_opened_and_closed__works_on),
    CASE(closed_twice__fine),
    CASE(closed__used_everywhere_it_is_illegal_state),
    CASE(closed__no_store_can_be_opened),
    CASE(closed__no_callback_comes_any_more),
    CASE(freed_before_its_elections__they_stay_closed_objects),
    CASE(closed_inside_a_grant__revoked_once_and_no_deadlock),
    CASE(closed_inside_a_listener__told_once_and_no_deadlock),
    CASE(closed_inside_a_list__ends_and_does_not_hang),
    CASE(closed_while_other_threads_use_it__nothing_hangs),
    CASE(dispatch_manual__callbacks_only_in_the_loop),
    CASE(dispatch_where_it_does_not_belong__illegal_state),
    CASE(dispatch_with_nothing_due__fine),
    CASE_NEEDS(one_of_two_closed__what_it_stored_stays, BIT(SHARES) | BIT(GRAPHS)),
    CASE_NEEDS(last_handle_closed__what_is_stored_stays, BIT(OUTLIVES)),
    CASE_NEEDS(last_handle_closed__epochs_go_on_rising, BIT(OUTLIVES) | BIT(ELECTS)),
    CASE_WITHOUT(without__last_handle_closed__all_is_forgotten, OUTLIVES),
    CASE_NEEDS(another_process__waits_and_takes_over, BIT(PROCESSES)),
    CASE_NEEDS(another_process_killed__its_successor_leads, BIT(PROCESSES)),
    CASE_WITHOUT(without__another_process_leads_too, PROCESSES),
    CASE(forked_child__is_refused_and_the_parent_goes_on),
    CASE(version__is_a_version),
};
AREA(handles, cases);
