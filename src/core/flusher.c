/* core/flusher.c - see flusher.h. The lock is never held while the disk is waited for. */
#include "core/flusher.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/thread.h"

/* Measured: with 4 or 32 MiB gets are no faster. */
#define STEP_BYTES ((size_t)8 * 1024 * 1024)

struct flusher {
    struct thread thread;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* of all below */
    int fd;
    size_t dirty; /* bytes written since it was last flushed */
    bool ending;
    int error;
};

static void run(void *arg)
{
    struct flusher *f = arg;
    pthread_mutex_lock(&f->lock);
    while (!f->ending && f->error == 0) {
        if (f->dirty < STEP_BYTES) {
            cond_wait_until(&f->changed, &f->lock, CLOCK_NEVER);
            continue;
        }
        f->dirty = 0;
        pthread_mutex_unlock(&f->lock);
        int error = fdatasync(f->fd) == 0 ? 0 : errno;
        pthread_mutex_lock(&f->lock);
        f->error = error;
    }
    pthread_mutex_unlock(&f->lock);
}

static void destroy(struct flusher *f)
{
    pthread_cond_destroy(&f->changed);
    pthread_mutex_destroy(&f->lock);
    free(f);
}

struct flusher *flusher_start(int fd)
{
    struct flusher *f = calloc(1, sizeof(*f));
    if (f == NULL || mutex_init(&f->lock, NULL) != PGK_OK) {
        free(f);
        return NULL;
    }
    if (cond_init(&f->changed, NULL) != PGK_OK) {
        pthread_mutex_destroy(&f->lock);
        free(f);
        return NULL;
    }
    f->fd = fd;
    if (thread_start(&f->thread, "pgk-flush", run, f, NULL) != PGK_OK) {
        destroy(f);
        return NULL;
    }
    return f;
}

void flusher_add(struct flusher *f, size_t bytes)
{
    if (f == NULL) {
        return;
    }
    pthread_mutex_lock(&f->lock);
    f->dirty += bytes;
    if (f->dirty >= STEP_BYTES) {
        pthread_cond_signal(&f->changed);
    }
    pthread_mutex_unlock(&f->lock);
}

int flusher_end(struct flusher *f)
{
    if (f == NULL) {
        return 0;
    }
    pthread_mutex_lock(&f->lock);
    f->ending = true;
    pthread_cond_signal(&f->changed);
    pthread_mutex_unlock(&f->lock);
    thread_join(&f->thread);
    int error = f->error;
    destroy(f);
    return error;
}
