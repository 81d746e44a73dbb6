/*
 * The blobs in memory, used from many threads of two handles at once: what is put together is seen together, and what
 * is being read stays what it was. Run it under ThreadSanitizer. No server.
 */
#include <pgkeeper/pgkeeper.h>

#include <stdlib.h>

#include "party.h"
#include "shelf.h"

#ifdef PGK_TEST_SANITIZED
#define ROUNDS 150
#else
#define ROUNDS 600
#endif
#define THREADS 4

#define BLOBS 2

static pgk_blob_key blob_key(int number)
{
    pgk_blob_key key;
    memset(&key, 0, sizeof(key));
    key.random[0] = (uint8_t)number;
    return key;
}

/* A graph and two blobs of one size, again and again. */
static void put_together(struct party *party, int number)
{
    static unsigned char bytes[ROUNDS + 1];
    pgk_job_graphs *store = shelf_open(party->ha[0], PGK_UNFENCED, NULL);
    pgk_uuid job = job_number(1);
    pgk_error err;
    (void)number;
    for (size_t i = 1; i <= ROUNDS; i++) {
        pgk_blob_entry entries[BLOBS];
        memset(entries, 0, sizeof(entries));
        for (int b = 0; b < BLOBS; b++) {
            entries[b].key = blob_key(b);
            entries[b].source =
                (pgk_blob_source){.size = sizeof(pgk_blob_source), .data = bytes, .data_bytes = i};
        }
        MUST_OK(pgk_job_graphs_put_with_blobs(store, &job, "graph", 5, entries, BLOBS, &err), err);
        if (i % 7 == 0) {
            MUST(pgk_ha_cleanup_job(party->ha[0], PGK_UNFENCED, &job, NULL, &err) == PGK_OK);
        }
    }
    pgk_job_graphs_free(store);
    atomic_store(&party->over, true);
}

struct sizes {
    int count;
    int64_t bytes;
};

static pgk_status on_blob(void *user, const pgk_blob *blob)
{
    struct sizes *sizes = user;
    if (sizes->count > 0) {
        MUST(blob->bytes == sizes->bytes);
    }
    sizes->count++;
    sizes->bytes = blob->bytes;
    return PGK_OK;
}

static void look_at_blobs(struct party *party, int number)
{
    pgk_blobs *blobs = NULL;
    pgk_error err;
    MUST_OK(pgk_ha_blobs(party->ha[number % PARTY_HANDLES], PGK_UNFENCED, &blobs, &err), err);
    while (!atomic_load(&party->over)) {
        struct sizes sizes = {.count = 0};
        MUST_OK(pgk_blobs_list_all(blobs, on_blob, &sizes, &err), err);
        MUST(sizes.count == 0 || sizes.count == BLOBS);
    }
    pgk_blobs_free(blobs);
}

static void test_embedded_blobs__put_with_a_graph__are_seen_together(void **state)
{
    (void)state;
    struct party party;
    struct hand putter;
    struct hand hands[THREADS - 1];
    party_open(&party, "together");
    hands_start(hands, THREADS - 1, &party, look_at_blobs);
    hands_start(&putter, 1, &party, put_together);
    hands_join(&putter, 1);
    hands_join(hands, THREADS - 1);
    party_close(&party);
}

#define BLOB_BYTES ((size_t)5 * 1024 * 1024)

struct reading {
    pgk_blobs
        *other; /* through which it is replaced at the first piece, and removed at the second */
    pgk_blob_key key;
    size_t done;
    int pieces;
};

static pgk_status on_piece(void *user, const void *data, size_t bytes)
{
    struct reading *reading = user;
    const unsigned char *piece = data;
    reading->pieces++;
    if (reading->pieces == 1) {
        MUST(pgk_blobs_put_buffer(reading->other, NULL, &reading->key, "new", 3, NULL) == PGK_OK);
    } else if (reading->pieces == 2) {
        MUST(pgk_blobs_delete(reading->other, NULL, &reading->key, NULL) == PGK_OK);
    }
    for (size_t i = 0; i < bytes; i++) {
        MUST(piece[i] == (unsigned char)((reading->done + i) * 7));
    }
    reading->done += bytes;
    return PGK_OK;
}

static void test_embedded_blobs__replaced_while_it_is_read__is_read_whole(void **state)
{
    (void)state;
    struct party party;
    pgk_blobs *blobs = NULL;
    struct reading reading = {.done = 0};
    pgk_blob_target target = {.size = sizeof(target), .write = on_piece, .user = &reading};
    unsigned char *bytes = malloc(BLOB_BYTES);
    pgk_error err;
    assert_non_null(bytes);
    for (size_t i = 0; i < BLOB_BYTES; i++) {
        bytes[i] = (unsigned char)(i * 7);
    }
    party_open(&party, "reading");
    CHECK_OK(pgk_ha_blobs(party.ha[0], PGK_UNFENCED, &blobs, &err), err);
    CHECK_OK(pgk_ha_blobs(party.ha[1], PGK_UNFENCED, &reading.other, &err), err);
    CHECK_OK(pgk_blob_key_new_buffer(PGK_BLOB_PERMANENT, bytes, BLOB_BYTES, &reading.key, &err),
             err);
    CHECK_OK(pgk_blobs_put_buffer(blobs, NULL, &reading.key, bytes, BLOB_BYTES, &err), err);
    CHECK_OK(pgk_blobs_get(blobs, NULL, &reading.key, &target, &err), err);
    assert_int_equal(reading.done, BLOB_BYTES);
    assert_true(reading.pieces > 2);
    assert_int_equal(pgk_blobs_get(blobs, NULL, &reading.key, &target, &err), PGK_ERR_NOT_FOUND);
    pgk_blobs_free(blobs);
    pgk_blobs_free(reading.other);
    party_close(&party);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_embedded_blobs__put_with_a_graph__are_seen_together),
        cmocka_unit_test(test_embedded_blobs__replaced_while_it_is_read__is_read_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
