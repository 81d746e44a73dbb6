/*
 * tests/conformance/suite.h - the cases, by area: each is one sentence of the contract, written once for all modes against the
 * public API. A case that a mode cannot do is skipped only because the mode declares so (modes.h); where it differs, the
 * difference has a case of its own. The test's main thread.
 */
#ifndef PGK_CONFORMANCE_SUITE_H
#define PGK_CONFORMANCE_SUITE_H

#include "modes.h"
#include "scene.h"

struct conformance_case {
    const char *name;
    void (*run)(struct scene *s);
    unsigned needs; /* bits 1 << capability: all of them */
    unsigned
        without; /* bits: the case is what modes do that lack one of these; no other mode runs it */
};

#define BIT(capability) (1U << (capability))
/* In every mode. */
#define CASE(function)                                                                             \
    {                                                                                              \
#function, function, 0, 0                                                                  \
    }
/* In modes that have these (ELECTS | SHARES is BIT(ELECTS) | BIT(SHARES)). */
#define CASE_NEEDS(function, bits)                                                                 \
    {                                                                                              \
#function, function, bits, 0                                                               \
    }
/* What a mode does that lacks this capability. */
#define CASE_WITHOUT(function, capability)                                                         \
    {                                                                                              \
#function, function, 0, BIT(capability)                                                    \
    }

struct area {
    const char *name;
    const struct conformance_case *cases;
    size_t count;
};
/* Defines the area of a file, at its end, from an array of its cases. */
#define AREA(name_, array)                                                                         \
    const struct area area_##name_ = {#name_, array, sizeof(array) / sizeof((array)[0])}

/* Where an area is more than one file: a part of it, whose cases bear the name of the whole. */
#define AREA_PART(name_, part, array)                                                              \
    const struct area area_##name_##_##part = {#name_, array, sizeof(array) / sizeof((array)[0])}

extern const struct area *const areas[];
extern const size_t area_count;

struct suite_options {
    const struct mode *mode;
    unsigned seed;
    int rounds;
    const char *only; /* cases whose "area.name" contains this; NULL: all */
};
/* Runs the cases in an order that the seed decides, `rounds` times with seed, seed + 1 ... 0: all is well. */
int suite_run(const struct suite_options *options);
/* Prints "area.name", one on a line, with what happens to it in each mode. */
void suite_list(void);

/* Prints a page of the documents with its table of modes made anew; 0, or an exit code. */
int page_print(const char *path);
/* The second process of a case (scene_probe): contends, says "granted" or "waiting", until its stdin ends. */
int probe_main(int argc, char **argv);

#endif
