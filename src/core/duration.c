/*
 * core/duration.c - durations as people write them; see the header. Any thread, no state.
 */
#include "core/duration.h"

#include <inttypes.h>

#include "core/text.h"

struct unit {
    const char *name;
    int64_t ms;
};

static const struct unit units[] = {
    {"ms", 1},           {"milli", 1},      {"millis", 1},      {"millisecond", 1},
    {"milliseconds", 1}, {"s", 1000},       {"sec", 1000},      {"second", 1000},
    {"seconds", 1000},   {"min", 60000},    {"m", 60000},       {"minute", 60000},
    {"minutes", 60000},  {"h", 3600000},    {"hour", 3600000},  {"hours", 3600000},
    {"d", 86400000},     {"day", 86400000}, {"days", 86400000},
};

#define WRITE_IT "write a whole number and a unit (ms, s, min, h, d), such as 15 s"

/* The factor of a unit, 0 for none; `unit` may be followed by blanks. */
static int64_t find_unit(const char *unit)
{
    char name[16];
    size_t length = 0;
    while (unit[length] != '\0' && !text_is_blank(unit[length])) {
        length++;
    }
    for (const char *rest = unit + length; *rest != '\0'; rest++) {
        if (!text_is_blank(*rest)) {
            return 0;
        }
    }
    if (length == 0) {
        return 1;
    }
    if (length >= sizeof(name)) {
        return 0;
    }
    text_copy(name, length + 1, unit);
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (text_equal_ignoring_case(units[i].name, name)) {
            return units[i].ms;
        }
    }
    return 0;
}

bool duration_parse(const char *text, int64_t *ret_ms, const char **ret_reason)
{
    const char *at = text;
    while (text_is_blank(*at)) {
        at++;
    }
    if (*at == '-') {
        *ret_reason = "a duration cannot be negative";
        return false;
    }
    if (*at < '0' || *at > '9') {
        *ret_reason = "not a duration: " WRITE_IT;
        return false;
    }
    int64_t number = 0;
    if (!text_read_number(&at, &number)) {
        *ret_reason = "the duration is too long";
        return false;
    }
    if (*at == '.' || *at == ',') {
        *ret_reason = "not a whole number: use a smaller unit (ms, s, min, h, d)";
        return false;
    }
    while (text_is_blank(*at)) {
        at++;
    }
    int64_t factor = find_unit(at);
    if (factor == 0) {
        *ret_reason = "unknown unit: " WRITE_IT;
        return false;
    }
    int64_t ms;
    if (__builtin_mul_overflow(number, factor, &ms)) {
        *ret_reason = "the duration is too long";
        return false;
    }
    *ret_ms = ms;
    return true;
}

void duration_format(int64_t ms, char out[DURATION_TEXT_SIZE])
{
    static const struct unit shown[] = {
        {"d", 86400000}, {"h", 3600000}, {"min", 60000}, {"s", 1000}};
    for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++) {
        if (ms != 0 && ms % shown[i].ms == 0) {
            text_format(out, DURATION_TEXT_SIZE, "%" PRId64 " %s", ms / shown[i].ms, shown[i].name);
            return;
        }
    }
    text_format(out, DURATION_TEXT_SIZE, "%" PRId64 " ms", ms);
}
