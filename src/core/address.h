/*
 * core/address.h - host names and IP addresses: what is one, and whether it can be looked up.
 *
 * address_take_host() is a pure function; address_resolve() asks the system's resolver, and blocks as
 * long as that does. Any thread.
 */
#ifndef PGK_CORE_ADDRESS_H
#define PGK_CORE_ADDRESS_H

#include <stdbool.h>

#include <pgkeeper/factory.h>

#include "core/error.h"

/* Copies a host name, an IPv4 address or an IPv6 address (also in brackets, which are taken off; also
 * with a %zone) into out. False for anything else: *ret_reason is then a static sentence that says
 * what is wrong. */
bool address_take_host(const char *text, char out[PGK_HOST_MAX_BYTES + 1], const char **ret_reason);

/* PGK_ERR_CONFIG: there is no such name; PGK_ERR_IO: it could not be looked up. */
pgk_status address_resolve(const char *host, const char *origin, pgk_error *err);

#endif
