/* tests/consumer/consumer.c - an application out of the tree, built against the installed library as C and as C++. */
#include <stdio.h>
#include <string.h>

#include <pgkeeper/pgkeeper.h>

int main(void)
{
    pgk_uuid id;
    pgk_uuid again;
    char text[PGK_UUID_TEXT_SIZE];
    pgk_error err;

    pgk_uuid_new(&id);
    pgk_uuid_format(&id, text);
    if (pgk_uuid_parse(text, &again, &err) != PGK_OK || pgk_uuid_compare(&id, &again) != 0)
        return 1;
    if (pgk_uuid_parse("no id", &again, &err) != PGK_ERR_INVALID_ARGUMENT || err.message[0] == '\0')
        return 1;
    printf("pgkeeper %s: %s\n", pgk_version(), pgk_status_text(PGK_OK));
    return 0;
}
