/* fuzz_addresses.c - any text as the host of an address, and as the name of a service. */
#include "fuzz.h"

#include <pgkeeper/pgkeeper.h>

#include "core/address.h"
#include "core/text.h"

static void try_service(const char *text)
{
    static const pgk_uuid job = {{1}};
    char component[PGK_SERVICE_COMPONENT_SIZE];
    pgk_error err;
    if (pgk_service_component(text, NULL, component, &err) == PGK_OK ||
        pgk_service_component(text, &job, component, &err) == PGK_OK) {
        MUST(text_is_valid(component, 1, PGK_SERVICE_COMPONENT_SIZE - 1));
    } else {
        MUST(text_is_valid(err.message, 5, sizeof(err.message) - 1));
    }
}

/* What is taken is kept without brackets, and is taken again with those it is written with. */
static void try_config(pgk_config *config, const char *text)
{
    pgk_host_port address;
    pgk_host_port again;
    pgk_error err;
    char written[PGK_HOST_PORT_TEXT_SIZE];
    if (pgk_config_set_job_manager_address(config, text, 6123, &err) != PGK_OK) {
        MUST(err.status == PGK_ERR_CONFIG);
        MUST(text_is_valid(err.message, 10, sizeof(err.message) - 1));
        return;
    }
    MUST(pgk_config_job_manager_address(config, PGK_RESOLVE_NOTHING, &address, &err) == PGK_OK);
    MUST(strpbrk(address.host, "[] /\"\n") == NULL);
    pgk_host_port_format(&address, written);
    char *colon = strrchr(written, ':');
    MUST(colon != NULL && strcmp(colon, ":6123") == 0);
    *colon = '\0';
    MUST(pgk_config_set_job_manager_address(config, written, 1, &err) == PGK_OK);
    MUST(pgk_config_job_manager_address(config, PGK_RESOLVE_NOTHING, &again, &err) == PGK_OK);
    MUST(strcmp(address.host, again.host) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    pgk_config *config = NULL;
    char *text = fuzz_text(data, size);
    MUST(pgk_config_new(&config, NULL) == PGK_OK);
    try_config(config, text);
    try_service(text);
    pgk_config_free(config);
    free(text);
    return 0;
}
