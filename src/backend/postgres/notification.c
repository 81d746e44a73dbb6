/* backend/postgres/notification.c - see notification.h. */
#include "backend/postgres/notification.h"

#include <string.h>

#include "core/text.h"

#define GRAPHS "job_graph"
#define RELEASED "released "

struct notification notification_read(const char *payload)
{
    struct notification read = {.graphs = strcmp(payload, GRAPHS) == 0};
    int64_t id = 0;
    if (strncmp(payload, RELEASED, strlen(RELEASED)) == 0) {
        const char *at = payload + strlen(RELEASED);
        if (text_read_number(&at, &id) && *at == '\0' && id <= INT32_MAX) {
            read.released = (int32_t)id;
        }
    }
    return read;
}
