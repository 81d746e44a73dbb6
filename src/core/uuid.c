/*
 * core/uuid.c - 16-byte identifiers: new, parsed, formatted, compared. Any thread, no state.
 *
 * The only place that knows libuuid. Parsing is our own: libuuid's knows no 32-digit form.
 */
#include <pgkeeper/uuid.h>

#include <string.h>
#include <sys/random.h>
#include <uuid/uuid.h>

#include "core/error.h"
#include "core/text.h"

static const char hex_digits[] = "0123456789abcdef";

void pgk_uuid_new(pgk_uuid *ret_uuid)
{
    uuid_t made;
    /* libuuid would seed a generator of its own each time: five system calls for each write of a
     * store instead of one. */
    if (getrandom(ret_uuid->bytes, sizeof(ret_uuid->bytes), 0) ==
        (ssize_t)sizeof(ret_uuid->bytes)) {
        ret_uuid->bytes[6] = (uint8_t)((ret_uuid->bytes[6] & 0x0f) | 0x40); /* version 4 */
        ret_uuid->bytes[8] = (uint8_t)((ret_uuid->bytes[8] & 0x3f) | 0x80); /* RFC 4122 */
        return;
    }
    uuid_generate_random(made);
    memcpy(ret_uuid->bytes, made, sizeof(ret_uuid->bytes));
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    if (c >= 'A' && c <= 'F') {
        return c - 'A' + 10;
    }
    return -1;
}

/* True before the bytes where the 36-character form has a dash. */
static bool dash_before(size_t byte)
{
    return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

static bool parse(const char *text, pgk_uuid *uuid)
{
    size_t length = strnlen(text, PGK_UUID_TEXT_SIZE);
    bool dashes = length == PGK_UUID_TEXT_SIZE - 1;
    if (!dashes && length != PGK_UUID_HEX_SIZE - 1) {
        return false;
    }
    for (size_t i = 0; i < sizeof(uuid->bytes); i++) {
        if (dashes && dash_before(i) && *text++ != '-') {
            return false;
        }
        int high = hex_value(text[0]);
        int low = hex_value(text[1]);
        if (high < 0 || low < 0) {
            return false;
        }
        uuid->bytes[i] = (uint8_t)(high * 16 + low);
        text += 2;
    }
    return true;
}

pgk_status pgk_uuid_parse(const char *text, pgk_uuid *ret_uuid, pgk_error *err)
{
    error_reset(err);
    if (text == NULL || ret_uuid == NULL) {
        return error_set(err, PGK_ERR_INVALID_ARGUMENT, "uuid.parse", "%s is NULL",
                         text == NULL ? "text" : "ret_uuid");
    }
    pgk_uuid parsed;
    if (!parse(text, &parsed)) {
        char shown[64];
        text_excerpt(shown, sizeof(shown), text);
        return error_set(err, PGK_ERR_INVALID_ARGUMENT, "uuid.parse",
                         "\"%s\" is not an id: write 36 characters with dashes or 32 hex digits",
                         shown);
    }
    *ret_uuid = parsed;
    return PGK_OK;
}

static void format(const pgk_uuid *uuid, bool dashes, char *out)
{
    for (size_t i = 0; i < sizeof(uuid->bytes); i++) {
        if (dashes && dash_before(i)) {
            *out++ = '-';
        }
        *out++ = hex_digits[uuid->bytes[i] >> 4];
        *out++ = hex_digits[uuid->bytes[i] & 0x0F];
    }
    *out = '\0';
}

void pgk_uuid_format(const pgk_uuid *uuid, char out[PGK_UUID_TEXT_SIZE])
{
    format(uuid, true, out);
}

void pgk_uuid_format_hex(const pgk_uuid *uuid, char out[PGK_UUID_HEX_SIZE])
{
    format(uuid, false, out);
}

int pgk_uuid_compare(const pgk_uuid *a, const pgk_uuid *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

bool pgk_uuid_is_nil(const pgk_uuid *uuid)
{
    static const pgk_uuid nil;
    return pgk_uuid_compare(uuid, &nil) == 0;
}
