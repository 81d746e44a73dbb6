/*
 * db.c - the command's own sessions: connecting, one statement at a time, errors in words.
 *
 * Never formats SQL from strings; statements are constants and take parameters. Main thread only.
 */
#include "db.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli_statements.h"
#include "migrate.h"

#define OLDEST_SERVER 140000
#define STANDBY_REFUSED                                                                            \
    "server is in hot standby mode" /* libpq's word, never translated: LC_MESSAGES is C */

void db_result_cleanup(PGresult **result)
{
    PQclear(*result);
}

const char *db_schema(const struct db *db)
{
    return config_value(db->cli, CLI_KEY_SCHEMA);
}

const char *db_cluster(const struct db *db)
{
    return config_value(db->cli, CLI_KEY_CLUSTER);
}

const char *db_text(const PGresult *result, int row, int column)
{
    return row < PQntuples(result) ? PQgetvalue(result, row, column) : "";
}

bool db_bool(const PGresult *result, int row, int column)
{
    return db_text(result, row, column)[0] == 't';
}

int db_int(const PGresult *result, int row, int column)
{
    int value = 0;
    return parse_number(db_text(result, row, column), &value) ? value : 0;
}

/* Copies a message of libpq's on one line, without the final newline. */
static void copy_message(char *out, size_t size, const char *text)
{
    size_t length = 0;
    for (const char *p = text; *p != '\0' && length + 1 < size; p++) {
        bool blank = *p == '\n' || *p == '\t' || *p == ' ';
        if (!blank || (length > 0 && out[length - 1] != ' ')) {
            out[length++] = blank ? ' ' : *p;
        }
    }
    while (length > 0 && out[length - 1] == ' ') {
        length--;
    }
    out[length] = '\0';
}

/* libpq gives no SQLSTATE of a failed connection; refused logins have the same exit code anyway. */
static void connection_error(PGconn *conn, pgk_error *ret_error)
{
    memset(ret_error, 0, sizeof *ret_error);
    ret_error->status = PGK_ERR_CONNECTION;
    copy_message(ret_error->message, sizeof ret_error->message, PQerrorMessage(conn));
}

/* A refused permission is mended by a grant: says to whom, and which. */
static void add_cure(PGconn *conn, pgk_error *error)
{
    static const char refused[] = "permission denied for ";
    if (strncmp(error->message, refused, strlen(refused)) != 0) {
        return;
    }
    bool database = strncmp(error->message + strlen(refused), "database ", 9) == 0;
    size_t length = strlen(error->message);
    snprintf(
        error->message + length, sizeof error->message - length, "; role \"%s\" %s", PQuser(conn),
        database ? "needs CREATE on it to make the schema" : "lacks a grant, see sql/roles.sql");
}

static void result_error(PGconn *conn, const PGresult *result, pgk_error *ret_error)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    /* No word of the server's: the session is gone. CONNECTION_BAD does not tell: libpq keeps the connection as
     * good when it could not send while the server's last warning was still unread. */
    if (state == NULL && PQresultStatus(result) == PGRES_FATAL_ERROR) {
        connection_error(conn, ret_error);
        return;
    }
    const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
    const char *hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
    char text[PGK_ERROR_MESSAGE_SIZE];
    memset(ret_error, 0, sizeof *ret_error);
    snprintf(text, sizeof text, "%s%s%s%s%s", primary ? primary : PQresultErrorMessage(result),
             detail ? "; " : "", detail ? detail : "", hint ? "; " : "", hint ? hint : "");
    copy_message(ret_error->message, sizeof ret_error->message, text);
    ret_error->status = PGK_ERR_DATABASE;
    if (state != NULL) {
        ret_error->status = pgk_status_from_sqlstate(state, NULL);
        snprintf(ret_error->sqlstate, sizeof ret_error->sqlstate, "%s", state);
    }
    add_cure(conn, ret_error);
}

static bool succeeded(const PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    return status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;
}

/* What statements need, set for the session or for one transaction. */
static PGresult *enter(struct db *db, bool local)
{
    const char *values[] = {db_schema(db), local ? "true" : "false",
                            db->cli->probes ? "true" : "false"};
    return PQexecParams(db->conn, sql_session_enter, 3, NULL, values, NULL, NULL, 0);
}

