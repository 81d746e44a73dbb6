/* tests/lib/standby_pair.c - see standby_pair.h. */
#include "standby_pair.h"

#include <stdio.h>

#include "wait.h"

static struct pgserver *left_over;

void standby_pair_open(struct standby_pair *pair, struct fixture *fixture)
{
    static const char *const settings[] = {"fsync=off", NULL};
    const struct pgserver_options options = {.tcp = true, .settings = settings};
    pgk_error err;
    pair->fixture = fixture;
    if (pgserver_standby(fixture->server, &options, &pair->standby, &err) != PGK_OK) {
        fail_msg("standby: %s", err.message);
    }
    left_over = pair->standby;
    snprintf(pair->both, sizeof(pair->both),
             "host=127.0.0.1,127.0.0.1 port=%d,%d dbname=%s user=%s",
             pgserver_port(fixture->server), pgserver_port(pair->standby), fixture->database,
             PGSERVER_USER);
}

void standby_pair_free(struct standby_pair *pair)
{
    pgserver_free(pair->standby);
    left_over = NULL;
}

void standby_pair_left_over(void)
{
    pgserver_free(left_over);
    left_over = NULL;
}

void standby_pair_move(struct standby_pair *pair)
{
    struct fixture *fixture = pair->fixture;
    pgserver_conninfo(pair->standby, fixture->database, fixture->conninfo,
                      sizeof(fixture->conninfo));
    PQfinish(fixture->conn);
    fixture->conn = db_connect(fixture->conninfo);
}

void server_sql(struct pgserver *server, const char *statement)
{
    pgk_error err;
    if (pgserver_sql(server, "postgres", statement, &err) != PGK_OK) {
        fail_msg("%s: %s", statement, err.message);
    }
}

void commits_wait_for(struct fixture *fixture, const char *standbys)
{
    char statement[128];
    snprintf(statement, sizeof(statement), "ALTER SYSTEM SET synchronous_standby_names = '%s'",
             standbys);
    server_sql(fixture->server, statement);
    server_sql(fixture->server, "SELECT pg_reload_conf()");
}

void commits_wait_for_standby(struct fixture *fixture)
{
    commits_wait_for(fixture, "*");
    db_wait(fixture, "sync", WAIT_LONG_MS, "SELECT sync_state FROM pg_stat_replication");
}

void commits_wait_for_none(struct fixture *fixture)
{
    server_sql(fixture->server, "ALTER SYSTEM RESET synchronous_standby_names");
    server_sql(fixture->server, "SELECT pg_reload_conf()");
}
