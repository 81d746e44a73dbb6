/*
 * pgserver/address.c - where a private server is: conninfo strings, directories, port. Pure; any thread.
 */
#include <stdio.h>
#include <string.h>

#include "pgserver/server.h"

/* Appends " key='value'" with libpq's quoting, cut at the end of the buffer. */
static void append_quoted(char *out, size_t size, const char *key, const char *value)
{
    size_t used = strlen(out);

    if (size - used < strlen(key) + 2 * strlen(value) + 5)
        return;
    used += (size_t)snprintf(out + used, size - used, " %s='", key);
    for (const char *c = value; *c != '\0'; c++) {
        if (*c == '\'' || *c == '\\')
            out[used++] = '\\';
        out[used++] = *c;
    }
    out[used++] = '\'';
    out[used] = '\0';
}

static void format_conninfo(const struct pgserver *server, const char *host, const char *dbname,
                            char *out, size_t size)
{
    snprintf(out, size, "port=%d user=%s", server->port, PGSERVER_USER);
    append_quoted(out, size, "host", host);
    append_quoted(out, size, "dbname", dbname != NULL ? dbname : "postgres");
    if (server->password != NULL)
        append_quoted(out, size, "password", server->password);
}

void pgserver_conninfo(const struct pgserver *server, const char *dbname, char *out, size_t size)
{
    format_conninfo(server, server->layout.base, dbname, out, size);
}

void pgserver_conninfo_tcp(const struct pgserver *server, const char *dbname, char *out,
                           size_t size)
{
    format_conninfo(server, "127.0.0.1", dbname, out, size);
}

const char *pgserver_socket_dir(const struct pgserver *server)
{
    return server->layout.base;
}

const char *pgserver_data_dir(const struct pgserver *server)
{
    return server->layout.data;
}

const char *pgserver_log_path(const struct pgserver *server)
{
    return server->layout.log;
}

const char *pgserver_bin_dir(const struct pgserver *server)
{
    return server->bin_dir;
}

int pgserver_port(const struct pgserver *server)
{
    return server->port;
}