/* A pooler's server session is other clients' as well: nothing is set in it but for one transaction. NULL, or the result
 * that failed. */
static PGresult *begin_pooled(struct db *db)
{
    PGresult *result = PQexec(db->conn, "BEGIN ISOLATION LEVEL READ COMMITTED");
    if (succeeded(result)) {
        PQclear(result);
        result = enter(db, true);
    }
    if (succeeded(result)) {
        PQclear(result);
        return NULL;
    }
    PQclear(PQexec(db->conn, "ROLLBACK"));
    return result;
}

/* The result of the statement, or of a commit that failed. */
static PGresult *end_pooled(struct db *db, PGresult *result)
{
    bool good = succeeded(result);
    PGresult *ended = PQexec(db->conn, good ? "COMMIT" : "ROLLBACK");
    PQclear(good && !succeeded(ended) ? result : ended);
    return good && !succeeded(ended) ? ended : result;
}

static PGresult *run_statement(struct db *db, const char *sql, int n, const char *const *values,
                               const int *lengths, const int *formats)
{
    PGresult *failed = db->pooled ? begin_pooled(db) : NULL;
    if (failed != NULL) {
        return failed;
    }
    PGresult *result = PQexecParams(db->conn, sql, n, NULL, values, lengths, formats, 0);
    return db->pooled ? end_pooled(db, result) : result;
}

pgk_status db_try(struct db *db, const char *sql, int n, const char *const *values,
                  PGresult **ret_result, pgk_error *ret_error)
{
    PGresult *result = run_statement(db, sql, n, values, NULL, NULL);
    if (succeeded(result)) {
        if (ret_result != NULL) {
            *ret_result = result;
        } else {
            PQclear(result);
        }
        return PGK_OK;
    }
    result_error(db->conn, result, ret_error);
    PQclear(result);
    return ret_error->status;
}

pgk_status db_try_script(struct db *db, const char *sql, pgk_error *ret_error)
{
    DB_RESULT *result = PQexec(db->conn, sql);
    if (succeeded(result)) {
        return PGK_OK;
    }
    result_error(db->conn, result, ret_error);
    return ret_error->status;
}

int db_query(struct db *db, const char *sql, int n, const char *const *values,
             PGresult **ret_result)
{
    pgk_error error;
    if (db_try(db, sql, n, values, ret_result, &error) != PGK_OK) {
        return fail(db->cli, &error);
    }
    return CLI_OK;
}

int db_act(struct db *db, const char *sql, int n, const char *const *values, const int *lengths,
           const int *formats, PGresult **ret_result)
{
    PGresult *result = run_statement(db, sql, n, values, lengths, formats);
    if (succeeded(result)) {
        *ret_result = result;
        return CLI_OK;
    }
    pgk_error error;
    result_error(db->conn, result, &error);
    PQclear(result);
    if (error.status == PGK_ERR_CONNECTION) {
        /* It may have been done: the answer is what was lost. */
        error.status = PGK_ERR_OUTCOME_UNKNOWN;
        say(db->cli,
            "the connection was lost before the answer came: it may have been done or not");
    }
    return fail(db->cli, &error);
}

int db_stream(struct db *db, const char *sql, int n, const char *const *values,
              int (*fn)(void *user, const PGresult *row), void *user)
{
    int code = CLI_OK;
    pgk_error error;
    DB_RESULT *failed = db->pooled ? begin_pooled(db) : NULL;
    if (failed != NULL) {
        result_error(db->conn, failed, &error);
        return fail(db->cli, &error);
    }
    if (PQsendQueryParams(db->conn, sql, n, NULL, values, NULL, NULL, 1) != 1 ||
        PQsetSingleRowMode(db->conn) != 1) {
        connection_error(db->conn, &error);
        return fail(db->cli, &error);
    }
    PGresult *result;
    while ((result = PQgetResult(db->conn)) != NULL) {
        if (PQresultStatus(result) == PGRES_SINGLE_TUPLE && code == CLI_OK) {
            code = fn(user, result);
        } else if (!succeeded(result) && PQresultStatus(result) != PGRES_SINGLE_TUPLE &&
                   code == CLI_OK) {
            result_error(db->conn, result, &error);
            code = fail(db->cli, &error);
        }
        PQclear(result);
    }
    if (db->pooled) {
        PQclear(PQexec(db->conn, "COMMIT")); /* it has only read */
    }
    return code;
}

