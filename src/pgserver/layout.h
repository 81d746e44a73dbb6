/* pgserver/layout.h - the files of one private server: directories, postgresql.conf, a free port, log tail. */
#ifndef PGSERVER_LAYOUT_H
#define PGSERVER_LAYOUT_H

#include <limits.h>

#include "pgserver/programs.h"

struct layout {
    char base
        [PATH_MAX]; /* throw-away: unix socket, HOME, and all below unless a directory was named */
    char data[PATH_MAX];
    char log[PATH_MAX];
};

/* Makes the directories, owned by who runs PostgreSQL. `directory` NULL: data and log beneath base. */
pgk_status layout_make(const struct run_as *run_as, const char *directory,
                       struct layout *ret_layout, pgk_error *err);

/* Writes postgresql.conf as a whole: defaults, then settings ("name=value", ends with NULL; or NULL). */
pgk_status layout_write_conf(const struct layout *layout, const struct run_as *run_as, bool tcp,
                             int port, const char *const *settings, pgk_error *err);

/* A port of 127.0.0.1 that was free a moment ago, outside the range that the kernel gives to clients. */
pgk_status layout_free_port(int *ret_port, pgk_error *err);

/* Size of the log now, and what was written to it since. */
long layout_log_size(const struct layout *layout);
void layout_log_since(const struct layout *layout, long offset, struct output *ret_tail);

#endif
