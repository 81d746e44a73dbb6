/*
 * core/text.c - small helpers for strings; see the header. Any thread, no state.
 */
#include "core/text.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Length of the well-formed UTF-8 character at s, 0 when there is none (also at the terminator).
 * Overlong forms, surrogates and numbers above U+10FFFF are not well-formed: PostgreSQL refuses
 * them. */
static size_t character_length(const unsigned char *s)
{
    uint32_t code;
    uint32_t least;
    size_t length;
    if (s[0] == 0) {
        return 0;
    } else if (s[0] < 0x80) {
        return 1;
    } else if ((s[0] & 0xE0) == 0xC0) {
        length = 2;
        least = 0x80;
        code = s[0] & 0x1FU;
    } else if ((s[0] & 0xF0) == 0xE0) {
        length = 3;
        least = 0x800;
        code = s[0] & 0x0FU;
    } else if ((s[0] & 0xF8) == 0xF0) {
        length = 4;
        least = 0x10000;
        code = s[0] & 0x07U;
    } else {
        return 0;
    }
    for (size_t i = 1; i < length; i++) {
        if ((s[i] & 0xC0) != 0x80) { /* stops at the terminator too */
            return 0;
        }
        code = (code << 6) | (s[i] & 0x3FU);
    }
    if (code < least || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) {
        return 0;
    }
    return length;
}

bool text_is_valid(const char *s, size_t min, size_t max)
{
    if (s == NULL) {
        return false;
    }
    size_t length = strnlen(s, max + 1);
    if (length < min || length > max) {
        return false;
    }
    const unsigned char *at = (const unsigned char *)s;
    while (*at != 0) {
        size_t step = character_length(at);
        if (step == 0) {
            return false;
        }
        at += step;
    }
    return true;
}

/* Removes an incomplete character that a cut left at the end. */
static void drop_cut_character(char *s)
{
    size_t length = strlen(s);
    size_t start = length;
    while (start > 0 && length - start < 3 && ((unsigned char)s[start - 1] & 0xC0) == 0x80) {
        start--;
    }
    if (start > 0 && ((unsigned char)s[start - 1] & 0xC0) == 0xC0) {
        start--;
        if (character_length((const unsigned char *)s + start) != length - start) {
            s[start] = '\0';
        }
    }
}

void text_copy(char *out, size_t size, const char *s)
{
    size_t length = s != NULL ? strnlen(s, size) : 0;
    bool cut = length == size;
    if (cut) {
        length = size - 1;
    }
    if (length > 0) {
        memmove(out, s, length);
    }
    out[length] = '\0';
    if (cut) {
        drop_cut_character(out);
    }
}

void text_vformat(char *out, size_t size, const char *format, va_list args)
{
    int length = vsnprintf(out, size, format, args);
    if (length < 0) {
        out[0] = '\0';
    } else if ((size_t)length >= size) {
        drop_cut_character(out);
    }
}

void text_format(char *out, size_t size, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    text_vformat(out, size, format, args);
    va_end(args);
}

void text_excerpt(char *out, size_t size, const char *s)
{
    const unsigned char *at = (const unsigned char *)(s != NULL ? s : "");
    size_t used = 0;
    size_t cut_at = 0; /* where "..." would still fit */
    while (*at != 0) {
        size_t step = character_length(at);
        bool plain = step > 1 || (step == 1 && *at >= 0x20 && *at != 0x7F);
        size_t width = plain ? step : 1;
        if (used + width >= size) {
            memcpy(out + cut_at, "...", 4);
            return;
        }
        if (plain) {
            memcpy(out + used, at, width);
        } else {
            out[used] = '?';
        }
        used += width;
        at += step == 0 ? 1 : step;
        if (used + 4 <= size) {
            cut_at = used;
        }
    }
    out[used] = '\0';
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool text_equal_ignoring_case(const char *a, const char *b)
{
    while (*a != '\0' && lower(*a) == lower(*b)) {
        a++;
        b++;
    }
    return lower(*a) == lower(*b);
}

bool text_read_number(const char **at, int64_t *ret_number)
{
    const char *digit = *at;
    int64_t number = 0;
    for (; *digit >= '0' && *digit <= '9'; digit++) {
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, *digit - '0', &number)) {
            return false;
        }
    }
    if (digit == *at) {
        return false;
    }
    *at = digit;
    *ret_number = number;
    return true;
}

bool text_is_blank(char c)
{
    return c == ' ' || c == '\t';
}
