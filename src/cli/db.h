/*
 * db.h - sessions and statements of the command. A statement is a constant from src/cli/sql; parameters
 * are text. Failed calls have said why on stderr and give the exit code.
 */
#ifndef PGK_CLI_DB_H
#define PGK_CLI_DB_H

#include <libpq-fe.h>

#include "cli.h"

struct db {
    PGconn *conn;
    const struct cli *cli;
    int server_pid; /* who answers */
    bool pooled;    /* not whom the connection names: each statement is a transaction of its own */
};

/* Newest schema that this command knows, and the oldest that it works with. */
#define SCHEMA_OLDEST 1
/* The oldest with job graphs, results and checkpoints, whose views and clean-up know of blobs. */
#define SCHEMA_OF_STORES 3
/* The oldest with blobs. */
#define SCHEMA_OF_BLOBS 3
/* The oldest with pauses, purge() and the blobs that the screens show. */
#define SCHEMA_OF_OPERATIONS 4

/* Connects to the primary and sets search_path to the schema, whether it exists or not; behind a pooler that is done for
 * each statement, in a transaction, and nothing stays in the server's session. */
int db_connect(struct db *db, const struct cli *cli);
/* As db_connect, for what keeps something in its session: a pooler is refused, said. */
int db_connect_directly(struct db *db, const struct cli *cli);
/* What there is under the schema's name. A schema that this role may not look into is an error, said. */
enum db_schema_state { SCHEMA_ABSENT, SCHEMA_EMPTY, SCHEMA_INSTALLED };
int db_find_schema(struct db *db, enum db_schema_state *ret_state);
/* As db_connect; and the schema is there, neither too old nor too new for this command. */
int db_open(struct db *db, const struct cli *cli);
/* As db_open, for a verb that needs a newer schema than the others. */
int db_open_for(struct db *db, const struct cli *cli, int oldest);
/* Looks for a pooler and sets search_path again, after PQreset. */
int db_enter(struct db *db);
void db_close(struct db *db);

/* Runs one statement. CLI_OK and the result, or the exit code of the failure, said. */
int db_query(struct db *db, const char *sql, int n, const char *const *values,
             PGresult **ret_result);
/* As db_query, without interest in the result. */
int db_execute(struct db *db, const char *sql, int n, const char *const *values);
/* As db_query, for what changes something: a lost answer is an unknown outcome. Parameters may be binary, lengths[i] > 0
 * and formats[i] = 1; both NULL: all text. */
int db_act(struct db *db, const char *sql, int n, const char *const *values, const int *lengths,
           const int *formats, PGresult **ret_result);
/* Hands rows over one by one as they come, in binary; fn answers CLI_OK to go on. */
int db_stream(struct db *db, const char *sql, int n, const char *const *values,
              int (*fn)(void *user, const PGresult *row), void *user);
/* As db_query, but says nothing of a failure: *ret_error gets it. PGK_OK or the status. */
pgk_status db_try(struct db *db, const char *sql, int n, const char *const *values,
                  PGresult **ret_result, pgk_error *ret_error);
/* Runs a script of several statements (a migration). Says nothing. */
pgk_status db_try_script(struct db *db, const char *sql, pgk_error *ret_error);

const char *db_schema(const struct db *db);
const char *db_cluster(const struct db *db);

/* Column 0 of row 0, or "" when there is none. */
const char *db_text(const PGresult *result, int row, int column);
bool db_bool(const PGresult *result, int row, int column);
int db_int(const PGresult *result, int row, int column);

#define DB_RESULT __attribute__((cleanup(db_result_cleanup))) PGresult
void db_result_cleanup(PGresult **result);

#endif
