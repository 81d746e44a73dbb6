/* fuzz_ids.c - any text as an id: a UUID, or the hex digits of a job. */
#include "fuzz.h"

#include <pgkeeper/pgkeeper.h>

#include "core/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    pgk_uuid id = {{0x5A}};
    pgk_uuid same;
    pgk_error err;
    if (pgk_uuid_parse(text, &id, &err) == PGK_OK) {
        char dashed[PGK_UUID_TEXT_SIZE];
        char hex[PGK_UUID_HEX_SIZE];
        char component[PGK_JOB_COMPONENT_SIZE];
        pgk_uuid_format(&id, dashed);
        pgk_uuid_format_hex(&id, hex);
        MUST(pgk_uuid_parse(dashed, &same, &err) == PGK_OK && pgk_uuid_compare(&id, &same) == 0);
        MUST(pgk_uuid_parse(hex, &same, &err) == PGK_OK && pgk_uuid_compare(&id, &same) == 0);
        pgk_component_of_job(&id, component);
        MUST(strcmp(component + 4, hex) == 0);
    } else {
        MUST(id.bytes[0] == 0x5A && err.status == PGK_ERR_INVALID_ARGUMENT);
        MUST(text_is_valid(err.message, 5, sizeof(err.message) - 1));
    }
    free(text);
    return 0;
}
