/* tests/conformance/cases_recovery.c - what a new leader finds, in one look. */
#include "suite.h"

struct findings {
    char text[512];
    int calls;
    int refuse_at; /* the call that answers PGK_ERR_IO; 0: none */
    bool metadata_of_discards;
};

static pgk_status note(struct findings *findings, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static pgk_status note(struct findings *findings, const char *format, ...)
{
    size_t length = strlen(findings->text);
    va_list args;
    va_start(args, format);
    vsnprintf(findings->text + length, sizeof(findings->text) - length, format, args);
    va_end(args);
    return ++findings->calls == findings->refuse_at ? PGK_ERR_IO : PGK_OK;
}

static pgk_status find_result(void *user, const pgk_job_result *result)
{
    return note(user, "r%d%s ", result->job_id.bytes[15], result->dirty ? "" : "?");
}

static pgk_status find_job(void *user, const pgk_recovered_job *job)
{
    return note(user, "j%d:c%lld:n%lld ", job->graph->job_id.bytes[15],
                job->checkpoint != NULL ? (long long)job->checkpoint->checkpoint_id : 0LL,
                (long long)job->next_checkpoint_id);
}

static pgk_status find_discard(void *user, const pgk_checkpoint *checkpoint)
{
    struct findings *findings = user;
    findings->metadata_of_discards |= checkpoint->metadata != NULL;
    return note(findings, "d%d:%lld ", checkpoint->job_id.bytes[15],
                (long long)checkpoint->checkpoint_id);
}

static pgk_recovery into(struct findings *findings)
{
    memset(findings, 0, sizeof(*findings));
    return (pgk_recovery){.size = sizeof(pgk_recovery),
                          .user = findings,
                          .dirty_result = find_result,
                          .job = find_job,
                          .pending_discard = find_discard};
}

/* Job 1 with graph, checkpoint 2 and pending discard 1, next number 4; job 3 ended, dirty; job 4 ended, clean. */
static void fill(struct scene *s, pgk_ha *ha)
{
    pgk_checkpoints *checkpoints = scene_checkpoints(s, ha, PGK_UNFENCED, 1, NULL, NULL);
    pgk_checkpoint_counter *counter = scene_counter(s, ha, PGK_UNFENCED);
    pgk_job_results *results = scene_results(s, ha, PGK_UNFENCED);
    put_graph(s, scene_graphs(s, ha, PGK_UNFENCED), 1, "graph");
    add_checkpoints(s, checkpoints, "cc");
    WORKS(s, pgk_checkpoint_counter_set(counter, 4, &s->err));
    for (int job = 3; job <= 4; job++) {
        pgk_job_result result = result_of(job);
        WORKS(s, pgk_job_results_create_dirty(results, &result, &s->err));
    }
    pgk_uuid clean = job_of(4);
    WORKS(s, pgk_job_results_mark_clean(results, &clean, &s->err));
}

static void nothing_stored__nothing_found(struct scene *s)
{
    struct findings findings;
    pgk_recovery recovery = into(&findings);
    WORKS(s, pgk_ha_recover(scene_open(s), NULL, &recovery, &s->err));
    assert_string_equal(findings.text, "");
}

static void all_parts__in_order(struct scene *s)
{
    struct findings findings;
    pgk_recovery recovery = into(&findings);
    pgk_ha *ha = scene_open(s);
    fill(s, ha);
    WORKS(s, pgk_ha_recover(ha, NULL, &recovery, &s->err));
    assert_string_equal(findings.text, "r3 j1:c2:n4 d1:1 ");
    assert_false(findings.metadata_of_discards);
}

static void without_graphs__results_and_discards(struct scene *s)
{
    struct findings findings;
    pgk_recovery recovery = into(&findings);
    pgk_ha *ha = scene_open(s);
    fill(s, ha);
    recovery.job = NULL;
    WORKS(s, pgk_ha_recover(ha, NULL, &recovery, &s->err));
    assert_string_equal(findings.text, "r3 d1:1 ");
}

static void null_callbacks__their_parts_are_skipped(struct scene *s)
{
    struct findings findings;
    pgk_recovery recovery = into(&findings);
    pgk_ha *ha = scene_open(s);
    fill(s, ha);
    recovery.dirty_result = NULL;
    recovery.pending_discard = NULL;
    WORKS(s, pgk_ha_recover(ha, NULL, &recovery, &s->err));
    assert_string_equal(findings.text, "j1:c2:n4 ");
    recovery = into(&findings);
    recovery.dirty_result = NULL;
    recovery.job = NULL;
    recovery.pending_discard = NULL;
    WORKS(s, pgk_ha_recover(ha, NULL, &recovery, &s->err));
    assert_string_equal(findings.text, "");
}

static void job_of_which_nothing_but_a_graph_is_known__starts_at_1(struct scene *s)
{
    struct findings findings;
    pgk_recovery recovery = into(&findings);
    pgk_ha *ha = scene_open(s);
    put_graph(s, scene_graphs(s, ha, PGK_UNFENCED), 5, "graph");
    WORKS(s, pgk_ha_recover(ha, NULL, &recovery, &s->err));
    assert_string_equal(findings.text, "j5:c0:n1 ");
}

static void graph_of_a_job_with_a_result__is_not_handed_out(struct scene *s)
{
    struct findings findings;
    pgk_recovery recovery = into(&findings);
    pgk_ha *ha = scene_open(s);
    pgk_job_graphs *graphs = scene_graphs(s, ha, PGK_UNFENCED);
    pgk_uuid clean = job_of(4);
    fill(s, ha);
    put_graph(s, graphs, 3, "left over");
    put_graph(s, graphs, 4, "left over");
    WORKS(s, pgk_ha_recover(ha, NULL, &recovery, &s->err));
    assert_string_equal(findings.text, "r3 j1:c2:n4 d1:1 ");
    WORKS(s, pgk_job_graphs_remove(graphs, &clean, &s->err));
}

static void handed_out__is_owned_by_the_store_that_was_given(struct scene *s)
{
    struct findings findings;
    pgk_uuid job = job_of(1);
    pgk_recovery recovery = into(&findings);
    pgk_ha *ha = scene_open(s);
    fill(s, ha);
    pgk_job_graphs *store = scene_graphs(s, ha, PGK_UNFENCED);
    WORKS(s, pgk_ha_recover(ha, NULL, &recovery, &s->err));
    FAILS(s, PGK_ERR_ALREADY_EXISTS, pgk_job_graphs_put(store, &job, "x", 1, &s->err));
    recovery = into(&findings);
    WORKS(s, pgk_ha_recover(ha, store, &recovery, &s->err));
    put_graph(s, store, 1, "owned");
}

static void callback_that_refuses__ends_it(struct scene *s)
{
    struct findings findings;
    pgk_recovery recovery = into(&findings);
    pgk_ha *ha = scene_open(s);
    fill(s, ha);
    findings.refuse_at = 1;
    FAILS(s, PGK_ERR_IO, pgk_ha_recover(ha, NULL, &recovery, &s->err));
    assert_string_equal(findings.text, "r3 ");
}

static pgk_status see_metadata(void *user, const pgk_recovered_job *job)
{
    bool *good = user;
    *good = job->graph->status == PGK_OK && job->graph->graph_bytes == 5 &&
            memcmp(job->graph->graph, "graph", 5) == 0 && job->checkpoint != NULL &&
            job->checkpoint->status == PGK_OK && job->checkpoint->metadata_bytes == 8 &&
            memcmp(job->checkpoint->metadata, "metadata", 8) == 0;
    return PGK_OK;
}

static void job__comes_with_its_bytes(struct scene *s)
{
    bool good = false;
    pgk_recovery recovery = {.size = sizeof(recovery), .user = &good, .job = see_metadata};
    pgk_ha *ha = scene_open(s);
    fill(s, ha);
    WORKS(s, pgk_ha_recover(ha, NULL, &recovery, &s->err));
    assert_true(good);
}

static void another_cluster__finds_nothing(struct scene *s)
{
    struct findings findings;
    pgk_recovery recovery = into(&findings);
    fill(s, scene_open(s));
    pgk_ha *far = scene_open_with(s, "high-availability.cluster-id", s->elsewhere, NULL);
    WORKS(s, pgk_ha_recover(far, NULL, &recovery, &s->err));
    assert_string_equal(findings.text, "");
}

static void successor__finds_what_the_former_leader_left(struct scene *s)
{
    struct findings findings;
    pgk_recovery recovery = into(&findings);
    pgk_ha *first = scene_open(s);
    pgk_ha *second = scene_open(s);
    scene_lead(s, first, NULL);
    fill(s, first);
    WORKS(s, pgk_ha_close(first, &s->err));
    pgk_token token;
    scene_lead(s, second, &token);
    pgk_job_graphs *heir = scene_graphs(s, second, &token);
    WORKS(s, pgk_ha_recover(second, heir, &recovery, &s->err));
    assert_string_equal(findings.text, "r3 j1:c2:n4 d1:1 ");
    put_graph(s, heir, 1, "heir's");
}

static void bad_arguments__refused(struct scene *s)
{
    struct findings findings;
    pgk_recovery recovery = into(&findings);
    pgk_ha *ha = scene_open(s);
    pgk_job_graphs *far = scene_graphs(s, scene_open(s), PGK_UNFENCED);
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_ha_recover(NULL, NULL, &recovery, &s->err));
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_ha_recover(ha, NULL, NULL, &s->err));
    FAILS(s, PGK_ERR_ILLEGAL_STATE, pgk_ha_recover(ha, far, &recovery, &s->err));
    pgk_job_graphs *stopped = scene_graphs(s, ha, PGK_UNFENCED);
    WORKS(s, pgk_job_graphs_stop(stopped, &s->err));
    FAILS(s, PGK_ERR_ILLEGAL_STATE, pgk_ha_recover(ha, stopped, &recovery, &s->err));
    recovery.size = 3;
    FAILS(s, PGK_ERR_INVALID_ARGUMENT, pgk_ha_recover(ha, NULL, &recovery, &s->err));
    recovery = into(&findings);
    WORKS(s, pgk_ha_close(ha, &s->err));
    FAILS(s, PGK_ERR_ILLEGAL_STATE, pgk_ha_recover(ha, NULL, &recovery, &s->err));
}

