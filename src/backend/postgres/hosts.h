/*
 * backend/postgres/hosts.h - a conninfo or URI taken apart into one set of parameters per host, so
 * that each host gets its own deadline and all are tried at once (libpq tries them in turn). No
 * I/O.
 */
#ifndef PGK_POSTGRES_HOSTS_H
#define PGK_POSTGRES_HOSTS_H

#include <stdbool.h>
#include <stddef.h>

#include <pgkeeper/status.h>

struct host_params {
    const char **keywords; /* NULL-terminated, for PQconnectStartParams */
    const char **values;
    char *label; /* for messages: host:port, or "the default host" */
};

struct host_list {
    size_t count; /* at least 1 */
    struct host_params *hosts;
    void *options; /* PQconninfoOption array that owns the values */
    char **pieces; /* NULL-terminated: split values */
};

/* uri: conninfo, URI, or empty for libpq's environment. PGK_ERR_CONFIG when it does not parse. */
pgk_status host_list_new(const char *uri, const char *application_name, int tcp_user_timeout_ms,
                         struct host_list **ret_list, pgk_error *err);
void host_list_free(struct host_list *list);

#endif
