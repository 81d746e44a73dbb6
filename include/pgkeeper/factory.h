/*
 * pgkeeper/factory.h - handles, elections and retrievers made as a configuration says, and the addresses
 * that it has: the helpers around pgk_ha_open that a program which came from Flink looks for.
 */
#ifndef PGKEEPER_FACTORY_H
#define PGKEEPER_FACTORY_H

#include <pgkeeper/config.h>
#include <pgkeeper/election.h>
#include <pgkeeper/ha.h>
#include <pgkeeper/retrieval.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Whether a host name of the configuration is looked up, so that a wrong one is known at once. */
typedef enum pgk_resolution {
    PGK_RESOLVE_NOTHING = 0, /* a name is taken as it is; no network */
    PGK_RESOLVE_NAMES = 1    /* a name that cannot be looked up is an error */
} pgk_resolution;

#define PGK_HOST_MAX_BYTES 253
/* "[", a host, "]:65535" and a terminator. */
#define PGK_HOST_PORT_TEXT_SIZE 264

/* Where something listens. */
typedef struct pgk_host_port {
    char host[PGK_HOST_MAX_BYTES + 1]; /* name or IP address, terminated; IPv6 without brackets */
    int port;                          /* 1..65535 */
} pgk_host_port;

/*
 * Opens a handle by high-availability.type; when nothing is to be elected (`none`), one of `embedded`
 * mode instead, so that a program runs in one process as it does on a cluster. Otherwise as
 * pgk_ha_open, also blocking time and errors. Since 0.1.
 */
PGK_API pgk_status pgk_ha_open_or_embedded(const pgk_config *config, pgk_ha **ret_ha,
                                           pgk_error *err);

/*
 * Opens a handle as pgk_ha_open. When the leaders are fixed (`none`, `standalone`) the address of the
 * job manager must be there and be good: as pgk_config_job_manager_address(), and with the same
 * errors. In the other modes it is not looked at. With PGK_RESOLVE_NAMES it blocks as long as the
 * system's resolver does. PGK_ERR_INVALID_ARGUMENT: config or ret_ha is NULL. Since 0.1.
 */
PGK_API pgk_status pgk_ha_open_resolving(const pgk_config *config, pgk_resolution resolution,
                                         pgk_ha **ret_ha, pgk_error *err);

/*
 * Opens a handle that only follows leaders, as pgk_ha_open_client. When the leaders are fixed, the
 * address of the REST endpoint must be there and be good: as pgk_config_rest_address(). Since 0.1.
 */
PGK_API pgk_status pgk_ha_open_client_resolving(const pgk_config *config, pgk_resolution resolution,
                                                pgk_ha **ret_ha, pgk_error *err);

/* Room for the component of any service. */
#define PGK_SERVICE_COMPONENT_SIZE PGK_JOB_COMPONENT_SIZE

/*
 * Writes the component name of a service into out: of "resource manager", "dispatcher", "rest
 * endpoint" (also "cluster rest endpoint", and by its old name "web monitor"), or "job master" (also
 * "job manager") with the id of its job. Case does not count, nor what is neither letter nor digit:
 * "ResourceManager" and "resource_manager" are the same. job_id must be NULL but for a job master.
 * PGK_ERR_INVALID_ARGUMENT, naming the choices: no such service, out is NULL, a job id is missing or
 * too much. No I/O, any thread. Since 0.1.
 */
PGK_API pgk_status pgk_service_component(const char *service, const pgk_uuid *job_id,
                                         char out[PGK_SERVICE_COMPONENT_SIZE], pgk_error *err);

/*
 * pgk_ha_election() for the component of a service, see pgk_service_component(). Errors of both.
 * Free it with pgk_election_free. Since 0.1.
 */
PGK_API pgk_status pgk_ha_service_election(pgk_ha *ha, const char *service, const pgk_uuid *job_id,
                                           pgk_election **ret_election, pgk_error *err);

/*
 * pgk_ha_retriever() for the component of a service, see pgk_service_component(). Errors of both.
 * Free it with pgk_retriever_free. Since 0.1.
 */
PGK_API pgk_status pgk_ha_service_retriever(pgk_ha *ha, const char *service, const pgk_uuid *job_id,
                                            pgk_retriever **ret_retriever, pgk_error *err);

/*
 * The address of the job manager: jobmanager.rpc.address and jobmanager.rpc.port. PGK_ERR_CONFIG,
 * naming key, value and what is allowed: the host is missing or is no host name and no IP address
 * (IPv6 also in brackets), or the port is not 1 to 65535. With PGK_RESOLVE_NAMES also when there is
 * no such name; PGK_ERR_IO when it could not be looked up now; it blocks as long as the system's
 * resolver does. What it resolves to is not kept: names are looked up again when they are used.
 * Since 0.1.
 */
PGK_API pgk_status pgk_config_job_manager_address(const pgk_config *config,
                                                  pgk_resolution resolution,
                                                  pgk_host_port *ret_address, pgk_error *err);

/*
 * Sets jobmanager.rpc.address and jobmanager.rpc.port, both or on an error none, as pgk_config_set
 * does. PGK_ERR_CONFIG: as above, and no other port than 1 to 65535. Since 0.1.
 */
PGK_API pgk_status pgk_config_set_job_manager_address(pgk_config *config, const char *host,
                                                      int port, pgk_error *err);

/*
 * The address of the REST endpoint: rest.address (by default jobmanager.rpc.address) and rest.port.
 * Errors as pgk_config_job_manager_address. Since 0.1.
 */
PGK_API pgk_status pgk_config_rest_address(const pgk_config *config, pgk_resolution resolution,
                                           pgk_host_port *ret_address, pgk_error *err);

/* Writes "host:port", an IPv6 address in brackets: "[::1]:6123". Since 0.1. */
PGK_API void pgk_host_port_format(const pgk_host_port *address, char out[PGK_HOST_PORT_TEXT_SIZE]);

#ifdef __cplusplus
}
#endif

#endif
