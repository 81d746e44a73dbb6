/* services/blob_source.c - see blob_source.h. */
#include "services/blob_source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/text.h"
#include "services/store_common.h"

static pgk_status failed(const struct source *source, const char *what, int number, pgk_error *err)
{
    char reason[128];
    char path[256];
    const char *text = strerror_r(number, reason, sizeof(reason));

    text_excerpt(path, sizeof(path), source->given->path);
    return error_set(err, PGK_ERR_IO, source->origin, "\"%s\" cannot be %s: %s", path, what, text);
}

/* A changed file would be neither what it was nor what it is. */
static pgk_status check_unchanged(const struct source *source, pgk_error *err)
{
    struct stat after;
    char path[256];

    if (!source->regular) {
        return PGK_OK;
    }
    if (fstat(source->fd, &after) != 0) {
        return failed(source, "read", errno, err);
    }
    if (after.st_size == source->before.st_size && source->done == source->before.st_size &&
        after.st_mtim.tv_sec == source->before.st_mtim.tv_sec &&
        after.st_mtim.tv_nsec == source->before.st_mtim.tv_nsec) {
        return PGK_OK;
    }
    text_excerpt(path, sizeof(path), source->given->path);
    return error_set(err, PGK_ERR_IO, source->origin,
                     "\"%s\" was changed while it was read: it had %lld bytes, has %lld now, and "
                     "%lld were read",
                     path, (long long)source->before.st_size, (long long)after.st_size,
                     (long long)source->done);
}

static pgk_status read_file(const struct source *source, char *buffer, size_t capacity,
                            size_t *ret_bytes, pgk_error *err)
{
    size_t done = 0;

    while (done < capacity) {
        ssize_t got = read(source->fd, buffer + done, capacity - done);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return failed(source, "read", errno, err);
        }
        if (got == 0) {
            break;
        }
        done += (size_t)got;
    }
    *ret_bytes = done;
    return PGK_OK;
}

static pgk_status read_stream(const struct source *source, char *buffer, size_t capacity,
                              size_t *ret_bytes, pgk_error *err)
{
    size_t done = 0;

    while (done < capacity) {
        size_t got = 0;
        pgk_status answer =
            source->given->read(source->given->user, buffer + done, capacity - done, &got);
        pgk_status status = store_callback_answer(source->call, answer, source->origin, err);
        if (status != PGK_OK) {
            return status;
        }
        if (got > capacity - done) {
            return error_set(err, PGK_ERR_INVALID_ARGUMENT, source->origin,
                             "the read callback says that it gave %zu bytes; there was room for "
                             "%zu",
                             got, capacity - done);
        }
        if (got == 0) {
            break;
        }
        done += got;
    }
    *ret_bytes = done;
    return PGK_OK;
}

static pgk_status read_memory(const struct source *source, char *buffer, size_t capacity,
                              size_t *ret_bytes)
{
    size_t left = source->given->data_bytes - (size_t)source->done;
    size_t got = left < capacity ? left : capacity;

    if (got > 0) {
        memcpy(buffer, (const char *)source->given->data + source->done, got);
    }
    *ret_bytes = got;
    return PGK_OK;
}

static pgk_status reader_read(void *ctx, void *buffer, size_t capacity, size_t *ret_bytes,
                              pgk_error *err)
{
    struct source *source = ctx;
    size_t got = 0;
    pgk_status status;

    if (source->fd >= 0) {
        status = read_file(source, buffer, capacity, &got, err);
    } else if (source->given->read != NULL) {
        status = read_stream(source, buffer, capacity, &got, err);
    } else {
        status = read_memory(source, buffer, capacity, &got);
    }
    if (status == PGK_OK && (int64_t)got > PGK_BLOB_MAX_BYTES - source->done) {
        status = error_set(err, PGK_ERR_TOO_LARGE, source->origin,
                           "a blob may have %lld bytes at most", (long long)PGK_BLOB_MAX_BYTES);
    }
    if (status == PGK_OK) {
        status = digest_sum_add(source->sum, buffer, got, err);
    }
    if (status == PGK_OK) {
        source->done += (int64_t)got;
        *ret_bytes = got;
    }
    return status;
}

static pgk_status reader_rewind(void *ctx, pgk_error *err)
{
    struct source *source = ctx;

    source->done = 0;
    if (source->fd >= 0 &&
        (lseek(source->fd, 0, SEEK_SET) != 0 || fstat(source->fd, &source->before) != 0)) {
        return failed(source, "read again", errno, err);
    }
    return digest_sum_reset(source->sum, err);
}

