/* fuzz_blob_keys.c - any text as the key of a blob. */
#include "fuzz.h"

#include <pgkeeper/blob.h>

#include "core/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    pgk_blob_key key = {0};
    pgk_error err;
    if (pgk_blob_key_parse(text, &key, &err) == PGK_OK) {
        char written[PGK_BLOB_KEY_TEXT_SIZE];
        pgk_blob_key same = {0};
        pgk_blob_key_format(&key, written);
        MUST(strlen(written) + 1 == sizeof(written) && strlen(text) + 1 == sizeof(written));
        MUST(pgk_blob_key_parse(written, &same, &err) == PGK_OK);
        MUST(pgk_blob_key_compare(&key, &same) == 0);
    } else {
        MUST(err.status == PGK_ERR_INVALID_ARGUMENT);
        MUST(text_is_valid(err.message, 5, sizeof(err.message) - 1));
    }
    free(text);
    return 0;
}
