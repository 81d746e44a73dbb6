/*
 * pgserver/pgserver.h - private throw-away PostgreSQL servers, for the command, the demo, the tests and the
 * benchmarks; never used by the library.
 *
 * Each server has a directory of its own (0700, short path) with its data, log and unix socket. A guard
 * process stands between this process and the server: when this process ends, however it ends, the
 * guard stops the server and removes the directory. Started by root, the server runs as the user
 * "postgres" or, where there is none, "nobody". Functions block until the thing is true, or until a
 * deadline; a server belongs to one thread at a time, different servers to any.
 *
 * For those who start hundreds: the environment variable PGKEEPER_INITDB_TEMPLATE names the data
 * directory of a stopped server, to be copied where initdb would run (not with a password).
 */
#ifndef PGSERVER_PGSERVER_H
#define PGSERVER_PGSERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include <pgkeeper/status.h>

#define PGSERVER_CONNINFO_SIZE 1024
/* The superuser of every private server. */
#define PGSERVER_USER "postgres"

struct pgserver;

enum pgserver_stop_mode { PGSERVER_SMART, PGSERVER_FAST, PGSERVER_IMMEDIATE };

/* All zero is a good default. */
struct pgserver_options {
    bool tcp;                    /* also listen on 127.0.0.1, at a free port */
    const char *const *settings; /* "name=value" for postgresql.conf, ends with NULL; or NULL */
    const char *password;        /* NULL: trust; else SCRAM with this superuser password */
    const char
        *directory; /* NULL: throw-away; else data and log live here and stay; made if missing */
    int timeout_ms; /* for starting; 0: 60 s */
};

/* Makes a server and starts it; options may be NULL. Settings not named: fsync on, shared_buffers 32MB,
 * max_connections 200. PGK_ERR_NOT_FOUND: PostgreSQL's programs are not installed. PGK_ERR_IO: a program
 * failed (its output is quoted). PGK_ERR_TIMEOUT. */
pgk_status pgserver_start(const struct pgserver_options *options, struct pgserver **ret_server,
                          pgk_error *err);
/* As pgserver_start: a streaming standby of primary, made by pg_basebackup. A password is that of the
 * primary. Give it a name for synchronous replication by the setting "cluster_name=...". */
pgk_status pgserver_standby(struct pgserver *primary, const struct pgserver_options *options,
                            struct pgserver **ret_server, pgk_error *err);

/* Stops the postmaster and waits until it is gone; PGK_OK also if it was not running. PGK_ERR_TIMEOUT: it still
 * runs (smart waits for sessions to end). timeout_ms 0: 60 s. */
pgk_status pgserver_stop(struct pgserver *server, enum pgserver_stop_mode mode, int timeout_ms,
                         pgk_error *err);
/* SIGKILL to the postmaster, as a power cut of it alone; its children notice by themselves. */
pgk_status pgserver_kill(struct pgserver *server, pgk_error *err);
/* Starts a stopped or killed server again: same directory, same port. Waits for remains of a killed one to go. */
pgk_status pgserver_start_again(struct pgserver *server, pgk_error *err);
/* Stop and start again. */
pgk_status pgserver_restart(struct pgserver *server, enum pgserver_stop_mode mode, pgk_error *err);

/* Makes a standby a primary; returns when it takes writes. */
pgk_status pgserver_promote(struct pgserver *server, pgk_error *err);
/* Makes the server read its configuration files again. */
pgk_status pgserver_reload(struct pgserver *server, pgk_error *err);
/* Runs SQL (several statements allowed) as superuser, for set-up; no results. */
pgk_status pgserver_sql(struct pgserver *server, const char *dbname, const char *sql,
                        pgk_error *err);

/* Writes a conninfo over the unix socket; dbname NULL: postgres. Cut if it does not fit. */
void pgserver_conninfo(const struct pgserver *server, const char *dbname, char *out, size_t size);
/* The same over TCP; the server must have been started with tcp. */
void pgserver_conninfo_tcp(const struct pgserver *server, const char *dbname, char *out,
                           size_t size);
/* Strings live as long as the server object. */
const char *pgserver_socket_dir(const struct pgserver *server);
const char *pgserver_data_dir(const struct pgserver *server);
const char *pgserver_log_path(const struct pgserver *server);
/* Directory of psql, pg_basebackup and the others. */
const char *pgserver_bin_dir(const struct pgserver *server);
int pgserver_port(const struct pgserver *server);
/* The postmaster; 0 when it is not running. */
pid_t pgserver_pid(struct pgserver *server);

/* Stops the server at once and removes everything that is throw-away; NULL is fine. */
void pgserver_free(struct pgserver *server);

#endif
