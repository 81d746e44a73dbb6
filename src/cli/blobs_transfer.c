/*
 * blobs_transfer.c - `pgkeeper blobs put` and `get`: bytes into blobs and out of them.
 *
 * Standard input is read once; standard output gets bytes only when all of them are known to be right.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blobs.h"
#include "output.h"
#include "payload.h"
#include "progress.h"

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL && slash[1] != '\0' ? slash + 1 : path;
}

/* Standard input as a stream. With a key to be met, its last read fails if the content is another one. */
struct input {
    int read_errno;
    bool differs;
    const pgk_blob_key *key; /* NULL: any content */
    EVP_MD_CTX *digest;
};

static bool is_content_of(const pgk_blob_key *key, EVP_MD_CTX *digest)
{
    unsigned char sha1[EVP_MAX_MD_SIZE];
    return EVP_DigestFinal_ex(digest, sha1, NULL) == 1 &&
           memcmp(sha1, key->sha1, PGK_SHA1_BYTES) == 0;
}

static pgk_status read_input(void *user, void *buffer, size_t capacity, size_t *ret_bytes)
{
    struct input *input = user;
    ssize_t got;
    do {
        got = read(STDIN_FILENO, buffer, capacity);
        if (interrupted()) {
            return PGK_ERR_ILLEGAL_STATE;
        }
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        input->read_errno = errno;
        return PGK_ERR_IO;
    }
    *ret_bytes = (size_t)got;
    if (input->key != NULL && got > 0) {
        EVP_DigestUpdate(input->digest, buffer, (size_t)got);
    } else if (input->key != NULL && !is_content_of(input->key, input->digest)) {
        input->differs = true;
        return PGK_ERR_INVALID_ARGUMENT;
    }
    return PGK_OK;
}

static int64_t bytes_of_input(void)
{
    struct stat file;
    if (fstat(STDIN_FILENO, &file) != 0 || !S_ISREG(file.st_mode)) {
        return 0;
    }
    off_t at = lseek(STDIN_FILENO, 0, SEEK_CUR);
    return at >= 0 && at < file.st_size ? (int64_t)(file.st_size - at) : 0;
}

static int other_content(const struct cli *cli, const struct blob_name *name, const char *path)
{
    say(cli, "the content of %s is not that of %s: nobody could get it; nothing was stored", path,
        name->key_text);
    return CLI_FAILED;
}

/* A file is read once more, and first, so that nothing is sent for nothing. */
static int check_file(const struct cli *cli, const struct blob_name *name, const char *path)
{
    pgk_blob_key key;
    pgk_error error;
    if (pgk_blob_key_new_file(name->key.type, path, &key, &error) != PGK_OK) {
        return fail(cli, &error);
    }
    return memcmp(key.sha1, name->key.sha1, PGK_SHA1_BYTES) == 0 ? CLI_OK
                                                                 : other_content(cli, name, path);
}

static int print_stored(const struct cli *cli, const struct blob_name *name, int64_t bytes)
{
    static const char *const names[] = {"blob_key", "bytes", "size_text", "job", "cluster_id"};
    static const Oid types[] = {OUTPUT_TEXT, OUTPUT_INT8, OUTPUT_TEXT, OUTPUT_TEXT, OUTPUT_TEXT};
    char number[24], size[SIZE_TEXT_SIZE];
    if (!cli->format_given) {
        puts(name->key_text);
        return CLI_OK;
    }
    snprintf(number, sizeof number, "%" PRId64, bytes);
    const char *values[] = {name->key_text, number, size_text(bytes, size),
                            name->has_job ? name->job_text.hex : NULL,
                            config_value(cli, CLI_KEY_CLUSTER)};
    return print_row(cli, 5, names, types, values, 4);
}

