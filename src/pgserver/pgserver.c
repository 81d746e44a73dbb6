/*
 * pgserver/pgserver.c - life of a private server: made, started, stopped, started again, removed.
 * Runs in the caller's thread; the postmaster is a child of the guard (guard.h), not of this process.
 */
#include "pgserver/pgserver.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <libpq-fe.h>

#include "core/clock.h"
#include "core/error.h"
#include "pgserver/server.h"

#define ORIGIN "pgserver"
#define DEFAULT_TIMEOUT_MS 60000
#define PING_INTERVAL_MS 10
#define RETRY_INTERVAL_MS 100
#define UNIX_ONLY_PORT 5432
#define REASON_BYTES 360

static int64_t deadline_in(int timeout_ms)
{
    return clock_now_ns() + (timeout_ms > 0 ? timeout_ms : DEFAULT_TIMEOUT_MS) * NS_PER_MS;
}

static bool copy_settings(struct pgserver *server, const char *const *settings)
{
    size_t count = 0;

    while (settings != NULL && settings[count] != NULL)
        count++;
    server->settings = calloc(count + 1, sizeof(*server->settings));
    for (size_t i = 0; server->settings != NULL && i < count; i++) {
        server->settings[i] = strdup(settings[i]);
        if (server->settings[i] == NULL)
            return false;
    }
    return server->settings != NULL;
}

static bool program_path(const struct pgserver *server, const char *name, char out[PATH_MAX])
{
    int n = snprintf(out, PATH_MAX, "%s/%s", server->bin_dir, name);
    return n > 0 && n < PATH_MAX;
}

/* The server object with its directory and guard; nothing of PostgreSQL has run yet. */
static pgk_status prepare(const struct pgserver_options *options, struct pgserver *server,
                          pgk_error *err)
{
    pgk_status status = programs_find(server->bin_dir, err);
    if (status == PGK_OK)
        status = programs_run_as(&server->run_as, err);
    if (status == PGK_OK)
        status = layout_make(&server->run_as, options->directory, &server->layout, err);
    if (status != PGK_OK) {
        server->layout.base[0] = '\0';
        return status;
    }
    server->tcp = options->tcp;
    server->timeout_ms = options->timeout_ms;
    server->port = options->tcp ? 0 : UNIX_ONLY_PORT;
    if (options->password != NULL)
        server->password = strdup(options->password);
    server->env = programs_env(server->layout.base);
    if (!copy_settings(server, options->settings) || server->env == NULL ||
        (options->password != NULL && server->password == NULL) ||
        !program_path(server, "postgres", server->postgres_path))
        return error_set(err, PGK_ERR_NO_MEMORY, ORIGIN, "no memory for a private server");
    server->postgres_argv[0] = server->postgres_path;
    server->postgres_argv[1] = (char *)"-D";
    server->postgres_argv[2] = server->layout.data;
    char pid_file[PATH_MAX + 16];
    snprintf(pid_file, sizeof(pid_file), "%s/postmaster.pid", server->layout.data);
    struct guard_task task = {.run_as = server->run_as,
                              .argv = server->postgres_argv,
                              .env = server->env,
                              .log_path = server->layout.log,
                              .remove_dir = server->layout.base,
                              .pid_file = options->directory == NULL ? pid_file : NULL};
    return guard_start(&task, &server->guard, err);
}

/* A file that only who runs PostgreSQL can read. */
static pgk_status write_password(const struct pgserver *server, const char *path, pgk_error *err)
{
    FILE *file = fopen(path, "we");
    bool good = file != NULL && fchmod(fileno(file), 0600) == 0 &&
                fchown(fileno(file), server->run_as.uid, server->run_as.gid) == 0 &&
                fprintf(file, "%s\n", server->password) > 0;

    if (file != NULL && fclose(file) != 0)
        good = false;
    return good ? PGK_OK
                : error_set(err, PGK_ERR_IO, ORIGIN, "cannot write %s: %s", path, strerror(errno));
}

/* What costs a tenth of initdb. The copies share a system identifier. */
static pgk_status copy_template(struct pgserver *server, const char *template_dir,
                                int64_t deadline_ns, pgk_error *err)
{
    char *argv[] = {(char *)"/bin/cp",    (char *)"-RPp",      (char *)"--",
                    (char *)template_dir, server->layout.data, NULL};
    struct output output;

    return program_run(&server->run_as, argv, server->env, server->layout.base, deadline_ns,
                       &output, err);
}

