/*
 * core/text.h - small helpers for strings: UTF-8 check, bounded copies that never split a
 * character.
 *
 * Pure functions of their arguments; no locale, no allocation. Any thread.
 */
#ifndef PGK_CORE_TEXT_H
#define PGK_CORE_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

/* True when s is valid UTF-8 of min..max bytes. False for NULL. */
bool text_is_valid(const char *s, size_t min, size_t max);

/* Copies s (NULL: nothing) and terminates; cut at a character boundary. */
void text_copy(char *out, size_t size, const char *s);

/* As snprintf, but cut at a character boundary, and never failing. */
void text_format(char *out, size_t size, const char *format, ...) PGK_PRINTF(3, 4);
void text_vformat(char *out, size_t size, const char *format, va_list args) PGK_PRINTF(3, 0);

/* A foreign string for use in a message: one line of valid UTF-8 (all else becomes '?'), with "..."
 * where it was cut. size > 4. */
void text_excerpt(char *out, size_t size, const char *s);

/* ASCII only; the bytes of other characters must be equal. */
bool text_equal_ignoring_case(const char *a, const char *b);

/* Reads decimal digits at *at and moves it behind them. False when there is none, or too many for
 * an int64_t. */
bool text_read_number(const char **at, int64_t *ret_number);

/* A blank or a tab. */
bool text_is_blank(char c);

#endif