static int explain_put(const struct cli *cli, const struct blob_name *name,
                       const struct input *input, const pgk_error *error)
{
    if (interrupted()) {
        say(cli, "interrupted; nothing was stored");
        return CLI_FAILED;
    }
    if (input->differs) {
        return other_content(cli, name, "standard input");
    }
    if (input->read_errno != 0) {
        say(cli, "cannot read standard input: %s; nothing was stored", strerror(input->read_errno));
        return CLI_FAILED;
    }
    return fail(cli, error);
}

/* Under a new key, or the one that is given; name->key is then the key. */
static int put(const struct cli *cli, struct blob_name *name, const char *path, pgk_blob_type type)
{
    struct blob_store store;
    struct progress progress;
    struct input input = {.key = name->has_key ? &name->key : NULL};
    pgk_blob_source source = {
        .size = sizeof source, .progress = progress_step, .progress_user = &progress};
    bool standard = strcmp(path, "-") == 0;
    pgk_error error;
    int code = blob_store_open(cli, &store);
    if (code != CLI_OK) {
        blob_store_close(&store);
        return code;
    }
    if (standard) {
        source.read = read_input;
        source.user = &input;
        source.total_bytes = bytes_of_input();
        input.digest = EVP_MD_CTX_new();
        EVP_DigestInit_ex(input.digest, EVP_sha1(), NULL);
    } else {
        source.path = path;
    }
    interrupts_catch();
    progress_begin(&progress, standard ? "standard input" : base_name(path));
    pgk_status status =
        name->has_key ? pgk_blobs_put(store.blobs, job_of(name), &name->key, &source, &error)
                      : pgk_blobs_add(store.blobs, job_of(name), type, &source, &name->key, &error);
    progress_end(&progress, cli, status == PGK_OK ? "stored" : NULL);
    EVP_MD_CTX_free(input.digest);
    code = status == PGK_OK ? CLI_OK : explain_put(cli, name, &input, &error);
    blob_store_close(&store);
    if (code == CLI_OK) {
        pgk_blob_key_format(&name->key, name->key_text);
        code = print_stored(cli, name, progress.done);
    } else {
        interrupts_obey();
    }
    return code;
}

int blobs_put(struct cli *cli, int argc, char **argv)
{
    bool transient = false;
    const char *job = NULL, *key = NULL, *path;
    struct blob_name name;
    const struct cli_option options[] = {{"--job", OPTION_TEXT, &job},
                                         {"--key", OPTION_TEXT, &key},
                                         {"--transient", OPTION_FLAG, &transient}};
    const struct wanted wanted = {"one file, or - for standard input", 1, 1};
    int code = parse_action(cli, argc, argv, options, 3, &wanted, &path);
    if (code == CLI_OK && transient && key != NULL) {
        code = usage_error(cli, "--transient is for a new key; --key is one already");
    }
    if (code == CLI_OK) {
        code = parse_blob_name(cli, job, key, &name);
    }
    if (code == CLI_OK && name.has_key && strcmp(path, "-") != 0) {
        code = check_file(cli, &name, path);
    }
    return code == CLI_OK
               ? put(cli, &name, path, transient ? PGK_BLOB_TRANSIENT : PGK_BLOB_PERMANENT)
               : code;
}

/* Where a blob goes: a file that is replaced, or a descriptor that is written to. */
struct output {
    const char *path; /* for messages */
    char file[PATH_MAX];
    int fd; /* -1: the file */
    int write_errno;
};

static int cannot_write(const struct cli *cli, const struct output *output, int reason)
{
    say(cli, "cannot write %s: %s", output->path, strerror(reason));
    return CLI_FAILED;
}

/* A symbolic link stays one: what it points to is replaced. A device or a pipe is written to. */
static int output_open(const struct cli *cli, const char *path, struct output *output)
{
    struct stat there;
    *output = (struct output){.path = path, .fd = -1};
    if (strcmp(path, "-") == 0) {
        output->path = "standard output";
        output->fd = STDOUT_FILENO;
        return CLI_OK;
    }
    bool exists = stat(path, &there) == 0;
    if (exists && S_ISDIR(there.st_mode)) {
        return cannot_write(cli, output, EISDIR);
    }
    if (exists && !S_ISREG(there.st_mode)) {
        output->fd = open(path, O_WRONLY | O_CLOEXEC);
        return output->fd < 0 ? cannot_write(cli, output, errno) : CLI_OK;
    }
    return resolve_target(cli, path, output->file);
}

