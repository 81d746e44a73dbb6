/* core/version.c - the version that CMakeLists.txt names. Any thread. */
#include <pgkeeper/ha.h>

const char *pgk_version(void)
{
    return PGK_VERSION;
}
