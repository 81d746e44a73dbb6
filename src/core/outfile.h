/*
 * core/outfile.h - a file that appears whole or not at all: written beside its place, flushed to
 * disk, then renamed to it. The directory is not flushed: a crash of the machine soon afterwards may
 * bring back what was there before, never a part of a file. One thread at a time; blocks.
 */
#ifndef PGK_CORE_OUTFILE_H
#define PGK_CORE_OUTFILE_H

#include <stddef.h>
#include <stdint.h>

#include <pgkeeper/status.h>

#define OUTFILE_PLACE_SIZE 4096

struct flusher;

struct outfile {
    const char *path; /* borrowed */
    int dir_fd;
    int fd;
    char name[48];           /* its name for the time being; empty: it has none yet */
    const char *last;        /* of the path: the name to be */
    int64_t written;         /* bytes */
    struct flusher *flusher; /* NULL: none */
};

/* PGK_ERR_IO: the directory is missing or cannot be written, with the system's reason. It has the mode of
 * the file that is in its place. */
pgk_status outfile_open(struct outfile *file, const char *path, pgk_error *err);
pgk_status outfile_write(struct outfile *file, const void *data, size_t bytes, pgk_error *err);
/* Empties it, to begin anew. */
pgk_status outfile_rewind(struct outfile *file, pgk_error *err);
/* Flushes it to disk. */
pgk_status outfile_flush(struct outfile *file, pgk_error *err);
/* Puts it, flushed, into its place. */
pgk_status outfile_keep(struct outfile *file, pgk_error *err);
/* Closes it; if it was not kept, nothing is left of it. */
void outfile_close(struct outfile *file);

#endif
