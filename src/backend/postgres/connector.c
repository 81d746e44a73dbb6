/* backend/postgres/connector.c - see connector.h. */
#include "backend/postgres/connector.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "core/error.h"

struct connector {
    struct link_request request;
    struct wake *wake;
    struct wake cancel;
    struct thread thread;
    struct link link;
    pgk_status status;
    pgk_error error;
    atomic_bool done; /* set last by the thread */
};

static void connector_main(void *arg)
{
    struct connector *connector = arg;
    connector->status = link_make(&connector->request, &connector->link, &connector->error);
    atomic_store(&connector->done, true);
    wake_set(connector->wake);
}

pgk_status connector_start(const struct link_request *request, struct wake *wake,
                           struct connector **ret_connector, pgk_error *err)
{
    struct connector *connector = calloc(1, sizeof(*connector));
    if (connector == NULL) {
        return error_set(err, PGK_ERR_NO_MEMORY, "session", "out of memory");
    }
    connector->request = *request;
    connector->wake = wake;
    pgk_status status = wake_init(&connector->cancel, err);
    if (status != PGK_OK) {
        free(connector);
        return status;
    }
    connector->request.cancel_fd = connector->cancel.fd;
    status = thread_start(&connector->thread, "pgk-connect", connector_main, connector, err);
    if (status != PGK_OK) {
        wake_close(&connector->cancel);
        free(connector);
        return status;
    }
    *ret_connector = connector;
    return PGK_OK;
}

bool connector_done(struct connector *connector)
{
    return atomic_load(&connector->done);
}

pgk_status connector_finish(struct connector *connector, struct link *ret_link, pgk_error *err)
{
    thread_join(&connector->thread);
    pgk_status status = connector->status;
    if (status == PGK_OK) {
        *ret_link = connector->link;
    } else if (err != NULL) {
        *err = connector->error;
    }
    wake_close(&connector->cancel);
    free(connector);
    return status;
}

void connector_cancel(struct connector *connector)
{
    struct link link;
    wake_set(&connector->cancel);
    if (connector_finish(connector, &link, NULL) == PGK_OK) {
        PQfinish(link.conn);
    }
}
