/*
 * tests/conformance/suite.c - see suite.h: chooses the cases of a mode, shuffles and runs them under cmocka, and first checks
 * what the table of declarations and the cases owe one another.
 */
#include "suite.h"

#define CASES_MAX 512

static const struct mode *the_mode;
static int scenes; /* opened so far; a cluster id for each */
static struct scene the_scene;

static void run_case(void **state)
{
    const struct conformance_case *this_case = *state;
    this_case->run(&the_scene);
}

static int set_up(void **state)
{
    (void)state;
    scene_begin(&the_scene, the_mode, ++scenes);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    scene_end(&the_scene);
    return 0;
}

/* ------------------------------------------------------------------ the declarations */

enum fate { RUNS, DIFFERS, SKIPPED, OF_OTHERS };

static enum fate fate_of(const struct conformance_case *this_case, enum mode_id mode)
{
    unsigned has = mode_capabilities(mode);
    if (this_case->without != 0) {
        return (has & this_case->without) == 0 ? DIFFERS : OF_OTHERS;
    }
    return (this_case->needs & ~has) == 0 ? RUNS : SKIPPED;
}

/* What the cases that a mode runs need of it, or assert that it does without. */
static unsigned covered_in(enum mode_id mode)
{
    unsigned bits = 0;
    for (size_t a = 0; a < area_count; a++) {
        for (size_t c = 0; c < areas[a]->count; c++) {
            const struct conformance_case *this_case = &areas[a]->cases[c];
            switch (fate_of(this_case, mode)) {
            case RUNS:
                bits |= this_case->needs;
                break;
            case DIFFERS:
                bits |= this_case->without;
                break;
            default:
                break;
            }
        }
    }
    return bits;
}

/* What a mode has and no case of it needs is an idle word; a lack that no case of it asserts is an excuse. */
static void declarations__are_needed_and_asserted_in_each_mode(void **state)
{
    (void)state;
    for (size_t mode = 0; mode < MODES; mode++) {
        unsigned covered = covered_in((enum mode_id)mode);
        for (unsigned i = 0; i < CAPABILITIES; i++) {
            if ((covered & BIT(i)) == 0) {
                fail_msg("in %s no case %s \"%s\"", modes[mode]->name,
                         declarations[i].lacks[mode] == NULL ? "needs what is declared:"
                                                             : "asserts what is done without:",
                         declarations[i].what);
            }
        }
    }
}

/* ------------------------------------------------------------------ choosing */

struct plan {
    struct CMUnitTest tests[CASES_MAX];
    char names[CASES_MAX][160];
    size_t count;
    size_t differences;
    size_t skipped;
};

static void add(struct plan *plan, const struct conformance_case *this_case, const char *name)
{
    assert_in_range(plan->count, 0, CASES_MAX - 1);
    char *copy = plan->names[plan->count];
    snprintf(copy, sizeof(plan->names[0]), "%s", name);
    /* cmocka does not write to what it is given, but does not say so. */
    plan->tests[plan->count++] =
        (struct CMUnitTest){copy, run_case, set_up, tear_down, (void *)this_case};
}

static void make_plan(const struct suite_options *options, struct plan *plan)
{
    memset(plan, 0, sizeof(*plan));
    for (size_t a = 0; a < area_count; a++) {
        for (size_t c = 0; c < areas[a]->count; c++) {
            const struct conformance_case *this_case = &areas[a]->cases[c];
            char name[160];
            snprintf(name, sizeof(name), "%s.%s", areas[a]->name, this_case->name);
            if (options->only != NULL && strstr(name, options->only) == NULL) {
                continue;
            }
            switch (fate_of(this_case, options->mode->id)) {
            case DIFFERS:
                plan->differences++;
                add(plan, this_case, name);
                break;
            case RUNS:
                add(plan, this_case, name);
                break;
            case SKIPPED:
                plan->skipped++;
                break;
            case OF_OTHERS:
                break;
            }
        }
    }
}

/* Any of the orders, each as likely, decided by the seed. */
static void shuffle(struct plan *plan, unsigned seed)
{
    for (size_t i = plan->count; i > 1; i--) {
        size_t other = (size_t)rand_r(&seed) % i;
        struct CMUnitTest test = plan->tests[i - 1];
        plan->tests[i - 1] = plan->tests[other];
        plan->tests[other] = test;
    }
}

/* ------------------------------------------------------------------ running */

static int start_mode(void **state)
{
    (void)state;
    if (the_mode->start != NULL) {
        the_mode->start();
    }
    return 0;
}

static int stop_mode(void **state)
{
    (void)state;
    if (the_mode->stop != NULL) {
        the_mode->stop();
    }
    return 0;
}

static int check_declarations(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(declarations__are_needed_and_asserted_in_each_mode)};
    return cmocka_run_group_tests_name("declarations", tests, NULL, NULL);
}

int suite_run(const struct suite_options *options)
{
    static struct plan plan;
    int failed = check_declarations();
    the_mode = options->mode;
    for (int round = 0; round < options->rounds && failed == 0; round++) {
        unsigned seed = options->seed + (unsigned)round;
        int64_t begin_ns = wait_now_ns();
        make_plan(options, &plan);
        shuffle(&plan, seed);
        failed = _cmocka_run_group_tests(the_mode->name, plan.tests, plan.count,
                                         round == 0 ? start_mode : NULL,
                                         round == options->rounds - 1 ? stop_mode : NULL);
        printf("%s, round %d: %zu cases run (%zu of them declared differences), %zu skipped by "
               "declaration, %d failed, %.1f s; PGK_TEST_SEED=%u\n",
               the_mode->name, round + 1, plan.count, plan.differences, plan.skipped, failed,
               (double)(wait_now_ns() - begin_ns) / 1e9, seed);
        fflush(stdout);
        if (failed != 0 && round < options->rounds - 1) {
            stop_mode(NULL);
        }
    }
    return failed != 0 || plan.count == 0;
}

void suite_list(void)
{
    static const char *const words[] = {
        [RUNS] = "run", [DIFFERS] = "differs", [SKIPPED] = "skipped", [OF_OTHERS] = "-"};
    for (size_t a = 0; a < area_count; a++) {
        for (size_t c = 0; c < areas[a]->count; c++) {
            printf("%s.%s", areas[a]->name, areas[a]->cases[c].name);
            for (size_t mode = 0; mode < MODES; mode++) {
                printf(" %s=%s", modes[mode]->name,
                       words[fate_of(&areas[a]->cases[c], (enum mode_id)mode)]);
            }
            printf("\n");
        }
    }
}
