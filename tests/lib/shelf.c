/* tests/lib/shelf.c - see shelf.h. */
#include "shelf.h"

#include <stdio.h>
#include <string.h>

pgk_uuid job_number(int number)
{
    pgk_uuid id = {{0xab}};
    id.bytes[12] = (uint8_t)(number >> 24);
    id.bytes[13] = (uint8_t)(number >> 16);
    id.bytes[14] = (uint8_t)(number >> 8);
    id.bytes[15] = (uint8_t)number;
    return id;
}

const char *shelf_text(const pgk_uuid *id)
{
    static char text[PGK_UUID_TEXT_SIZE];
    pgk_uuid_format(id, text);
    return text;
}

pgk_job_graphs *shelf_open(pgk_ha *ha, const pgk_token *token,
                           const pgk_job_graph_listener *listener)
{
    pgk_job_graphs *store = NULL;
    pgk_error err;
    CHECK_OK(pgk_ha_job_graphs(ha, token, &store, &err), err);
    CHECK_OK(pgk_job_graphs_start(store, listener, &err), err);
    return store;
}

static void expect_bytes(const void *bytes, size_t length, const char *expected)
{
    if (expected == NULL) {
        assert_null(bytes);
        assert_int_equal(length, 0);
    } else {
        assert_int_equal(length, strlen(expected));
        assert_memory_equal(bytes, expected, length);
    }
}

void shelf_open_two(pgk_ha *ha, struct leadership *lead, pgk_job_graphs **ret_a,
                    pgk_job_graphs **ret_b)
{
    lead_begin(lead, ha);
    *ret_a = shelf_open(ha, &lead->token, NULL);
    *ret_b = shelf_open(ha, &lead->token, NULL);
}

void shelf_expect(pgk_job_graphs *store, const pgk_uuid *job_id, int64_t version, const char *graph,
                  const char *requirements)
{
    pgk_job_graph *found = NULL;
    pgk_error err;
    CHECK_OK(pgk_job_graphs_recover(store, job_id, &found, &err), err);
    assert_int_equal(found->status, PGK_OK);
    assert_int_equal(pgk_uuid_compare(&found->job_id, job_id), 0);
    assert_int_equal(found->version, version);
    expect_bytes(found->graph, found->graph_bytes, graph);
    expect_bytes(found->requirements, found->requirements_bytes, requirements);
    pgk_job_graph_free(found);
}

pgk_status shelf_count(void *user, const pgk_job_graph *graph)
{
    size_t *count = user;
    (*count) += graph->status == PGK_OK;
    return PGK_OK;
}

pgk_status shelf_tally(void *user, const pgk_job_graph *graph)
{
    struct shelf_tally *tally = user;
    if (graph->status == PGK_OK) {
        tally->good++;
    } else {
        size_t length = strlen(tally->reasons);
        tally->damaged++;
        snprintf(tally->reasons + length, sizeof(tally->reasons) - length, "%s;", graph->reason);
    }
    return tally->state;
}

void lead_begin(struct leadership *lead, pgk_ha *ha)
{
    pgk_error err;
    memset(lead, 0, sizeof(*lead));
    lead->recorder = recorder_new();
    part_contend(&lead->part, lead->recorder, ha, "dispatcher", NULL);
    part_granted(&lead->part);
    CHECK_OK(pgk_election_token(lead->part.election, &lead->token, &err), err);
}

void lead_end(struct leadership *lead)
{
    part_free(&lead->part);
    recorder_free(lead->recorder);
}
