/* fuzz_duration.c - any text as a duration; what is read is written and read again as the same. */
#include "fuzz.h"

#include "core/duration.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    int64_t ms = -1;
    const char *reason = NULL;
    if (duration_parse(text, &ms, &reason)) {
        char again[DURATION_TEXT_SIZE];
        int64_t same = -1;
        MUST(ms >= 0);
        duration_format(ms, again);
        MUST(duration_parse(again, &same, &reason) && same == ms);
    } else {
        MUST(ms == -1 && reason != NULL && reason[0] != '\0');
    }
    free(text);
    return 0;
}
