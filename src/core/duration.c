/*
 * core/duration.c - durations as people write them; see the header. Any thread, no state.
 */
#include "core/duration.h"

#include <inttypes.h>

#include "core/text.h"

struct unit {
    const char *name;
    int64_t ns;
};

#define MICROSECOND INT64_C(1000)
#define MILLISECOND (1000 * MICROSECOND)
#define SECOND (1000 * MILLISECOND)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

/* Those of Flink's TimeUtils, and "us" for those without the letter mu, of which there are two. */
static const struct unit units[] = {
    {"ns", 1},
    {"nano", 1},
    {"nanos", 1},
    {"nanosecond", 1},
    {"nanoseconds", 1},
    {"us", MICROSECOND},
    {"\xC2\xB5s", MICROSECOND},
    {"\xCE\xBCs", MICROSECOND},
    {"micro", MICROSECOND},
    {"micros", MICROSECOND},
    {"microsecond", MICROSECOND},
    {"microseconds", MICROSECOND},
    {"ms", MILLISECOND},
    {"milli", MILLISECOND},
    {"millis", MILLISECOND},
    {"millisecond", MILLISECOND},
    {"milliseconds", MILLISECOND},
    {"s", SECOND},
    {"sec", SECOND},
    {"secs", SECOND},
    {"second", SECOND},
    {"seconds", SECOND},
    {"min", MINUTE},
    {"m", MINUTE},
    {"minute", MINUTE},
    {"minutes", MINUTE},
    {"h", HOUR},
    {"hour", HOUR},
    {"hours", HOUR},
    {"d", DAY},
    {"day", DAY},
    {"days", DAY},
};

#define WRITE_IT "write a whole number and a unit (ns, us, ms, s, min, h, d), such as 15 s"

/* The nanoseconds of a unit, 0 for none; `unit` may be followed by blanks. */
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
        return MILLISECOND;
    }
    if (length >= sizeof(name)) {
        return 0;
    }
    text_copy(name, length + 1, unit);
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (text_equal_ignoring_case(units[i].name, name)) {
            return units[i].ns;
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
        *ret_reason = "not a whole number: use a smaller unit (ns, us, ms, s, min, h, d)";
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
    if (factor >= MILLISECOND) {
        int64_t ms;
        if (__builtin_mul_overflow(number, factor / MILLISECOND, &ms)) {
            *ret_reason = "the duration is too long";
            return false;
        }
        *ret_ms = ms;
        return true;
    }
    if (number % (MILLISECOND / factor) != 0) {
        *ret_reason = "not a whole number of milliseconds, which is as fine as it gets";
        return false;
    }
    *ret_ms = number / (MILLISECOND / factor);
    return true;
}

void duration_format(int64_t ms, char out[DURATION_TEXT_SIZE])
{
    static const struct unit shown[] = {{"d", DAY}, {"h", HOUR}, {"min", MINUTE}, {"s", SECOND}};
    for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++) {
        int64_t unit_ms = shown[i].ns / MILLISECOND;
        if (ms != 0 && ms % unit_ms == 0) {
            text_format(out, DURATION_TEXT_SIZE, "%" PRId64 " %s", ms / unit_ms, shown[i].name);
            return;
        }
    }
    text_format(out, DURATION_TEXT_SIZE, "%" PRId64 " ms", ms);
}
