/* pgserver/programs.h - finding PostgreSQL's programs and running them to their end as the right user. */
#ifndef PGSERVER_PROGRAMS_H
#define PGSERVER_PROGRAMS_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <pgkeeper/status.h>

/* Who runs PostgreSQL: itself refuses root. */
struct run_as {
    bool drop; /* false: whoever we are */
    uid_t uid;
    gid_t gid;
};

/* Room for the output of a program; the last part is kept when it is longer. */
struct output {
    size_t length;
    char text[2048];
};

/* Looks at PGKEEPER_PG_BINDIR, `pg_config --bindir`, Debian's directories (newest first) and PATH. */
pgk_status programs_find(char ret_dir[PATH_MAX], pgk_error *err);

pgk_status programs_run_as(struct run_as *ret_run_as, pgk_error *err);

/* Async-signal-safe; for a forked child. False: errno. */
bool run_as_apply(const struct run_as *run_as);

/* The environment for PostgreSQL's programs: ours without PG* and locales, HOME set. Free with
 * programs_env_free. */
char **programs_env(const char *home);
void programs_env_free(char **env);

/* Runs argv (argv[0] is a path) in directory cwd, captures stdout and stderr, waits for its end. It dies with
 * this thread. PGK_ERR_IO with its last words when it does not exit with 0. */
pgk_status program_run(const struct run_as *run_as, char *const argv[], char *const env[],
                       const char *cwd, int64_t deadline_ns, struct output *output, pgk_error *err);

#endif
