/*
 * payload.h - opaque bytes from files and standard input, and to files and standard output.
 */
#ifndef PGK_CLI_PAYLOAD_H
#define PGK_CLI_PAYLOAD_H

#include <limits.h>

#include "cli.h"

#define PAYLOAD_DIGEST_BYTES 32
#define PAYLOAD_MAX_BYTES PGK_GRAPH_MAX_BYTES

struct payload {
    char *bytes;
    size_t count;
    char digest[PAYLOAD_DIGEST_BYTES]; /* SHA-256 */
};

/* Reads a file, or standard input for "-". Refuses an empty one and one over PAYLOAD_MAX_BYTES. */
int payload_read(const struct cli *cli, const char *path, struct payload *ret_payload);
void payload_free(struct payload *payload);

/* Where a file is to be written: what a symbolic link points to, so that it stays one. Refuses one that points to nothing. */
int resolve_target(const struct cli *cli, const char *path, char target[PATH_MAX]);

/*
 * A file to be written, or standard output for "-": whole, or not at all. Bytes are collected in a temporary file, in the
 * same directory or, for what is no ordinary file, in one without a name.
 */
struct payload_out;
int payload_out_open(const struct cli *cli, const char *path, struct payload_out **ret_out);
int payload_out_write(struct payload_out *out, const void *bytes, size_t count);
/* Checks the SHA-256 of all that was written, then lets it appear. Damaged: nothing appears, exit code 1. */
int payload_out_commit(struct payload_out *out, const char *digest, const char *what);
/* Frees it; what was not committed vanishes. NULL is fine. */
void payload_out_free(struct payload_out *out);

#endif
