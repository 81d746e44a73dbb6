/*
 * core/flusher.h - flushes a file to disk while it is still being written, in a thread of its own, so
 * that little is left to be waited for at its end. One thread at a time uses it.
 */
#ifndef PGK_CORE_FLUSHER_H
#define PGK_CORE_FLUSHER_H

#include <stddef.h>

struct flusher;

/* Of a descriptor that stays open until flusher_end(). NULL: there is no thread to be had. */
struct flusher *flusher_start(int fd);
/* So many more bytes have been written. Never waits for the disk. NULL is fine. */
void flusher_add(struct flusher *flusher, size_t bytes);
/* Waits for what it is at, and frees it. 0, or errno of what it could not flush: the system tells it
 * once only, so a later fsync() of the descriptor need not. NULL is fine. */
int flusher_end(struct flusher *flusher);

#endif
