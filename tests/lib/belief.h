/*
 * tests/lib/belief.h - who believed when that it leads: one shared file to which every contender process
 * writes, from a thread that asks has_leadership every millisecond. Times are those of CLOCK_BOOTTIME, which
 * all processes share. The end of the belief of a process that was stopped is its deadline, not
 * the moment at which it ran again; that of a killed one is its deadline too, which is the harsher reading.
 */
#ifndef PGK_TESTS_BELIEF_H
#define PGK_TESTS_BELIEF_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define BELIEF_MAX 4096
#define BELIEF_NAME_SIZE 32

struct belief {
    char name[BELIEF_NAME_SIZE];
    _Atomic int64_t epoch;
    _Atomic int64_t begin_ns;       /* first sample that was true */
    _Atomic int64_t last_true_ns;   /* latest sample that was true */
    _Atomic int64_t deadline_ns;    /* as of that sample */
    _Atomic int64_t first_false_ns; /* first look that was false again; 0: none yet */
};

struct belief_book {
    _Atomic uint32_t count;
    struct belief beliefs[BELIEF_MAX];
};

/* Maps the book in a file, made if missing; readable and writable for other users too. NULL: errno. */
struct belief_book *belief_book_open(const char *path);
void belief_book_close(struct belief_book *book);

/* Opens a new entry; NULL when the book is full. */
struct belief *belief_begin(struct belief_book *book, const char *name, int64_t epoch,
                            int64_t begin_ns);

/* The process does not believe any more, seen at now_ns: the earliest of several such looks counts. */
void belief_seen_false(struct belief *belief, int64_t now_ns);
/* As above, for all beliefs of a process and epoch; book NULL: nothing. */
void belief_all_seen_false(struct belief_book *book, const char *name, int64_t epoch,
                           int64_t now_ns);

/* When a belief ended at the latest. */
int64_t belief_end_ns(const struct belief *belief);

/* How many pairs of beliefs of different epochs overlap in time; each is printed. */
size_t belief_count_overlaps(const struct belief_book *book);

#endif
