/*
 * bench/stats.h - samples of one measured thing and what is said about them. Pure; one thread.
 * A percentile is the nearest-rank one: a value that was really measured, never an interpolation.
 */
#ifndef PGK_BENCH_STATS_H
#define PGK_BENCH_STATS_H

#include <stddef.h>
#include <stdint.h>

#define STATS_MAX 4096

struct stats {
    size_t count;
    int64_t ns[STATS_MAX];
};

/* Adds one sample; more than STATS_MAX are dropped. */
void stats_add(struct stats *stats, int64_t ns);

/* The smallest sample that at least `percent` of all do not exceed, in milliseconds. Sorts. 0
 * when empty. */
double stats_percentile_ms(struct stats *stats, int percent);

/* One table: a head line, then a row per thing. A ratio needs a floor measured in turn with it;
 * NULL: none. */
void stats_print_head(const char *title);
void stats_print_row(const char *name, struct stats *stats, struct stats *floor);

#endif
