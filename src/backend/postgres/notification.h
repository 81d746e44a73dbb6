/*
 * backend/postgres/notification.h - what the payload of a notification says. Pure; any thread.
 *
 * Anybody who may connect to the database may notify our channel: a payload is a hint, never a fact.
 */
#ifndef PGK_POSTGRES_NOTIFICATION_H
#define PGK_POSTGRES_NOTIFICATION_H

#include <stdbool.h>
#include <stdint.h>

struct notification {
    bool graphs;      /* of job graphs; otherwise of leadership */
    int32_t released; /* this leadership was given up; 0: none is named */
};

struct notification notification_read(const char *payload);

#endif
