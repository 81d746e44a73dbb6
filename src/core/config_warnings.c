/*
 * core/config_warnings.c - what a configuration says that has no effect, or not the effect one may think.
 *
 * Shows keys and places, never values. One thread at a time.
 */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "core/config.h"
#include "core/text.h"

#define MOST_WARNINGS ((size_t)100)
#define WARNING_SIZE 512

pgk_status config_warn(struct config_warnings *warnings, pgk_error *err, const char *format, ...)
{
    char text[WARNING_SIZE];
    va_list args;
    va_start(args, format);
    text_vformat(text, sizeof(text), format, args);
    va_end(args);
    if (warnings->count == MOST_WARNINGS) {
        return PGK_OK;
    }
    for (size_t i = 0; i < warnings->count; i++) {
        if (strcmp(warnings->texts[i], text) == 0) {
            return PGK_OK;
        }
    }
    if (warnings->texts == NULL) {
        warnings->texts = calloc(MOST_WARNINGS, sizeof(*warnings->texts));
    }
    char *copy = warnings->texts != NULL ? strdup(text) : NULL;
    if (copy == NULL) {
        return error_set(err, PGK_ERR_NO_MEMORY, "config.warning", "no memory for a warning");
    }
    warnings->texts[warnings->count++] = copy;
    return PGK_OK;
}

void config_free_warnings(struct config_warnings *warnings)
{
    for (size_t i = 0; i < warnings->count; i++) {
        free(warnings->texts[i]);
    }
    free(warnings->texts);
    *warnings = (struct config_warnings){0};
}

void config_log_warnings(const struct pgk_config *config)
{
    for (size_t i = 0; i < config->warnings.count; i++) {
        log_line(&config->logger, PGK_LOG_WARNING, "config", "%s", config->warnings.texts[i]);
    }
}

const char *pgk_config_warning(const pgk_config *config, size_t index)
{
    return config != NULL && index < config->warnings.count ? config->warnings.texts[index] : NULL;
}
