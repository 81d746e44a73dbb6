/*
 * tests/lib/contender_write.c - see contender_write.h. Connects on the first command, and again after the
 * server has ended its session. The lock guards the token only.
 */
#include "contender_write.h"

#include <libpq-fe.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct contender_writer {
    char *conninfo;
    char *name;
    PGconn *conn;
    pthread_mutex_t lock;
    pgk_token token;
    bool has_token;
};

/* Steps of a command, each one simple-protocol message. */
struct recipe {
    const char *command;
    const char *steps[5];
};

#define FENCE "SELECT pgkeeper.fence(%1$d, %2$lld)"
#define INSERT "INSERT INTO public.written (writer, epoch) VALUES ('%3$s', %2$lld)"

static const struct recipe recipes[] = {
    {"write", {"BEGIN", FENCE, INSERT, "COMMIT"}},
    {"write-single",
     {"WITH f AS MATERIALIZED (SELECT pgkeeper.fence(%1$d, %2$lld) AS ok) "
      "INSERT INTO public.written (writer, epoch) SELECT '%3$s', %2$lld FROM f WHERE ok"}},
    {"write-late", {"BEGIN", INSERT, FENCE "; COMMIT"}},
    {"write-rr", {"BEGIN ISOLATION LEVEL REPEATABLE READ", FENCE, INSERT, "COMMIT"}},
    {"write-open", {"BEGIN", FENCE}},
    {"write-fill", {INSERT}},
    {"write-end", {"COMMIT"}},
    {"write-unfenced", {"BEGIN", INSERT}},
    {"write-seal", {FENCE "; COMMIT"}},
};

struct contender_writer *contender_writer_new(const char *conninfo, const char *name)
{
    struct contender_writer *writer = calloc(1, sizeof(*writer));
    if (writer != NULL) {
        pthread_mutex_init(&writer->lock, NULL);
        writer->conninfo = strdup(conninfo != NULL ? conninfo : "");
        writer->name = strdup(name);
    }
    return writer;
}

void contender_writer_free(struct contender_writer *writer)
{
    if (writer != NULL) {
        PQfinish(writer->conn);
        pthread_mutex_destroy(&writer->lock);
        free(writer->conninfo);
        free(writer->name);
        free(writer);
    }
}

void contender_writer_note(struct contender_writer *writer, const pgk_election *election)
{
    pgk_token token;
    if (pgk_election_token(election, &token, NULL) == PGK_OK) {
        pthread_mutex_lock(&writer->lock);
        writer->token = token;
        writer->has_token = true;
        pthread_mutex_unlock(&writer->lock);
    }
}

static bool connect_writer(struct contender_writer *writer)
{
    if (writer->conn != NULL && PQstatus(writer->conn) == CONNECTION_OK) {
        return true;
    }
    PQfinish(writer->conn);
    writer->conn = PQconnectdb(writer->conninfo);
    if (PQstatus(writer->conn) != CONNECTION_OK) {
        return false;
    }
    char statement[128];
    snprintf(statement, sizeof(statement), "SET application_name = 'writer:%s'", writer->name);
    PQclear(PQexec(writer->conn, statement));
    return true;
}

/* The first error of a message that may hold several statements; answer is filled then. */
static bool run_step(struct contender_writer *writer, const char *statement, char *answer,
                     size_t answer_size)
{
    bool fine = PQsendQuery(writer->conn, statement) == 1;
    if (!fine) {
        snprintf(answer, answer_size, "PGK_ERR_CONNECTION - %s", PQerrorMessage(writer->conn));
    }
    PGresult *result;
    while ((result = PQgetResult(writer->conn)) != NULL) {
        ExecStatusType kind = PQresultStatus(result);
        if (fine && kind != PGRES_COMMAND_OK && kind != PGRES_TUPLES_OK) {
            const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
            const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
            pgk_status status =
                sqlstate != NULL ? pgk_status_from_sqlstate(sqlstate, NULL) : PGK_ERR_CONNECTION;
            snprintf(answer, answer_size, "%s %s %s", pgk_status_name(status),
                     sqlstate != NULL ? sqlstate : "-",
                     primary != NULL ? primary : "the session is gone");
            fine = false;
        }
        PQclear(result);
    }
    return fine;
}

static const struct recipe *find_recipe(const char *command)
{
    for (size_t i = 0; i < sizeof(recipes) / sizeof(recipes[0]); i++) {
        if (strcmp(recipes[i].command, command) == 0) {
            return &recipes[i];
        }
    }
    return NULL;
}

/* Commands that go on with a transaction must not find a new session in place of the old one. */
static bool continues_transaction(const char *command)
{
    return strcmp(command, "write-fill") == 0 || strcmp(command, "write-end") == 0 ||
           strcmp(command, "write-seal") == 0;
}

bool contender_writer_obey(struct contender_writer *writer, const char *command, char *answer,
                           size_t answer_size)
{
    const struct recipe *recipe = find_recipe(command);
    if (recipe == NULL) {
        return false;
    }
    pthread_mutex_lock(&writer->lock);
    pgk_token token = writer->token;
    bool has_token = writer->has_token;
    pthread_mutex_unlock(&writer->lock);
    if (!has_token) {
        snprintf(answer, answer_size, "PGK_ERR_ILLEGAL_STATE - never granted");
        return true;
    }
    if (!continues_transaction(command) && !connect_writer(writer)) {
        snprintf(answer, answer_size, "PGK_ERR_CONNECTION - %s", PQerrorMessage(writer->conn));
        answer[strcspn(answer, "\n")] = '\0';
        return true;
    }
    bool fine = true;
    for (size_t i = 0; fine && recipe->steps[i] != NULL; i++) {
        char statement[512];
        snprintf(statement, sizeof(statement), recipe->steps[i], token.leadership_id,
                 (long long)token.epoch, writer->name);
        fine = run_step(writer, statement, answer, answer_size);
    }
    if (fine) {
        snprintf(answer, answer_size, "PGK_OK -");
    } else if (!continues_transaction(command) &&
               PQtransactionStatus(writer->conn) != PQTRANS_IDLE) {
        PQclear(PQexec(writer->conn, "ROLLBACK"));
    }
    answer[strcspn(answer, "\n")] = '\0';
    return true;
}
