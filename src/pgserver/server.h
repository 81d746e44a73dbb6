/* pgserver/server.h - the server object, shared by the files that make up pgserver. */
#ifndef PGSERVER_SERVER_H
#define PGSERVER_SERVER_H

#include "pgserver/guard.h"
#include "pgserver/layout.h"
#include "pgserver/pgserver.h"
#include "pgserver/programs.h"

struct pgserver {
    struct layout layout;
    struct run_as run_as;
    struct guard guard;
    char bin_dir[PATH_MAX];
    char postgres_path[PATH_MAX];
    char *postgres_argv[4];
    char **env;
    char **settings;
    char *password;
    bool tcp;
    int port;
    int timeout_ms;
};

#endif
