/*
 * payload.c - opaque bytes from files and standard input, and to files and standard output.
 *
 * Never interprets them, never lets a part of them be seen. Main thread only.
 */
#include "payload.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE_BYTES ((size_t)1024 * 1024)

static const char *shown(const char *path, const char *standard)
{
    return strcmp(path, "-") == 0 ? standard : path;
}

static int failed(const struct cli *cli, const char *act, const char *path)
{
    say(cli, "cannot %s %s: %s", act, path, strerror(errno));
    return CLI_FAILED;
}

static int too_large(const struct cli *cli, const char *path)
{
    say(cli, "%s is over 256 MiB (%zu bytes), the most that a graph may be; nothing was sent", path,
        PAYLOAD_MAX_BYTES);
    return CLI_FAILED;
}

/* Reads to the end, but no further than one byte beyond the limit. */
static int read_all(const struct cli *cli, int fd, const char *path, struct payload *payload)
{
    size_t room = 0;
    for (;;) {
        if (payload->count == room) {
            room = room == 0 ? PIECE_BYTES : room * 2;
            room = room > PAYLOAD_MAX_BYTES ? PAYLOAD_MAX_BYTES + 1 : room;
            char *grown = realloc(payload->bytes, room);
            if (grown == NULL) {
                say(cli, "out of memory: %zu bytes for %s", room, path);
                return CLI_FAILED;
            }
            payload->bytes = grown;
        }
        ssize_t got = read(fd, payload->bytes + payload->count, room - payload->count);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return failed(cli, "read", path);
        }
        if (got == 0) {
            return CLI_OK;
        }
        payload->count += (size_t)got;
        if (payload->count > PAYLOAD_MAX_BYTES) {
            return too_large(cli, path);
        }
    }
}

static int read_open(const struct cli *cli, int fd, const char *path, struct payload *payload)
{
    struct stat file;
    if (fstat(fd, &file) == 0 && S_ISREG(file.st_mode) && file.st_size > (off_t)PAYLOAD_MAX_BYTES) {
        return too_large(cli, path);
    }
    int code = read_all(cli, fd, path, payload);
    if (code == CLI_OK && payload->count == 0) {
        return usage_error(cli, "%s is empty: a graph has 1 byte at least", path);
    }
    unsigned char digest[EVP_MAX_MD_SIZE];
    if (code == CLI_OK &&
        EVP_Digest(payload->bytes, payload->count, digest, NULL, EVP_sha256(), NULL) != 1) {
        say(cli, "SHA-256 is not available from libcrypto");
        return CLI_FAILED;
    }
    memcpy(payload->digest, digest, PAYLOAD_DIGEST_BYTES);
    return code;
}

int payload_read(const struct cli *cli, const char *path, struct payload *ret_payload)
{
    *ret_payload = (struct payload){0};
    const char *name = shown(path, "standard input");
    int fd = strcmp(path, "-") == 0 ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return failed(cli, "read", name);
    }
    int code = read_open(cli, fd, name, ret_payload);
    if (fd != STDIN_FILENO) {
        close(fd);
    }
    if (code != CLI_OK) {
        payload_free(ret_payload);
    }
    return code;
}

void payload_free(struct payload *payload)
{
    free(payload->bytes);
    *payload = (struct payload){0};
}

/* The temporary file of this process, for the handler of signals that end it. */
static char unfinished[PATH_MAX];

static void on_end(int number)
{
    unlink(unfinished);
    signal(number, SIG_DFL);
    raise(number);
}

/* A process that is interrupted leaves nothing behind; what its caller ignores stays ignored. */
static void remove_when_interrupted(const char *path)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    snprintf(unfinished, sizeof unfinished, "%s", path);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        if (signal(signals[i], on_end) == SIG_IGN) {
            signal(signals[i], SIG_IGN);
        }
    }
}

struct payload_out {
    const struct cli *cli;
    const char *path; /* for messages */
    int fd;           /* of the temporary file */
    int target_fd;    /* what is no ordinary file; -1: rename */
    char target[PATH_MAX];
    char temporary[PATH_MAX];
    EVP_MD_CTX *digest;
};

/* A nameless temporary file in front of what cannot be replaced: standard output, a device, a pipe. */
static int open_spool(struct payload_out *out)
{
    const char *directory = getenv("TMPDIR");
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s/pgkeeper.XXXXXX",
                          directory != NULL && directory[0] != '\0' ? directory : "/tmp");
    if (length < 0 || length >= (int)sizeof path) {
        errno = ENAMETOOLONG;
        return failed(out->cli, "make a temporary file for", out->path);
    }
    out->fd = mkostemp(path, O_CLOEXEC);
    if (out->fd < 0) {
        return failed(out->cli, "make a temporary file for", out->path);
    }
    unlink(path);
    return CLI_OK;
}

int resolve_target(const struct cli *cli, const char *path, char target[PATH_MAX])
{
    struct stat link;
    if (realpath(path, target) != NULL) {
        return CLI_OK;
    }
    if (lstat(path, &link) == 0 && S_ISLNK(link.st_mode)) {
        say(cli, "cannot write %s: it is a symbolic link to a file that is not there", path);
        return CLI_FAILED;
    }
    if (strlen(path) >= PATH_MAX) {
        errno = ENAMETOOLONG;
        return failed(cli, "write", path);
    }
    snprintf(target, PATH_MAX, "%s", path);
    return CLI_OK;
}

