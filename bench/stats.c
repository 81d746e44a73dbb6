/* bench/stats.c - sorting, percentiles and the table that every benchmark prints. */
#include "stats.h"

#include <stdio.h>
#include <stdlib.h>

void stats_add(struct stats *stats, int64_t ns)
{
    if (stats->count < STATS_MAX) {
        stats->ns[stats->count++] = ns;
    }
}

static int compare_ns(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a;
    const int64_t y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

double stats_percentile_ms(struct stats *stats, int percent)
{
    size_t rank;

    if (stats->count == 0) {
        return 0;
    }
    qsort(stats->ns, stats->count, sizeof stats->ns[0], compare_ns);
    rank = (stats->count * (size_t)percent + 99) / 100;
    return (double)stats->ns[rank == 0 ? 0 : rank - 1] / 1e6;
}

void stats_print_head(const char *title)
{
    printf("\n%s\n", title);
    printf("  %-34s %5s %8s %8s %8s  %s\n", "milliseconds", "n", "median", "p95", "p99",
           "to the floor");
}

void stats_print_row(const char *name, struct stats *stats, struct stats *floor)
{
    const double median = stats_percentile_ms(stats, 50);
    const double p99 = stats_percentile_ms(stats, 99);

    printf("  %-34s %5zu %8.2f %8.2f %8.2f", name, stats->count, median,
           stats_percentile_ms(stats, 95), p99);
    if (floor != NULL && floor->count > 0) {
        printf("  x%.2f, p99 x%.2f", median / stats_percentile_ms(floor, 50),
               p99 / stats_percentile_ms(floor, 99));
    }
    printf("\n");
    fflush(stdout);
}
