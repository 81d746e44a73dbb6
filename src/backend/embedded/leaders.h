/*
 * backend/embedded/leaders.h - published addresses of a space, and those who follow them.
 */
#ifndef PGK_EMBEDDED_LEADERS_H
#define PGK_EMBEDDED_LEADERS_H

#include "backend/embedded/contend.h"

/* Functions of the backend's table. */
pgk_status leaders_confirm(struct backend *backend, const char *group_name, const pgk_token *token,
                           const char *component, const char *address, pgk_error *err);
void leaders_withdraw(struct backend *backend, struct backend_group *contender,
                      const char *component);
pgk_status leaders_watch(struct backend *backend, const char *component, void *ctx,
                         struct backend_watch **ret_watch, pgk_error *err);
void leaders_unwatch(struct backend *backend, struct backend_watch *watch);

/* [space] A tenure of this group has ended: takes its addresses away. */
void leaders_clear(struct space *space, const struct space_group *group);

/* [space] Takes away the address that this contender published for a component, if there is one. */
void leaders_drop(const struct space *space, const struct backend_group *contender,
                  const char *component);

/* Keeper thread, [locked] by the handle. Tells the services what has become of what they follow. */
void leaders_look(struct backend *backend);

#endif