/* A temporary file beside the target; a symbolic link is followed, so that it stays one. */
static int open_beside(struct payload_out *out, const char *path)
{
    int code = resolve_target(out->cli, path, out->target);
    if (code != CLI_OK) {
        return code;
    }
    int length = snprintf(out->temporary, sizeof out->temporary, "%s.XXXXXX", out->target);
    if (length >= (int)sizeof out->temporary) {
        out->temporary[0] = '\0';
        errno = ENAMETOOLONG;
        return failed(out->cli, "write", out->path);
    }
    out->fd = mkostemp(out->temporary, O_CLOEXEC);
    if (out->fd < 0) {
        out->temporary[0] = '\0';
        return failed(out->cli, "write", out->path);
    }
    remove_when_interrupted(out->temporary);
    mode_t mask = umask(0);
    umask(mask);
    struct stat old;
    mode_t mode = stat(out->target, &old) == 0 ? old.st_mode & 0777 : 0666 & ~mask;
    return fchmod(out->fd, mode) == 0 ? CLI_OK : failed(out->cli, "write", out->path);
}

static int open_target(struct payload_out *out, const char *path)
{
    struct stat there;
    if (strcmp(path, "-") == 0) {
        out->target_fd = STDOUT_FILENO;
        return open_spool(out);
    }
    if (stat(path, &there) != 0 || S_ISREG(there.st_mode)) {
        return open_beside(out, path);
    }
    out->target_fd = open(path, O_WRONLY | O_CLOEXEC);
    return out->target_fd < 0 ? failed(out->cli, "write", out->path) : open_spool(out);
}

int payload_out_open(const struct cli *cli, const char *path, struct payload_out **ret_out)
{
    struct payload_out *out = calloc(1, sizeof *out);
    if (out == NULL) {
        say(cli, "out of memory");
        return CLI_FAILED;
    }
    out->cli = cli;
    out->path = shown(path, "standard output");
    out->fd = -1;
    out->target_fd = -1;
    out->digest = EVP_MD_CTX_new();
    int code = CLI_OK;
    if (out->digest == NULL || EVP_DigestInit_ex(out->digest, EVP_sha256(), NULL) != 1) {
        say(cli, "SHA-256 is not available from libcrypto");
        code = CLI_FAILED;
    }
    if (code == CLI_OK) {
        code = open_target(out, path);
    }
    if (code != CLI_OK) {
        payload_out_free(out);
        return code;
    }
    *ret_out = out;
    return CLI_OK;
}

static bool write_all(int fd, const char *bytes, size_t count)
{
    while (count > 0) {
        ssize_t done = write(fd, bytes, count);
        if (done < 0 && errno != EINTR) {
            return false;
        }
        bytes += done > 0 ? done : 0;
        count -= done > 0 ? (size_t)done : 0;
    }
    return true;
}

int payload_out_write(struct payload_out *out, const void *bytes, size_t count)
{
    EVP_DigestUpdate(out->digest, bytes, count);
    return write_all(out->fd, bytes, count) ? CLI_OK : failed(out->cli, "write", out->path);
}

/* Makes the name last as well: a directory is synchronised after a rename in it. */
static void sync_directory(const char *path)
{
    char directory[PATH_MAX];
    snprintf(directory, sizeof directory, "%s", path);
    char *slash = strrchr(directory, '/');
    if (slash != NULL) {
        slash[slash == directory ? 1 : 0] = '\0';
    }
    int fd = open(slash != NULL ? directory : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
}

static int appear(struct payload_out *out)
{
    if (fsync(out->fd) != 0 || rename(out->temporary, out->target) != 0) {
        return failed(out->cli, "write", out->path);
    }
    out->temporary[0] = '\0';
    unfinished[0] = '\0';
    sync_directory(out->target);
    return CLI_OK;
}

static int copy_spool(struct payload_out *out)
{
    char *piece = malloc(PIECE_BYTES);
    ssize_t got = -1;
    bool written = true;
    if (piece == NULL) {
        say(out->cli, "out of memory");
        return CLI_FAILED;
    }
    if (lseek(out->fd, 0, SEEK_SET) == 0) {
        while (written && (got = read(out->fd, piece, PIECE_BYTES)) > 0) {
            written = write_all(out->target_fd, piece, (size_t)got);
        }
    }
    free(piece);
    return written && got == 0 ? CLI_OK : failed(out->cli, "write", out->path);
}

int payload_out_commit(struct payload_out *out, const char *digest, const char *what)
{
    unsigned char found[EVP_MAX_MD_SIZE];
    EVP_DigestFinal_ex(out->digest, found, NULL);
    if (memcmp(found, digest, PAYLOAD_DIGEST_BYTES) != 0) {
        say(out->cli,
            "%s is damaged: its bytes differ from their SHA-256. Nothing was written to %s", what,
            out->path);
        return CLI_FAILED;
    }
    return out->target_fd < 0 ? appear(out) : copy_spool(out);
}

void payload_out_free(struct payload_out *out)
{
    if (out == NULL) {
        return;
    }
    if (out->temporary[0] != '\0') {
        unlink(out->temporary);
    }
    if (out->fd >= 0) {
        close(out->fd);
    }
    if (out->target_fd >= 0 && out->target_fd != STDOUT_FILENO) {
        close(out->target_fd);
    }
    EVP_MD_CTX_free(out->digest);
    free(out);
}
