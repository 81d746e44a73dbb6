/* fuzz_config_file.c - any bytes as a configuration file: read or refused with a line, and usable when read. */
#include "fuzz.h"

#include "core/config.h"
#include "core/settings.h"
#include "core/text.h"

/* Each value is accepted again, means something, and is described. */
static void use(struct config_batch *batch)
{
    pgk_config *config = NULL;
    pgk_error err;
    pgk_config_entry entry = {.size = sizeof(entry)};
    struct settings *settings = NULL;
    MUST(pgk_config_new(&config, &err) == PGK_OK);
    for (size_t key = 0; key < KEY_COUNT; key++) {
        if (batch->texts[key] != NULL) {
            MUST(pgk_config_set(config, config_keys[key].name, batch->texts[key], &err) == PGK_OK);
        }
    }
    config_take_batch(config, SOURCE_FILE, batch);
    for (size_t i = 0; pgk_config_describe(config, i, &entry, &err) == PGK_OK; i++) {
        MUST(entry.value != NULL &&
             !(entry.secret && strcmp(entry.value, "(hidden)") != 0 && entry.value[0] != '\0'));
    }
    const char *warning;
    for (size_t i = 0; (warning = pgk_config_warning(config, i)) != NULL; i++) {
        MUST(text_is_valid(warning, 5, 511) && strpbrk(warning, "\r\n") == NULL);
    }
    if (settings_new(config, &settings, &err) == PGK_OK) {
        MUST(settings->profile.heartbeat_ms * 3 <= settings->profile.lease_ms);
        MUST(settings->retry_wait_ms <= settings->max_retry_wait_ms);
    }
    settings_free(settings);
    pgk_config_free(config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config_batch batch = {0};
    pgk_error err;
    char *text = fuzz_text(data, size);
    error_reset(&err);
    pgk_status status = config_parse_file(text, size, &batch, &err);
    free(text);
    MUST(err.status == status);
    if (status == PGK_OK) {
        use(&batch);
    } else {
        MUST(status == PGK_ERR_CONFIG);
        MUST(strncmp(err.message, "line ", 5) == 0);
        MUST(text_is_valid(err.message, 10, sizeof(err.message) - 1));
        MUST(strpbrk(err.message, "\r\n") == NULL);
    }
    config_free_batch(&batch);
    return 0;
}
