/*
 * blobs.h - what the actions of `pgkeeper blobs` share: which blob, and the store.
 */
#ifndef PGK_CLI_BLOBS_H
#define PGK_CLI_BLOBS_H

#include "db.h"
#include "stores.h"

/* A blob as the command line names it, or all of a job (has_key false). */
struct blob_name {
    bool has_job;
    bool has_key;
    pgk_uuid job;
    struct job_id job_text; /* with has_job */
    pgk_blob_key key;
    char key_text[PGK_BLOB_KEY_TEXT_SIZE];
};

/* Reads --job and a key, both as given; NULL: not given. */
int parse_blob_name(const struct cli *cli, const char *job, const char *key,
                    struct blob_name *ret_name);
const pgk_uuid *job_of(const struct blob_name *name); /* NULL: of none */
/* "of job 00..ab", "of no job"; lives as long as the name. */
const char *owner_text(const struct blob_name *name);

/* The library's store, without a fence. */
struct blob_store {
    pgk_ha *ha;
    pgk_blobs *blobs;
};
int blob_store_open(const struct cli *cli, struct blob_store *store);
void blob_store_close(struct blob_store *store);

/* As fail(); of a blob that is not there says where its key is else. */
int fail_blob(const struct cli *cli, const struct blob_name *name, const pgk_error *error);

/* As stores_open, for a schema with blobs. */
int blobs_open(struct db *db, const struct cli *cli);

int blobs_put(struct cli *cli, int argc, char **argv);
int blobs_get(struct cli *cli, int argc, char **argv);
int blobs_verify(struct cli *cli, int argc, char **argv);

#endif