static int64_t total_of(const struct source *source)
{
    if (source->fd >= 0) {
        return source->regular ? (int64_t)source->before.st_size : -1;
    }
    if (source->given->read != NULL) {
        return source->given->total_bytes > 0 ? source->given->total_bytes : -1;
    }
    return (int64_t)source->given->data_bytes;
}

static pgk_status reader_taken(void *ctx, int64_t bytes, pgk_error *err)
{
    const struct source *source = ctx;

    if (source->given->progress == NULL) {
        return PGK_OK;
    }
    return store_callback_answer(
        source->call,
        source->given->progress(source->given->progress_user, bytes, total_of(source)),
        source->origin, err);
}

static pgk_status reader_sum(void *ctx, struct blob_sum *ret_sum, pgk_error *err)
{
    struct source *source = ctx;

    pgk_status status = check_unchanged(source, err);
    if (status != PGK_OK) {
        return status;
    }
    ret_sum->bytes = source->done;
    status = digest_sum_end(source->sum, ret_sum->sha1, ret_sum->sha256, err);
    if (status == PGK_OK && source->make_key) {
        blob_key_make(source->key.type, ret_sum->sha1, &source->key);
        source->make_key = false; /* one key, however often it is sent */
    }
    ret_sum->key = source->key;
    return status;
}

static pgk_status check_given(const pgk_blob_source *given, const char *origin, pgk_error *err)
{
    pgk_status status = check_not_null(given, "source", origin, err);

    if (status == PGK_OK) {
        status = check_size(given->size, sizeof(*given), "source", origin, err);
    }
    if (status == PGK_OK &&
        (given->path != NULL) + (given->data != NULL) + (given->read != NULL) != 1) {
        status = error_set(err, PGK_ERR_INVALID_ARGUMENT, origin,
                           "a source has exactly one of path, data and read");
    }
    return status;
}

static pgk_status open_file(struct source *source, pgk_error *err)
{
    source->fd = open(source->given->path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (source->fd < 0) {
        return failed(source, "read", errno, err);
    }
    if (fstat(source->fd, &source->before) != 0) {
        return failed(source, "read", errno, err);
    }
    if (S_ISDIR(source->before.st_mode)) {
        return failed(source, "read", EISDIR, err);
    }
    source->regular = S_ISREG(source->before.st_mode);
    if (source->regular) {
        (void)posix_fadvise(source->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    }
    return PGK_OK;
}

pgk_status source_open(struct source *source, const pgk_blob_source *given, const pgk_blob_key *key,
                       const struct call *call, const char *origin, struct blob_source *ret_reader,
                       pgk_error *err)
{
    pgk_status status = check_given(given, origin, err);

    if (status != PGK_OK) {
        return status;
    }
    memset(source, 0, sizeof(*source));
    source->given = given;
    source->call = call;
    source->origin = origin;
    source->key = *key;
    source->fd = -1;
    status = given->path != NULL ? open_file(source, err) : PGK_OK;
    if (status == PGK_OK) {
        status = digest_sum_new(&source->sum, err);
    }
    if (status != PGK_OK) {
        source_close(source);
        return status;
    }
    bool twice = given->read == NULL && (source->fd < 0 || source->regular);
    *ret_reader = (struct blob_source){
        .ctx = source,
        .rewind = twice ? reader_rewind : NULL,
        .read = reader_read,
        .taken = reader_taken,
        .sum = reader_sum,
        .prompt = twice,
    };
    return PGK_OK;
}

pgk_status source_sum_up(struct source *source, struct blob_sum *ret_sum, pgk_error *err)
{
    size_t capacity = (size_t)256 * 1024;
    char *buffer = malloc(capacity);
    size_t got = capacity;
    pgk_status status = buffer != NULL ? PGK_OK
                                       : error_set(err, PGK_ERR_NO_MEMORY, source->origin,
                                                   "no memory for a buffer");

    while (status == PGK_OK && got == capacity) {
        status = reader_read(source, buffer, capacity, &got, err);
    }
    free(buffer);
    return status == PGK_OK ? reader_sum(source, ret_sum, err) : status;
}

void source_close(struct source *source)
{
    if (source->fd >= 0) {
        close(source->fd);
        source->fd = -1;
    }
    digest_sum_free(source->sum);
    source->sum = NULL;
}