static pgk_status write_output(void *user, const void *data, size_t bytes)
{
    struct output *output = user;
    const char *at = data;
    while (bytes > 0) {
        ssize_t done = write(output->fd, at, bytes);
        if (interrupted()) {
            return PGK_ERR_ILLEGAL_STATE;
        }
        if (done < 0 && errno != EINTR) {
            output->write_errno = errno;
            return PGK_ERR_IO;
        }
        at += done > 0 ? done : 0;
        bytes -= done > 0 ? (size_t)done : 0;
    }
    return PGK_OK;
}

static int explain_get(const struct cli *cli, const struct blob_name *name,
                       const struct output *output, bool begun, const pgk_error *error)
{
    if (interrupted()) {
        say(cli,
            begun ? "interrupted; %s has a part of it" : "interrupted; nothing was written to %s",
            output->path);
        return CLI_FAILED;
    }
    if (output->write_errno != 0) {
        return cannot_write(cli, output, output->write_errno);
    }
    int code = fail_blob(cli, name, error);
    if (error->status == PGK_ERR_CORRUPT) {
        say(cli, begun ? "%s has a part of it" : "nothing was written to %s", output->path);
    }
    return code;
}

static pgk_status get_to(pgk_blobs *blobs, const struct blob_name *name, struct output *output,
                         struct progress *progress, bool *ret_begun, pgk_error *error)
{
    pgk_blob_target target = {
        .size = sizeof target, .progress = progress_step, .progress_user = progress};
    if (output->fd < 0) {
        target.path = output->file;
        return pgk_blobs_get(blobs, job_of(name), &name->key, &target, error);
    }
    pgk_status status =
        pgk_blobs_verify(blobs, job_of(name), &name->key, progress_step, progress, error);
    if (status == PGK_OK) {
        *ret_begun = true;
        target.write = write_output;
        target.user = output;
        status = pgk_blobs_get(blobs, job_of(name), &name->key, &target, error);
    }
    return status;
}

static int get(const struct cli *cli, const struct blob_name *name, struct output *output)
{
    struct blob_store store;
    struct progress progress;
    bool begun = false;
    pgk_error error;
    int code = blob_store_open(cli, &store);
    if (code == CLI_OK) {
        interrupts_catch();
        progress_begin(&progress, name->key_text);
        pgk_status status = get_to(store.blobs, name, output, &progress, &begun, &error);
        progress_end(&progress, cli, status == PGK_OK ? "fetched" : NULL);
        code = status == PGK_OK ? CLI_OK : explain_get(cli, name, output, begun, &error);
    }
    blob_store_close(&store);
    if (code != CLI_OK) {
        interrupts_obey();
    }
    return code;
}

int blobs_get(struct cli *cli, int argc, char **argv)
{
    const char *job = NULL, *arguments[2];
    struct blob_name name;
    struct output output;
    const struct cli_option options[] = {{"--job", OPTION_TEXT, &job}};
    const struct wanted wanted = {"a key and a file, or - for standard output", 2, 2};
    int code = parse_action(cli, argc, argv, options, 1, &wanted, arguments);
    if (code == CLI_OK) {
        code = parse_blob_name(cli, job, arguments[0], &name);
    }
    if (code == CLI_OK) {
        code = output_open(cli, arguments[1], &output);
    }
    if (code != CLI_OK) {
        return code;
    }
    code = get(cli, &name, &output);
    if (output.fd > STDOUT_FILENO && close(output.fd) != 0 && code == CLI_OK) {
        code = cannot_write(cli, &output, errno);
    }
    return code;
}
