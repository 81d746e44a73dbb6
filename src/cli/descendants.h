/*
 * descendants.h - finding and signalling all processes below this one, however they detached themselves.
 *
 * Rests on this process being a child subreaper: an orphan below it becomes its child, never init's, so "no
 * children left" means that nothing is left at all. One thread at a time.
 */
#ifndef PGK_CLI_DESCENDANTS_H
#define PGK_CLI_DESCENDANTS_H

#include <stdbool.h>

/* True when /proc shows this process: without it descendants cannot be found. */
bool descendants_visible(void);

/* Sends a signal to every process below this one that is alive, as seen in one look at /proc. A process is
 * pinned by a descriptor and looked at again before it is signalled, so a reused id is never hit. */
void descendants_signal(int signal_number);

/* SIGKILLs and reaps all that is below this process; returns when nothing is left. */
void descendants_kill_all(void);

#endif
