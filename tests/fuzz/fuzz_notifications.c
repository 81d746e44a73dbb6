/* fuzz_notifications.c - any payload of a notification, which anybody in the database may send. */
#include "fuzz.h"

#include "backend/postgres/notification.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_text(data, size);
    struct notification read = notification_read(text);
    MUST(read.released >= 0 && !(read.graphs && read.released != 0));
    if (read.released != 0) {
        MUST(strncmp(text, "released ", 9) == 0 && strtoll(text + 9, NULL, 10) == read.released);
    }
    free(text);
    return 0;
}
