/*
 * tests/conformance/main.c - the conformance suite as a program:
 *     test_conformance MODE [--rounds N] [--only TEXT]     cases whose name contains TEXT, N times, in random order
 *     test_conformance --list                              all cases and what each mode does with them
 *     test_conformance --page PAGE                         a page of the documents with its table made anew
 * PGK_TEST_SEED repeats an order.
 */
#include "suite.h"

extern const struct area area_handles;
extern const struct area area_election;
extern const struct area area_callbacks;
extern const struct area area_tenure;
extern const struct area area_fence;
extern const struct area area_retrieval;
extern const struct area area_graphs;
extern const struct area area_graphs_recovery;
extern const struct area area_ownership;
extern const struct area area_events;
extern const struct area area_results;
extern const struct area area_registry;
extern const struct area area_checkpoints;
extern const struct area area_discards;
extern const struct area area_counter;
extern const struct area area_recovery;
extern const struct area area_cleanup;
extern const struct area area_blobs;
extern const struct area area_blobs_bytes;
extern const struct area area_control;
extern const struct area area_async;

const struct area *const areas[] = {
    &area_handles,   &area_election, &area_callbacks,       &area_tenure,      &area_fence,
    &area_retrieval, &area_graphs,   &area_graphs_recovery, &area_ownership,   &area_events,
    &area_results,   &area_registry, &area_checkpoints,     &area_discards,    &area_counter,
    &area_recovery,  &area_cleanup,  &area_blobs,           &area_blobs_bytes, &area_control,
    &area_async};
const size_t area_count = sizeof(areas) / sizeof(areas[0]);

static int usage(void)
{
    fprintf(stderr,
            "usage: test_conformance postgres|embedded|standalone [--rounds N] [--only TEXT]"
            " | --list | --page PAGE\n");
    return 2;
}

static unsigned choose_seed(void)
{
    const char *given = getenv("PGK_TEST_SEED");
    return given != NULL && given[0] != '\0' ? (unsigned)strtoul(given, NULL, 10)
                                             : (unsigned)(wait_now_ns() / 1000 % 1000000);
}

int main(int argc, char **argv)
{
    struct suite_options options = {.seed = choose_seed(), .rounds = 1};
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        suite_list();
        return 0;
    }
    if (argc == 3 && strcmp(argv[1], "--page") == 0) {
        return page_print(argv[2]);
    }
    if (argc >= 4 && strcmp(argv[1], "--probe") == 0) {
        return probe_main(argc, argv);
    }
    options.mode = argc >= 2 ? mode_of_name(argv[1]) : NULL;
    for (int i = 2; i < argc; i += 2) {
        if (i + 1 < argc && strcmp(argv[i], "--rounds") == 0) {
            options.rounds = (int)strtol(argv[i + 1], NULL, 10);
        } else if (i + 1 < argc && strcmp(argv[i], "--only") == 0) {
            options.only = argv[i + 1];
        } else {
            return usage();
        }
    }
    return options.mode != NULL && options.rounds > 0 ? suite_run(&options) : usage();
}