static void without__no_job_is_found(struct scene *s)
{
    struct findings findings;
    pgk_recovery recovery = into(&findings);
    pgk_ha *ha = scene_open(s);
    fill(s, ha);
    WORKS(s, pgk_ha_recover(ha, NULL, &recovery, &s->err));
    assert_string_equal(findings.text, "r3 d1:1 ");
}

static const struct conformance_case cases[] = {
    CASE(nothing_stored__nothing_found),
    CASE_NEEDS(all_parts__in_order, BIT(GRAPHS)),
    CASE(without_graphs__results_and_discards),
    CASE_NEEDS(null_callbacks__their_parts_are_skipped, BIT(GRAPHS)),
    CASE_NEEDS(job_of_which_nothing_but_a_graph_is_known__starts_at_1, BIT(GRAPHS)),
    CASE_NEEDS(graph_of_a_job_with_a_result__is_not_handed_out, BIT(GRAPHS)),
    CASE_NEEDS(handed_out__is_owned_by_the_store_that_was_given, BIT(GRAPHS)),
    CASE(callback_that_refuses__ends_it),
    CASE_NEEDS(job__comes_with_its_bytes, BIT(GRAPHS)),
    CASE(another_cluster__finds_nothing),
    CASE_NEEDS(successor__finds_what_the_former_leader_left,
               BIT(GRAPHS) | BIT(ELECTS) | BIT(SHARES)),
    CASE(bad_arguments__refused),
    CASE_WITHOUT(without__no_job_is_found, GRAPHS),
};
AREA(recovery, cases);
