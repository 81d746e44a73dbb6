/*
 * fuzz.h - what the fuzz targets share. A target is one function that takes any bytes and must come back, with
 * nothing leaked, nothing overrun and no promise broken; it ends the program otherwise.
 *
 * With clang's libFuzzer (`./dev fuzz`) the bytes are searched for; elsewhere replay.c feeds it the corpus and
 * mutations of that.
 */
#ifndef PGK_TESTS_FUZZ_H
#define PGK_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A promise of the code under test. */
#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: broken: %s\n", __FILE__, __LINE__, #condition);                \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* The bytes with a terminator, in a block of just that size, so that a sanitizer sees each byte read too far.
 * To be freed. */
static inline char *fuzz_text(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);
    MUST(text != NULL);
    if (size > 0) {
        memcpy(text, data, size);
    }
    text[size] = '\0';
    return text;
}

#endif
