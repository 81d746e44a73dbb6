/*
 * tests/lib/fixture.h - what a database test stands on: the binary owns a private server, each test a database of its
 * own, cloned from one that `pgkeeper migrate up` has made. Use the four functions as cmocka's group and
 * test set-up; the state of each test is the struct fixture. The test's main thread only.
 */
#ifndef PGK_TESTS_FIXTURE_H
#define PGK_TESTS_FIXTURE_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "belief.h"
#include "pgserver/pgserver.h"
#include "process.h"
#include "proxy.h"
#include "wait.h"

#define FIXTURE_CLUSTER "orchard"

struct fixture {
    struct pgserver *server;
    int databases;
    char database[32];
    char conninfo[PGSERVER_CONNINFO_SIZE];     /* unix socket */
    char conninfo_tcp[PGSERVER_CONNINFO_SIZE]; /* loopback */
    PGconn *conn;                              /* the test's own, as superuser */
    struct proxy *proxy;                       /* of fixture_proxy(); or NULL */
    char belief_path[PGSERVER_CONNINFO_SIZE];
    struct belief_book *book;
    char text[8192]; /* last answer of db_text */
};

/* Starts the server with TCP, and makes the template; settings as pgserver_options, or NULL. */
void fixture_start(struct fixture *fixture, const char *const settings[]);
void fixture_stop(struct fixture *fixture);

/* cmocka: group set-up and tear-down with default settings; test set-up and tear-down. */
int fixture_group_setup(void **state);
int fixture_group_teardown(void **state);
int fixture_setup(void **state);
int fixture_teardown(void **state);

/* An entry of cmocka's table: a test with a database of its own. */
#define DB_TEST(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

/* Makes an empty database and runs `pgkeeper migrate up` in it. */
void fixture_migrate(struct pgserver *server, const char *database);

/* Runs sql/roles.sql in the test's database. */
void fixture_run_roles(struct fixture *fixture);

/* Runs `pgkeeper migrate up` for another schema of the test's database. */
void fixture_migrate_schema(struct fixture *fixture, const char *schema);

/* A proxy in front of the server's TCP port, stopped at tear-down; its conninfo goes to out. */
struct proxy *fixture_proxy(struct fixture *fixture, char *out, size_t size);

/* The user that owns the server's files: to run other servers beside it. */
void fixture_server_user(const struct fixture *fixture, uid_t *ret_uid, gid_t *ret_gid);

/* SQL on the test's own connection; all fail the test on an error, except db_try. A connection that the server has
 * ended is made again. Formats as printf: for names and numbers of the test's own, never for input. */
void db_exec(struct fixture *fixture, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* SQLSTATE of a statement: "00000" when it worked. Lives until the next call. */
const char *db_try(struct fixture *fixture, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* First column of the first row; "" for NULL or no row. Lives until the next call. */
const char *db_text(struct fixture *fixture, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
int64_t db_int(struct fixture *fixture, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Asks again and again until the answer is `expected`, riding out lost connections. */
void db_wait(struct fixture *fixture, const char *expected, int timeout_ms, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Opens another connection of the test's own; fails the test if it cannot. */
PGconn *db_connect(const char *conninfo);

/* Server process of the lock session of a member, by its name; waits until there is one. */
int64_t db_lock_pid(struct fixture *fixture, const char *member_name);
/* How many sessions of pgkeeper there are in a role (lock, sentinel, listener, work; "%" for all). */
int64_t db_sessions(struct fixture *fixture, const char *role);

#endif