static pgk_status run_initdb(struct pgserver *server, int64_t deadline_ns, pgk_error *err)
{
    char initdb[PATH_MAX];
    char password_file[PATH_MAX + 16];
    char password_option[sizeof(password_file) + 16];
    struct output output;
    pgk_status status = PGK_OK;

    if (!program_path(server, "initdb", initdb))
        return error_set(err, PGK_ERR_INVALID_ARGUMENT, ORIGIN, "path too long: %s",
                         server->bin_dir);
    snprintf(password_file, sizeof(password_file), "%s/password", server->layout.base);
    snprintf(password_option, sizeof(password_option), "--pwfile=%s", password_file);
    char *argv[] = {initdb,
                    (char *)"-D",
                    server->layout.data,
                    (char *)"-U",
                    (char *)PGSERVER_USER,
                    (char *)"-E",
                    (char *)"UTF8",
                    (char *)"--locale=C",
                    (char *)"--no-sync",
                    (char *)"-A",
                    (char *)(server->password != NULL ? "scram-sha-256" : "trust"),
                    server->password != NULL ? password_option : NULL,
                    NULL};
    if (server->password != NULL)
        status = write_password(server, password_file, err);
    if (status == PGK_OK)
        status = program_run(&server->run_as, argv, server->env, server->layout.base, deadline_ns,
                             &output, err);
    unlink(password_file);
    return status;
}

/* The data directory, unless it is a kept one that was made earlier. */
static pgk_status make_data(struct pgserver *server, int64_t deadline_ns, pgk_error *err)
{
    char version[PATH_MAX + 16];
    const char *template_dir = getenv("PGKEEPER_INITDB_TEMPLATE");

    snprintf(version, sizeof(version), "%s/PG_VERSION", server->layout.data);
    if (access(version, F_OK) == 0)
        return PGK_OK;
    if (template_dir != NULL && server->password == NULL) /* it has trust in pg_hba.conf */
        return copy_template(server, template_dir, deadline_ns, err);
    return run_initdb(server, deadline_ns, err);
}

static pgk_status run_basebackup(struct pgserver *server, const struct pgserver *primary,
                                 int64_t deadline_ns, pgk_error *err)
{
    char program[PATH_MAX];
    char conninfo[PGSERVER_CONNINFO_SIZE];
    struct output output;

    if (!program_path(server, "pg_basebackup", program))
        return error_set(err, PGK_ERR_INVALID_ARGUMENT, ORIGIN, "path too long: %s",
                         server->bin_dir);
    pgserver_conninfo(primary, NULL, conninfo, sizeof(conninfo));
    char *argv[] = {program,
                    (char *)"-d",
                    conninfo,
                    (char *)"-D",
                    server->layout.data,
                    (char *)"-R",
                    (char *)"-X",
                    (char *)"stream",
                    (char *)"-c",
                    (char *)"fast",
                    (char *)"--no-sync",
                    (char *)"-w",
                    NULL};
    return program_run(&server->run_as, argv, server->env, server->layout.base, deadline_ns,
                       &output, err);
}

enum launch { LAUNCH_READY, LAUNCH_ENDED, LAUNCH_LATE };

/* Waits until the server answers, has ended, or the deadline passes. */
static enum launch await_ready(struct pgserver *server, int64_t deadline_ns)
{
    char conninfo[PGSERVER_CONNINFO_SIZE];

    pgserver_conninfo(server, NULL, conninfo, sizeof(conninfo));
    for (;;) {
        if (PQping(conninfo) == PQPING_OK)
            return LAUNCH_READY;
        guard_pump(&server->guard, PING_INTERVAL_MS);
        if (server->guard.postmaster == 0)
            return LAUNCH_ENDED;
        if (clock_now_ns() >= deadline_ns)
            return LAUNCH_LATE;
    }
}

static bool says(const struct output *output, const char *words)
{
    return strstr(output->text, words) != NULL;
}

/* The end of the log, from the start of a line: what fits into an error. */
static const char *reason(const struct output *log)
{
    if (log->length <= REASON_BYTES)
        return log->text;
    const char *from = log->text + log->length - REASON_BYTES;
    const char *line = strchr(from, '\n');
    return line != NULL && line[1] != '\0' ? line + 1 : from;
}

