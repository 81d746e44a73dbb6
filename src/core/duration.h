/*
 * core/duration.h - durations as people write them: "15 s", "500 ms", "2 min", "1 h", "1 d".
 *
 * The units and their long names are those of Apache Flink, and so is the rule that a bare number
 * means milliseconds. Pure functions; any thread.
 */
#ifndef PGK_CORE_DURATION_H
#define PGK_CORE_DURATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads a duration of whole milliseconds, 0 or more. False for anything else: *ret_reason is then a
 * static sentence that says what is wrong. */
bool duration_parse(const char *text, int64_t *ret_ms, const char **ret_reason);

#define DURATION_TEXT_SIZE 32

/* Writes it in the largest unit that leaves a whole number: "90 s", "2 min". */
void duration_format(int64_t ms, char out[DURATION_TEXT_SIZE]);

#endif
