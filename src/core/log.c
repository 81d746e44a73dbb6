/*
 * core/log.c - hands lines to the application's log callback; see the header. Any thread.
 *
 * Never prints, never takes a lock: the callback may run at the same time on several threads.
 */
#include "core/log.h"

#include "core/text.h"

#define LOG_LINE_SIZE 1024

void log_line(const struct logger *logger, pgk_log_level level, const char *context,
              const char *format, ...)
{
    if (logger == NULL || logger->fn == NULL) {
        return;
    }
    char message[LOG_LINE_SIZE];
    va_list args;
    va_start(args, format);
    text_vformat(message, sizeof(message), format, args);
    va_end(args);
    for (char *at = message; *at != '\0'; at++) {
        if (*at == '\n' || *at == '\r') {
            *at = ' '; /* the contract says one line; libpq's messages have several */
        }
    }
    logger->fn(logger->user, level, context, message);
}
