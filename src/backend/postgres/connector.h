/*
 * backend/postgres/connector.h - a thread that makes one link and ends, so that look-ups, TLS and
 * logins never stand in the way of a heartbeat.
 */
#ifndef PGK_POSTGRES_CONNECTOR_H
#define PGK_POSTGRES_CONNECTOR_H

#include "backend/postgres/link.h"
#include "core/thread.h"

struct connector;

/* Starts; wake is set when the link is made or has failed. */
pgk_status connector_start(const struct link_request *request, struct wake *wake,
                           struct connector **ret_connector, pgk_error *err);

/* True when it has ended. */
bool connector_done(struct connector *connector);

/* Joins the thread and frees the connector. The link belongs to the caller when PGK_OK. */
pgk_status connector_finish(struct connector *connector, struct link *ret_link, pgk_error *err);

/* Stops it, joins and frees it; a host name look-up under way has to end by itself. */
void connector_cancel(struct connector *connector);

#endif
