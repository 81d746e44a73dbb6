/* files.c - the files that a job needs, fetched from the blob store, see jobs.h. */
#include "jobs.h"

#include <inttypes.h>
#include <stdio.h>

#define MAX_FILES 16

struct files {
    int count;
    pgk_blob_key keys[MAX_FILES];
    int64_t bytes[MAX_FILES];
};

/* Runs while the list is read: the store is called afterwards. */
static pgk_status note_file(void *user, const pgk_blob *blob)
{
    struct files *files = user;
    if (files->count == MAX_FILES) {
        return PGK_ERR_TOO_LARGE;
    }
    files->keys[files->count] = blob->key;
    files->bytes[files->count++] = blob->bytes;
    return PGK_OK;
}

bool fetch_files(struct worker *worker, const pgk_uuid *job_id)
{
    struct files files = {0};
    pgk_blobs *blobs = NULL;
    pgk_error err;
    if (worker->directory == NULL) {
        return true;
    }
    bool ok = fine(worker->name, pgk_ha_blobs(worker->ha, &worker->token, &blobs, &err), &err) &&
              fine(worker->name, pgk_blobs_list(blobs, job_id, note_file, &files, &err), &err);
    for (int i = 0; ok && i < files.count; i++) {
        char key[PGK_BLOB_KEY_TEXT_SIZE], path[1024];
        pgk_blob_key_format(&files.keys[i], key);
        snprintf(path, sizeof path, "%s/%s-%s", worker->directory, worker->name, key);
        /* Whole, flushed to disk and checked by both digests, or not there. */
        ok =
            fine(worker->name, pgk_blobs_get_file(blobs, job_id, &files.keys[i], path, &err), &err);
        if (ok) {
            say(worker->name, "fetched %s %" PRId64, key, files.bytes[i]);
        }
    }
    pgk_blobs_free(blobs);
    return ok;
}