/* One attempt; PGK_ERR_RESOURCE: another one may succeed (port taken, remains of a killed server). */
static pgk_status launch_once(struct pgserver *server, int64_t deadline_ns, pgk_error *err)
{
    struct output log;
    long offset = layout_log_size(&server->layout);
    pgk_status status = guard_spawn(&server->guard, err);

    if (status != PGK_OK)
        return status;
    enum launch result = await_ready(server, deadline_ns);
    if (result == LAUNCH_READY)
        return PGK_OK;
    layout_log_since(&server->layout, offset, &log);
    if (result == LAUNCH_LATE) {
        pgk_error ignored;
        guard_signal(&server->guard, SIGQUIT, &ignored);
        return error_set(err, PGK_ERR_TIMEOUT, ORIGIN,
                         "the private server was not ready in time; its log ends: %s",
                         reason(&log));
    }
    bool passing = says(&log, "could not create any TCP/IP sockets") ||
                   says(&log, "still in use") || says(&log, "already exists");
    return error_set(err, passing ? PGK_ERR_RESOURCE : PGK_ERR_IO, ORIGIN,
                     "the private server did not start: %s",
                     log.length > 0 ? reason(&log) : "it wrote nothing to its log");
}

/* Starts the postmaster. The port is chosen here the first time, and again if somebody else was quicker. */
static pgk_status launch(struct pgserver *server, int64_t deadline_ns, pgk_error *err)
{
    bool choose_port = server->port == 0;

    for (;;) {
        pgk_status status = choose_port ? layout_free_port(&server->port, err) : PGK_OK;
        if (status == PGK_OK)
            status = layout_write_conf(&server->layout, &server->run_as, server->tcp, server->port,
                                       (const char *const *)server->settings, err);
        if (status == PGK_OK)
            status = launch_once(server, deadline_ns, err);
        if (status != PGK_ERR_RESOURCE || clock_now_ns() >= deadline_ns)
            return status;
        guard_pump(&server->guard, RETRY_INTERVAL_MS);
    }
}

static pgk_status create(const struct pgserver *primary, const struct pgserver_options *options,
                         struct pgserver **ret_server, pgk_error *err)
{
    static const struct pgserver_options defaults;
    struct pgserver *server = calloc(1, sizeof(*server));

    error_reset(err);
    if (server == NULL)
        return error_set(err, PGK_ERR_NO_MEMORY, ORIGIN, "no memory for a private server");
    if (options == NULL)
        options = &defaults;
    int64_t deadline_ns = deadline_in(options->timeout_ms);
    pgk_status status = prepare(options, server, err);
    if (status == PGK_OK)
        status = primary == NULL ? make_data(server, deadline_ns, err)
                                 : run_basebackup(server, primary, deadline_ns, err);
    if (status == PGK_OK)
        status = launch(server, deadline_ns, err);
    if (status != PGK_OK) {
        pgserver_free(server);
        return status;
    }
    *ret_server = server;
    return PGK_OK;
}

pgk_status pgserver_start(const struct pgserver_options *options, struct pgserver **ret_server,
                          pgk_error *err)
{
    return create(NULL, options, ret_server, err);
}

pgk_status pgserver_standby(struct pgserver *primary, const struct pgserver_options *options,
                            struct pgserver **ret_server, pgk_error *err)
{
    struct pgserver_options own = {0};

    if (options != NULL)
        own = *options;
    own.password = primary->password;
    return create(primary, &own, ret_server, err);
}

static pgk_status await_end(struct pgserver *server, int64_t deadline_ns, pgk_error *err)
{
    guard_pump(&server->guard, 0);
    while (server->guard.postmaster != 0) {
        int left_ms = clock_poll_timeout_ms(clock_now_ns(), deadline_ns);
        if (left_ms == 0)
            return error_set(err, PGK_ERR_TIMEOUT, ORIGIN,
                             "the private server (process %ld) has not ended in time; stop it with "
                             "a harder mode",
                             (long)server->guard.postmaster);
        guard_pump(&server->guard, left_ms);
    }
    return PGK_OK;
}

