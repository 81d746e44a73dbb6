/* fuzz_conninfo.c - any text as high-availability.postgres.uri, taken apart into hosts. No network. */
#include "fuzz.h"

#include "backend/postgres/hosts.h"
#include "core/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct host_list *list = NULL;
    pgk_error err;
    char *text = fuzz_text(data, size);
    pgk_status status = host_list_new(text, "pgkeeper:fuzz", 1500, &list, &err);
    if (status == PGK_OK) {
        MUST(list->count >= 1);
        for (size_t i = 0; i < list->count; i++) {
            MUST(list->hosts[i].label != NULL && list->hosts[i].keywords[0] != NULL);
        }
        host_list_free(list);
    } else {
        MUST(text_is_valid(err.message, 5, sizeof(err.message) - 1));
    }
    free(text);
    return 0;
}
