/* backend/postgres/blob_publish.c - the last transaction of a put, see blob_send.h. */
#include <inttypes.h>
#include <stdio.h>

#include "backend/postgres/blob_send.h"
#include "backend/postgres/keeper.h"
#include "backend/postgres/text_array.h"
#include "core/error.h"

#define ORIGIN "blobs"

static void add_bytes(const uint8_t *bytes, size_t count, char *out)
{
    static const char hex[] = "0123456789abcdef";
    *out++ = '\\';
    *out++ = 'x';
    for (size_t i = 0; i < count; i++) {
        *out++ = hex[bytes[i] >> 4];
        *out++ = hex[bytes[i] & 15];
    }
    *out = '\0';
}

enum { KEYS, IDS, SIZES, SHA1S, SHA256S, ARRAYS };

static bool add_sum(struct text_array *arrays, const pgk_uuid *id, const struct blob_sum *sum)
{
    char key[PGK_BLOB_KEY_TEXT_SIZE];
    char uuid[PGK_UUID_TEXT_SIZE];
    char size[24];
    char sha1[2 * PGK_SHA1_BYTES + 3];
    char sha256[2 * PGK_SHA256_BYTES + 3];
    pgk_blob_key_format(&sum->key, key);
    pgk_uuid_format(id, uuid);
    snprintf(size, sizeof(size), "%" PRId64, sum->bytes);
    add_bytes(sum->sha1, sizeof(sum->sha1), sha1);
    add_bytes(sum->sha256, sizeof(sum->sha256), sha256);
    return text_array_add(&arrays[KEYS], key) && text_array_add(&arrays[IDS], uuid) &&
           text_array_add(&arrays[SIZES], size) && text_array_add(&arrays[SHA1S], sha1) &&
           text_array_add(&arrays[SHA256S], sha256);
}

static pgk_status send_graph(struct sending *s, pgk_error *err)
{
    struct work work;
    struct text_array arrays[ARRAYS] = {{0}};
    bool made = true;
    for (int i = 0; i < ARRAYS; i++) {
        made = text_array_begin(&arrays[i]) && made;
    }
    for (size_t i = 0; made && i < s->count; i++) {
        made = add_sum(arrays, &s->ids[i], &s->sums[i]);
    }
    work_begin(&work, STMT_JOB_GRAPH_PUT_WITH_BLOBS);
    work_token(&work, s->write->token);
    work_text(&work, s->backend->settings->cluster_id);
    work_uuid(&work, s->job_id);
    work_uuid(&work, s->graph->store_id);
    work_uuid(&work, &s->write->op_id);
    work_uuid(&work, s->graph->known);
    work_bytes(&work, s->graph->graph->data, s->graph->graph->length);
    work_bytes(&work, s->graph->graph->digest, s->graph->graph->digest_length);
    for (int i = 0; i < ARRAYS; i++) {
        made = made && text_array_end(&arrays[i]);
        work_array(&work, arrays[i].text);
    }
    pgk_status status = made ? wire_send(&s->wire, &work, WIRE_LAST, 0, err)
                             : error_set(err, PGK_ERR_NO_MEMORY, ORIGIN, "out of memory");
    for (int i = 0; i < ARRAYS; i++) {
        text_array_free(&arrays[i]);
    }
    return status;
}

static pgk_status send_publish(struct sending *s, pgk_error *err)
{
    struct work work;
    char key[PGK_BLOB_KEY_TEXT_SIZE];
    const struct blob_sum *sum = &s->sums[0];
    pgk_blob_key_format(&sum->key, key);
    work_begin(&work, STMT_BLOB_PUBLISH);
    work_token(&work, s->write->token);
    work_text(&work, s->backend->settings->cluster_id);
    work_uuid(&work, s->job_id);
    work_text(&work, key);
    work_uuid(&work, &s->ids[0]);
    work_uuid(&work, &s->write->op_id);
    work_int64(&work, sum->bytes);
    work_bytes(&work, sum->sha1, sizeof(sum->sha1));
    work_bytes(&work, sum->sha256, sizeof(sum->sha256));
    return wire_send(&s->wire, &work, WIRE_LAST, 0, err);
}

static pgk_status no_answer(pgk_error *err)
{
    return error_set(err, PGK_ERR_CONNECTION, ORIGIN, "the session has ended without an answer");
}

static pgk_status unreplicated(pgk_error *err)
{
    error_set(err, PGK_ERR_OUTCOME_UNKNOWN, ORIGIN,
              "the commit did not wait for its synchronous standby: it was cut short");
    if (err != NULL) {
        err->flags |= PGK_ERROR_OUTCOME_UNKNOWN | PGK_ERROR_RETRYABLE;
    }
    return PGK_ERR_OUTCOME_UNKNOWN;
}

static pgk_status refused(struct sending *s, pgk_error *err)
{
    s->refused = true;
    if (cell_is(s->wire.last, 0, 0, "exists")) {
        return error_set(err, PGK_ERR_ALREADY_EXISTS, ORIGIN,
                         "the graph is there and this store does not own it; recover it first");
    }
    return error_set(err, PGK_ERR_CONFLICT, ORIGIN,
                     "the graph was changed by somebody else since this store knew it; recover it "
                     "to see");
}

pgk_status blob_publish(struct sending *s, pgk_error *err)
{
    pgk_status status = blob_open_part(s, err);
    if (status == PGK_OK) { /* a part that failed would leave a hole */
        status = wire_await_syncs(&s->wire, err);
    }
    if (status == PGK_OK) {
        status = s->graph != NULL ? send_graph(s, err) : send_publish(s, err);
    }
    if (status == PGK_OK) {
        s->last_sent = true;
        status = blob_end_part(s, err);
    }
    if (status == PGK_OK) {
        status = wire_drain(&s->wire, err);
    }
    if (status != PGK_OK) {
        return status;
    }
    if (s->wire.last == NULL) {
        return no_answer(err);
    }
    if (s->graph != NULL && !cell_is(s->wire.last, 0, 0, "done")) {
        return refused(s, err);
    }
    s->begun = 0;
    s->loose = cell_bool(s->wire.last, 0, s->graph != NULL ? 3 : 0);
    return s->pooled->unreplicated ? unreplicated(err) : PGK_OK;
}
