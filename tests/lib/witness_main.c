/*
 * tests/lib/witness_main.c - a command for `pgkeeper run` that proves when it ran: it stamps the clock into a
 * belief book every millisecond, under the epoch of its environment.
 *
 * witness BOOK NAME [stubborn] [family] [daemon]: stubborn ignores SIGTERM; family has a grandchild, in a session
 * of its own and without a parent, that stamps too; daemon is that grandchild and the command ends at once
 * with code 0. Prints "up <pid> <epoch>" when it stamps and "term <count>" at each SIGTERM it ignores.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "belief.h"

static volatile sig_atomic_t terms;

static void count_term(int number)
{
    (void)number;
    terms++;
}

static int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void stamp_for_ever(struct belief_book *book, const char *name, int64_t epoch)
{
    char full_name[BELIEF_NAME_SIZE];
    int told = 0;

    snprintf(full_name, sizeof(full_name), "%s:%ld", name, (long)getpid());
    int64_t now = now_ns();
    struct belief *belief = belief_begin(book, full_name, epoch, now);
    if (belief == NULL) {
        fprintf(stderr, "witness: the book is full\n");
        exit(2);
    }
    printf("up %ld %lld\n", (long)getpid(), (long long)epoch);
    fflush(stdout);
    for (;;) {
        now = now_ns();
        atomic_store(&belief->last_true_ns, now);
        atomic_store(&belief->deadline_ns, now);
        poll(NULL, 0, 1);
        if (told < terms) {
            told = terms;
            printf("term %d\n", told);
            fflush(stdout);
        }
    }
}

static void start_daemon(struct belief_book *book, const char *name, int64_t epoch)
{
    if (fork() == 0) {
        setsid();
        if (fork() == 0) {
            stamp_for_ever(book, name, epoch);
        }
        _exit(0);
    }
}

int main(int argc, char **argv)
{
    const char *epoch_text = getenv("PGKEEPER_EPOCH");
    struct belief_book *book = argc > 2 ? belief_book_open(argv[1]) : NULL;

    if (book == NULL || epoch_text == NULL) {
        fprintf(stderr, "usage: witness BOOK NAME [stubborn] [family] [daemon], by pgkeeper run\n");
        return 2;
    }
    int64_t epoch = strtoll(epoch_text, NULL, 10);
    for (int i = 3; i < argc; i++) {
        if (strcmp(argv[i], "stubborn") == 0) {
            signal(SIGTERM, count_term);
        } else if (strcmp(argv[i], "family") == 0) {
            start_daemon(book, argv[2], epoch);
        } else if (strcmp(argv[i], "daemon") == 0) {
            start_daemon(book, argv[2], epoch);
            return 0;
        }
    }
    stamp_for_ever(book, argv[2], epoch);
    return 0;
}