int db_execute(struct db *db, const char *sql, int n, const char *const *values)
{
    return db_query(db, sql, n, values, NULL);
}

/* libpq's own settings win over ours: keywords before dbname are defaults for the connection string. */
static PGconn *open_connection(const struct cli *cli, const char *target)
{
    char application[64];
    snprintf(application, sizeof application, "pgkeeper %s", cli->verb);
    const char *keywords[8] = {"fallback_application_name"};
    const char *values[8] = {application};
    int n = 1;
    if (getenv("PGTARGETSESSIONATTRS") == NULL) {
        /* Locks, and so the truth about leaders, are those of the primary. */
        keywords[n] = "target_session_attrs";
        values[n++] = target;
    }
    if (getenv("PGCONNECT_TIMEOUT") == NULL) {
        keywords[n] = "connect_timeout";
        values[n++] = "10";
    }
    const char *uri = config_value(cli, CLI_KEY_URI);
    if (uri[0] != '\0') {
        keywords[n] = "dbname";
        values[n++] = uri;
    }
    keywords[n] = "client_encoding";
    values[n++] = "UTF8";
    keywords[n] = NULL;
    values[n] = NULL;
    return PQconnectdbParams(keywords, values, 1);
}

static void on_notice(void *ctx, const PGresult *result)
{
    const struct cli *cli = ctx;
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    if (severity != NULL && text != NULL && strcmp(severity, "NOTICE") != 0) {
        say(cli, "%s: %s", severity, text);
    }
}

static int check_schema_name(const struct cli *cli)
{
    const char *schema = config_value(cli, CLI_KEY_SCHEMA);
    if (schema[0] == '\0' || strlen(schema) > 63 || strncmp(schema, "pg_", 3) == 0 ||
        strcmp(schema, "$user") == 0) {
        return usage_error(
            cli,
            "schema \"%s\": PostgreSQL allows 1 to 63 bytes, not beginning with pg_, "
            "and \"$user\" has a meaning of its own",
            schema);
    }
    return CLI_OK;
}

/* A string that libpq cannot read is a mistake of the caller, not a connection that failed. Its own words may quote a
 * password, so only their kind is told. */
static int check_conninfo(const struct cli *cli)
{
    PQconninfoOption *options = PQconninfoParse(config_value(cli, CLI_KEY_URI), NULL);
    int code = options != NULL
                   ? CLI_OK
                   : usage_error(cli, "connection string: neither a conninfo (host=... dbname=...) "
                                      "nor a postgresql:// URI that libpq can read; it is not "
                                      "shown, for it may hold a password");
    PQconninfoFree(options);
    return code;
}

int db_enter(struct db *db)
{
    db->pooled = false; /* a question that needs no setting */
    DB_RESULT *answer = NULL;
    int code = db_query(db, sql_session_server_process, 0, NULL, &answer);
    if (code != CLI_OK) {
        return code;
    }
    db->server_pid = db_int(answer, 0, 0);
    db->pooled = db->server_pid != PQbackendPID(db->conn);
    if (db->pooled) {
        return CLI_OK;
    }
    DB_RESULT *entered = enter(db, false);
    pgk_error error;
    if (succeeded(entered)) {
        return CLI_OK;
    }
    result_error(db->conn, entered, &error);
    return fail(db->cli, &error);
}

int db_connect(struct db *db, const struct cli *cli)
{
    *db = (struct db){.cli = cli};
    int code = check_schema_name(cli);
    if (code == CLI_OK) {
        code = check_conninfo(cli);
    }
    if (code != CLI_OK) {
        return code;
    }
    db->conn = open_connection(cli, "primary");
    if (cli->probes && strstr(PQerrorMessage(db->conn), STANDBY_REFUSED) != NULL) {
        PQfinish(db->conn);
        db->conn = open_connection(cli, "any"); /* to say that it is one */
    }
    if (PQstatus(db->conn) != CONNECTION_OK) {
        pgk_error error;
        connection_error(db->conn, &error);
        return fail(cli, &error);
    }
    if (PQserverVersion(db->conn) < OLDEST_SERVER) {
        say(cli, "this server is PostgreSQL %d, pgkeeper needs 14 or newer",
            PQserverVersion(db->conn) / 10000);
        return CLI_FAILED;
    }
    PQsetNoticeReceiver(db->conn, on_notice, (void *)cli);
    return db_enter(db);
}

