/*
 * services/factory.c - elections and retrievers by the name of a service. Any thread.
 */
#include <pgkeeper/factory.h>

#include <string.h>

#include "core/error.h"
#include "core/text.h"

#define NAME_SIZE 32

/* Letters and digits only, in lower case. */
static const struct {
    const char *name;
    const char *component; /* NULL: of a job */
} services[] = {
    {"resourcemanager", PGK_COMPONENT_RESOURCE_MANAGER},
    {"dispatcher", PGK_COMPONENT_DISPATCHER},
    {"restendpoint", PGK_COMPONENT_REST_ENDPOINT},
    {"clusterrestendpoint", PGK_COMPONENT_REST_ENDPOINT},
    {"webmonitor", PGK_COMPONENT_REST_ENDPOINT},
    {"jobmaster", NULL},
    {"jobmanager", NULL},
};

/* What counts of a name; empty when that is more than any service has. */
static void essence(const char *name, char out[NAME_SIZE])
{
    size_t used = 0;
    for (; *name != '\0' && used < NAME_SIZE - 1; name++) {
        char c = *name >= 'A' && *name <= 'Z' ? (char)(*name - 'A' + 'a') : *name;
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
            out[used++] = c;
        }
    }
    out[*name == '\0' ? used : 0] = '\0';
}

pgk_status pgk_service_component(const char *service, const pgk_uuid *job_id,
                                 char out[PGK_SERVICE_COMPONENT_SIZE], pgk_error *err)
{
    static const char origin[] = "service.component";
    char name[NAME_SIZE];
    error_reset(err);
    if (service == NULL || out == NULL) {
        return error_set(err, PGK_ERR_INVALID_ARGUMENT, origin, "%s is NULL",
                         service == NULL ? "service" : "out");
    }
    essence(service, name);
    for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++) {
        if (strcmp(services[i].name, name) != 0) {
            continue;
        }
        bool of_job = services[i].component == NULL;
        if (of_job != (job_id != NULL)) {
            return error_set(err, PGK_ERR_INVALID_ARGUMENT, origin,
                             of_job ? "a job master needs the id of its job"
                                    : "only a job master has the id of a job");
        }
        if (of_job) {
            pgk_component_of_job(job_id, out);
        } else {
            text_copy(out, PGK_SERVICE_COMPONENT_SIZE, services[i].component);
        }
        return PGK_OK;
    }
    char shown[80];
    text_excerpt(shown, sizeof(shown), service);
    return error_set(err, PGK_ERR_INVALID_ARGUMENT, origin,
                     "no service \"%s\": must be one of resource manager, dispatcher, rest "
                     "endpoint, web monitor, job master; pgk_ha_election() takes any component",
                     shown);
}

pgk_status pgk_ha_service_election(pgk_ha *ha, const char *service, const pgk_uuid *job_id,
                                   pgk_election **ret_election, pgk_error *err)
{
    char component[PGK_SERVICE_COMPONENT_SIZE];
    pgk_status status = pgk_service_component(service, job_id, component, err);
    return status == PGK_OK ? pgk_ha_election(ha, component, ret_election, err) : status;
}

pgk_status pgk_ha_service_retriever(pgk_ha *ha, const char *service, const pgk_uuid *job_id,
                                    pgk_retriever **ret_retriever, pgk_error *err)
{
    char component[PGK_SERVICE_COMPONENT_SIZE];
    pgk_status status = pgk_service_component(service, job_id, component, err);
    return status == PGK_OK ? pgk_ha_retriever(ha, component, ret_retriever, err) : status;
}