static pgk_status end_by(struct pgserver *server, int signal_number, int timeout_ms, pgk_error *err)
{
    int64_t deadline_ns = deadline_in(timeout_ms);

    error_reset(err);
    if (pgserver_pid(server) == 0)
        return PGK_OK;
    pgk_status status = guard_signal(&server->guard, signal_number, err);
    return status == PGK_OK ? await_end(server, deadline_ns, err) : status;
}

pgk_status pgserver_stop(struct pgserver *server, enum pgserver_stop_mode mode, int timeout_ms,
                         pgk_error *err)
{
    int signal_number = mode == PGSERVER_SMART ? SIGTERM : SIGINT;

    return end_by(server, mode == PGSERVER_IMMEDIATE ? SIGQUIT : signal_number, timeout_ms, err);
}

pgk_status pgserver_kill(struct pgserver *server, pgk_error *err)
{
    return end_by(server, SIGKILL, 0, err);
}

pgk_status pgserver_start_again(struct pgserver *server, pgk_error *err)
{
    error_reset(err);
    if (pgserver_pid(server) != 0)
        return error_set(err, PGK_ERR_ILLEGAL_STATE, ORIGIN,
                         "the private server still runs (process %ld)",
                         (long)server->guard.postmaster);
    return launch(server, deadline_in(server->timeout_ms), err);
}

pgk_status pgserver_restart(struct pgserver *server, enum pgserver_stop_mode mode, pgk_error *err)
{
    pgk_status status = pgserver_stop(server, mode, 0, err);

    return status == PGK_OK ? pgserver_start_again(server, err) : status;
}

pgk_status pgserver_sql(struct pgserver *server, const char *dbname, const char *sql,
                        pgk_error *err)
{
    char conninfo[PGSERVER_CONNINFO_SIZE];
    pgk_status status = PGK_OK;

    error_reset(err);
    pgserver_conninfo(server, dbname, conninfo, sizeof(conninfo));
    PGconn *conn = PQconnectdb(conninfo);
    if (PQstatus(conn) != CONNECTION_OK) {
        status = error_set(err, PGK_ERR_CONNECTION, ORIGIN, "%s", PQerrorMessage(conn));
    } else {
        PGresult *result = PQexec(conn, sql);
        ExecStatusType outcome = PQresultStatus(result);
        if (outcome != PGRES_COMMAND_OK && outcome != PGRES_TUPLES_OK)
            status = error_set(err, PGK_ERR_DATABASE, ORIGIN, "%s", PQerrorMessage(conn));
        PQclear(result);
    }
    PQfinish(conn);
    return status;
}

pgk_status pgserver_promote(struct pgserver *server, pgk_error *err)
{
    return pgserver_sql(server, NULL,
                        "DO $$ BEGIN IF NOT pg_catalog.pg_promote(true, 60) THEN "
                        "RAISE 'the standby was not promoted within 60 s'; END IF; END $$",
                        err);
}

pgk_status pgserver_reload(struct pgserver *server, pgk_error *err)
{
    error_reset(err);
    if (pgserver_pid(server) == 0)
        return error_set(err, PGK_ERR_ILLEGAL_STATE, ORIGIN, "the private server does not run");
    return guard_signal(&server->guard, SIGHUP, err);
}

pid_t pgserver_pid(struct pgserver *server)
{
    guard_pump(&server->guard, 0);
    return server->guard.postmaster;
}

/* Normally the guard has done so; this is for a guard that never started or was killed. */
static void remove_base(const struct pgserver *server)
{
    char *const argv[] = {(char *)"/bin/rm", (char *)"-rf", (char *)"--",
                          (char *)server->layout.base, NULL};
    const struct run_as self = {0};
    struct output output;
    pgk_error ignored;

    if (server->layout.base[0] != '\0' && access(server->layout.base, F_OK) == 0)
        program_run(&self, argv, server->env != NULL ? server->env : argv + 4, "/", deadline_in(0),
                    &output, &ignored);
}

void pgserver_free(struct pgserver *server)
{
    if (server == NULL)
        return;
    bool owner = server->guard.pid == 0 || server->guard.owner == getpid();
    guard_close(&server->guard);
    if (owner)
        remove_base(server);
    for (size_t i = 0; server->settings != NULL && server->settings[i] != NULL; i++)
        free(server->settings[i]);
    free(server->settings);
    programs_env_free(server->env);
    free(server->password);
    free(server);
}