int db_connect_directly(struct db *db, const struct cli *cli)
{
    int code = db_connect(db, cli);
    if (code == CLI_OK && db->pooled) {
        say(cli,
            "this needs a server session of its own, and the connection goes through a pooler "
            "(server process %d answers, the connection says %d): connect directly",
            db->server_pid, PQbackendPID(db->conn));
        return CLI_FAILED;
    }
    return code;
}

/* The command that would make or mend the schema in use, whatever its name. */
static const char *migrate_command(const struct db *db, char *out, size_t size)
{
    bool usual = strcmp(db_schema(db), "pgkeeper") == 0;
    snprintf(out, size, "pgkeeper %s%s%smigrate up", usual ? "" : "--schema '",
             usual ? "" : db_schema(db), usual ? "" : "' ");
    return out;
}

static int check_schema_version(struct db *db, int oldest)
{
    DB_RESULT *result = NULL;
    int code = db_query(db, sql_session_schema_version, 0, NULL, &result);
    if (code != CLI_OK) {
        return code;
    }
    char command[128];
    int version = db_int(result, 0, 0);
    if (version < oldest) {
        say(db->cli, "schema \"%s\" is at version %d, this command needs %d; run: %s",
            db_schema(db), version, oldest, migrate_command(db, command, sizeof command));
        return CLI_SCHEMA;
    }
    if (db_int(result, 0, 1) > migrations_count) {
        say(db->cli,
            "schema \"%s\" is at version %d and needs clients of at least %d, this command is of "
            "%d; "
            "install a newer pgkeeper",
            db_schema(db), version, db_int(result, 0, 1), migrations_count);
        return CLI_SCHEMA;
    }
    return CLI_OK;
}

int db_find_schema(struct db *db, enum db_schema_state *ret_state)
{
    DB_RESULT *result = NULL;
    const char *schema = db_schema(db);
    int code = db_query(db, sql_session_find_schema, 1, &schema, &result);
    if (code != CLI_OK) {
        return code;
    }
    if (!db_bool(result, 0, 1)) {
        *ret_state = SCHEMA_ABSENT;
    } else if (!db_bool(result, 0, 3)) {
        *ret_state = SCHEMA_EMPTY;
    } else if (!db_bool(result, 0, 2)) {
        say(db->cli, "role \"%s\" may not use schema \"%s\"; see sql/roles.sql", PQuser(db->conn),
            schema);
        return CLI_NO_CONNECTION;
    } else {
        *ret_state = SCHEMA_INSTALLED;
    }
    return CLI_OK;
}

int db_open(struct db *db, const struct cli *cli)
{
    return db_open_for(db, cli, SCHEMA_OLDEST);
}

int db_open_for(struct db *db, const struct cli *cli, int oldest)
{
    enum db_schema_state state = SCHEMA_ABSENT;
    int code = db_connect(db, cli);
    if (code == CLI_OK) {
        code = db_find_schema(db, &state);
    }
    if (code != CLI_OK) {
        return code;
    }
    if (state != SCHEMA_INSTALLED) {
        char command[128];
        say(cli, "database \"%s\" has no pgkeeper schema \"%s\"; run: %s", PQdb(db->conn),
            db_schema(db), migrate_command(db, command, sizeof command));
        return CLI_SCHEMA;
    }
    return check_schema_version(db, oldest);
}

/* A transaction that is open yet ends before this returns, and not when the server notices: the next command may
 * want its locks. */
void db_close(struct db *db)
{
    PGTransactionStatusType state = PQtransactionStatus(db->conn);
    if (state == PQTRANS_INTRANS || state == PQTRANS_INERROR) {
        PQclear(PQexec(db->conn, "ROLLBACK"));
    }
    PQfinish(db->conn);
    db->conn = NULL;
}
