/*
 * tests/lib/contest.h - driving contender processes (contender_main.c) and judging what they and the database
 * say afterwards. The test's main thread only.
 */
#ifndef PGK_TESTS_CONTEST_H
#define PGK_TESTS_CONTEST_H

#include "fixture.h"

/* The component of contenders that name none. */
#define CONTEST_COMPONENT "dispatcher"
/* Two options: the mode in which nobody may believe while somebody else still does. */
#define EXCLUSIVE "--set", "leader-election.take-over=exclusive"

/* Starts a contender with the fixture's database over the unix socket, component, belief book and an address
 * of its name; more options of contender_main.c, ending with NULL, override those. Returns at once. */
struct process *contest_spawn(struct fixture *fixture, const char *name, ...)
    __attribute__((sentinel));
/* As contest_spawn, and waits until it has opened its handle and started. */
struct process *contest_start(struct fixture *fixture, const char *name, ...)
    __attribute__((sentinel));
/* As contest_spawn, without any component: only what the options say (--follow, --client). */
struct process *contest_follow(struct fixture *fixture, const char *name, ...)
    __attribute__((sentinel));

/* Waits for the next grant and, unless it does not confirm, the confirmation; returns the epoch. */
int64_t contest_granted(struct process *contender);
/* Waits for the next revoke; checks that has_leadership was false in it; returns the epoch. */
int64_t contest_revoked(struct process *contender);
/* Waits until a member contends (has its lock session), so that it is there to take over. */
void contest_ready(struct fixture *fixture, const char *name);
/* Waits until the book of beliefs has one of that epoch or of a later one, as it has a millisecond after the grant. */
void contest_believed(struct fixture *fixture, int64_t epoch);
/* SIGCONT to one that was stopped for longer than its lease; checks that the first looks at has_leadership after
 * that, of two threads, say no. */
void contest_resume(struct process *contender);
/* Sends a command and returns its answer: the next line that begins with `prefix`. */
const char *contest_ask(struct process *contender, const char *command, const char *prefix);
/* Checks that an answer of a write begins with that status name. */
void contest_write(struct process *contender, const char *command, const char *status);
/* "quit" and waits for the end; the exit code is checked. */
void contest_quit(struct process *contender);

/* The number after `key` ("at=", "deadline=") in a line. */
int64_t line_number(const char *line, const char *key);
/* Copies word `index` (from 0) of a line into out. */
void line_word(const char *line, size_t index, char *out, size_t size);

/* Grants and revokes of each component alternate, epochs rise, no revoke finds has_leadership true. */
void check_alternates(struct process *contender);
/* Epochs of the history rise strictly in time, tenures do not overlap, all but the newest are closed. */
void check_history(struct fixture *fixture);
/* Waits until the reasons of the closed tenures of a group, in order, are these ("lost,resigned"; "" when none has
 * ended). */
void check_reasons(struct fixture *fixture, const char *group, const char *reasons);
/* The same where it depends on the moment: the list matches a regular expression. */
void check_reasons_match(struct fixture *fixture, const char *group, const char *expression);
/* There are beliefs, and no two of different epochs overlap. */
void check_beliefs(struct fixture *fixture);
/* How often text occurs in the server's log. */
size_t log_count(struct fixture *fixture, const char *text);

#endif
