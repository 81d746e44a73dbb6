/* core/log.h - lines for the application's log callback; silent without one. Any thread. */
#ifndef PGK_CORE_LOG_H
#define PGK_CORE_LOG_H

#include <pgkeeper/config.h>

#include "core/error.h"

struct logger {
    pgk_log_fn fn;
    void *user;
};

void log_line(const struct logger *logger, pgk_log_level level, const char *context,
              const char *format, ...) PGK_PRINTF(4, 5);

#endif
