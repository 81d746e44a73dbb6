/* services/blob_key.c - keys of blobs: made of content, as text, in order. Any thread; no handle. */
#include <pgkeeper/blob.h>

#include <stdio.h>
#include <string.h>

#include "core/text.h"
#include "services/blob_source.h"
#include "services/call.h"

#define HEX "0123456789abcdef"
#define SHA1_AT 2
#define RANDOM_AT (SHA1_AT + 2 * PGK_SHA1_BYTES + 1)

pgk_status blob_key_check(const pgk_blob_key *key, const char *origin, pgk_error *err)
{
    pgk_status status = check_not_null(key, "key", origin, err);

    return status == PGK_OK ? blob_type_check(key->type, origin, err) : status;
}

pgk_status blob_type_check(pgk_blob_type type, const char *origin, pgk_error *err)
{
    if (type == PGK_BLOB_PERMANENT || type == PGK_BLOB_TRANSIENT) {
        return PGK_OK;
    }
    return error_set(err, PGK_ERR_INVALID_ARGUMENT, origin, "there is no blob type %d", (int)type);
}

void blob_key_make(pgk_blob_type type, const uint8_t sha1[PGK_SHA1_BYTES], pgk_blob_key *ret_key)
{
    pgk_uuid random; /* 122 of its bits are */

    memset(ret_key, 0, sizeof(*ret_key));
    ret_key->type = type;
    memcpy(ret_key->sha1, sha1, PGK_SHA1_BYTES);
    pgk_uuid_new(&random);
    memcpy(ret_key->random, random.bytes, sizeof(ret_key->random));
}

static pgk_status new_of(pgk_blob_type type, const pgk_blob_source *given, const char *origin,
                         pgk_blob_key *ret_key, pgk_error *err)
{
    static const pgk_blob_key none;
    struct source source;
    struct blob_source reader;
    struct blob_sum sum;

    pgk_status status = source_open(&source, given, &none, NULL, origin, &reader, err);
    if (status != PGK_OK) {
        return status;
    }
    status = source_sum_up(&source, &sum, err);
    if (status == PGK_OK) {
        blob_key_make(type, sum.sha1, ret_key);
    }
    source_close(&source);
    return status;
}

pgk_status pgk_blob_key_new_file(pgk_blob_type type, const char *path, pgk_blob_key *ret_key,
                                 pgk_error *err)
{
    static const char origin[] = "blob_key.new_file";
    pgk_blob_source given = {.size = sizeof(given), .path = path};

    error_reset(err);
    pgk_status status = check_not_null(path, "path", origin, err);
    if (status == PGK_OK) {
        status = check_not_null(ret_key, "ret_key", origin, err);
    }
    if (status == PGK_OK) {
        status = blob_type_check(type, origin, err);
    }
    return status == PGK_OK ? new_of(type, &given, origin, ret_key, err) : status;
}

pgk_status pgk_blob_key_new_buffer(pgk_blob_type type, const void *data, size_t bytes,
                                   pgk_blob_key *ret_key, pgk_error *err)
{
    static const char origin[] = "blob_key.new_buffer";
    pgk_blob_source given = {
        .size = sizeof(given), .data = bytes > 0 ? data : "", .data_bytes = bytes};

    error_reset(err);
    pgk_status status = check_not_null(given.data, "data", origin, err);
    if (status == PGK_OK) {
        status = check_not_null(ret_key, "ret_key", origin, err);
    }
    if (status == PGK_OK) {
        status = blob_type_check(type, origin, err);
    }
    return status == PGK_OK ? new_of(type, &given, origin, ret_key, err) : status;
}

/* -1: no hex digit. */
static int digit_of(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool read_hex(const char *text, uint8_t *out, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        int high = digit_of(text[2 * i]);
        int low = digit_of(text[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

pgk_status pgk_blob_key_parse(const char *text, pgk_blob_key *ret_key, pgk_error *err)
{
    static const char origin[] = "blob_key.parse";
    pgk_blob_key key;
    char excerpt[96];

    error_reset(err);
    pgk_status status = check_not_null(text, "text", origin, err);
    if (status == PGK_OK) {
        status = check_not_null(ret_key, "ret_key", origin, err);
    }
    if (status != PGK_OK) {
        return status;
    }
    memset(&key, 0, sizeof(key));
    key.type = text[0] == 't' ? PGK_BLOB_TRANSIENT : PGK_BLOB_PERMANENT;
    if (strnlen(text, PGK_BLOB_KEY_TEXT_SIZE) == PGK_BLOB_KEY_TEXT_SIZE - 1 &&
        (text[0] == 'p' || text[0] == 't') && text[1] == '-' && text[RANDOM_AT - 1] == '-' &&
        read_hex(text + SHA1_AT, key.sha1, sizeof(key.sha1)) &&
        read_hex(text + RANDOM_AT, key.random, sizeof(key.random))) {
        *ret_key = key;
        return PGK_OK;
    }
    text_excerpt(excerpt, sizeof(excerpt), text);
    return error_set(err, PGK_ERR_INVALID_ARGUMENT, origin,
                     "\"%s\" is no blob key: \"p-\" or \"t-\", 40 hex digits, \"-\", 32 hex digits",
                     excerpt);
}

static char *write_hex(char *at, const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        *at++ = HEX[bytes[i] >> 4];
        *at++ = HEX[bytes[i] & 15];
    }
    return at;
}

void pgk_blob_key_format(const pgk_blob_key *key, char text[PGK_BLOB_KEY_TEXT_SIZE])
{
    char *at = text;

    *at++ = key->type == PGK_BLOB_TRANSIENT ? 't' : 'p';
    *at++ = '-';
    at = write_hex(at, key->sha1, sizeof(key->sha1));
    *at++ = '-';
    at = write_hex(at, key->random, sizeof(key->random));
    *at = '\0';
}

int pgk_blob_key_compare(const pgk_blob_key *a, const pgk_blob_key *b)
{
    int order = memcmp(a->sha1, b->sha1, sizeof(a->sha1));

    if (order == 0) {
        order = (int)a->type - (int)b->type;
    }
    return order != 0 ? order : memcmp(a->random, b->random, sizeof(a->random));
}
