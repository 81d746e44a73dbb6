/*
 * core/config.c - the configuration object: what was set where, and which of it counts.
 *
 * Owns the texts. Never reads the database and never prints. One thread at a time.
 */
#include "core/config.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/duration.h"
#include "core/text.h"

#define ORIGIN "config"

void config_default_member_name(char out[MEMBER_NAME_SIZE])
{
    char host[MEMBER_NAME_SIZE - 24];
    char raw[256];
    if (gethostname(raw, sizeof(raw)) != 0 || raw[0] == '\0') {
        text_copy(raw, sizeof(raw), "localhost");
    }
    raw[sizeof(raw) - 1] = '\0';
    text_excerpt(host, sizeof(host), raw);
    text_format(out, MEMBER_NAME_SIZE, "%s:%ld", host, (long)getpid());
}

pgk_status pgk_config_new(pgk_config **ret_config, pgk_error *err)
{
    error_reset(err);
    if (ret_config == NULL) {
        return error_set(err, PGK_ERR_INVALID_ARGUMENT, "config.new", "ret_config is NULL");
    }
    pgk_config *config = calloc(1, sizeof(*config));
    if (config == NULL) {
        return error_set(err, PGK_ERR_NO_MEMORY, "config.new", "no memory for a configuration");
    }
    config_default_member_name(config->member_name);
    *ret_config = config;
    return PGK_OK;
}

void pgk_config_free(pgk_config *config)
{
    if (config == NULL) {
        return;
    }
    for (size_t key = 0; key < KEY_COUNT; key++) {
        for (size_t source = 0; source < SOURCE_COUNT; source++) {
            free(config->texts[key][source]);
        }
        free(config->where[key]);
    }
    config_free_warnings(&config->warnings);
    free(config);
}

void config_free_batch(struct config_batch *batch)
{
    for (size_t key = 0; key < KEY_COUNT; key++) {
        free(batch->texts[key]);
        free(batch->where[key]);
        batch->texts[key] = NULL;
        batch->where[key] = NULL;
    }
    config_free_warnings(&batch->warnings);
}

void config_take_batch(struct pgk_config *config, enum config_source source,
                       struct config_batch *batch)
{
    for (size_t key = 0; key < KEY_COUNT; key++) {
        if (batch->texts[key] != NULL) {
            free(config->texts[key][source]);
            config->texts[key][source] = batch->texts[key];
            batch->texts[key] = NULL;
        }
        if (batch->where[key] != NULL) {
            free(config->where[key]);
            config->where[key] = batch->where[key];
            batch->where[key] = NULL;
        }
    }
    for (size_t i = 0; i < batch->warnings.count; i++) {
        /* Out of memory: the values count all the same. */
        config_warn(&config->warnings, NULL, "%s", batch->warnings.texts[i]);
    }
}

pgk_status config_unknown_key(const char *name, pgk_error *err)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    char shown[80];
    size_t length = strspn(name, letters); /* what follows may be a value, and secret */
    text_copy(shown, length < sizeof(shown) ? length + 1 : sizeof(shown), name);
    const char *advice = config_foreign_advice(shown);
    if (advice != NULL) {
        return error_set(err, PGK_ERR_CONFIG, ORIGIN, "key \"%s\" has no effect here: %s", shown,
                         advice);
    }
    const char *near = config_key_suggest(shown);
    if (near != NULL) {
        return error_set(err, PGK_ERR_CONFIG, ORIGIN, "unknown key \"%s\": did you mean %s?", shown,
                         near);
    }
    return error_set(err, PGK_ERR_CONFIG, ORIGIN,
                     "unknown key \"%s\": docs/configuration.md lists the keys", shown);
}

pgk_status pgk_config_set(pgk_config *config, const char *key, const char *value, pgk_error *err)
{
    error_reset(err);
    if (config == NULL || key == NULL || value == NULL) {
        return error_set(err, PGK_ERR_INVALID_ARGUMENT, "config.set", "%s is NULL",
                         config == NULL ? "config"
                         : key == NULL  ? "key"
                                        : "value");
    }
    enum config_id id = config_key_find(key, NULL);
    if (id == KEY_COUNT) {
        return config_unknown_key(key, err);
    }
    char *text = NULL;
    pgk_status status = config_make_text(id, value, &text, err);
    if (status != PGK_OK) {
        return status;
    }
    free(config->texts[id][SOURCE_CALL]);
    config->texts[id][SOURCE_CALL] = text;
    return PGK_OK;
}

/* A variable that was meant for the library and misspelt would else have no effect, without a
 * word. */
static pgk_status check_variables(pgk_error *err)
{
    for (char **variable = environ; variable != NULL && *variable != NULL; variable++) {
        const char *equals = strchr(*variable, '=');
        if (equals == NULL || equals[1] == '\0' || !config_env_is_ours(*variable)) {
            continue;
        }
        char name[CONFIG_ENV_NAME_SIZE];
        size_t length = (size_t)(equals - *variable);
        text_copy(name, length < sizeof(name) ? length + 1 : sizeof(name), *variable);
        bool known = false;
        for (size_t key = 0; key < KEY_COUNT && !known; key++) {
            char known_name[CONFIG_ENV_NAME_SIZE];
            config_key_env_name(config_keys[key].name, known_name);
            known = strcmp(known_name, name) == 0;
        }
        if (!known) {
            char shown[CONFIG_ENV_NAME_SIZE];
            text_excerpt(shown, sizeof(shown), name);
            return error_set(err, PGK_ERR_CONFIG, "config.environment",
                             "variable %s stands for no key: docs/configuration.md lists them",
                             shown);
        }
    }
    return PGK_OK;
}

pgk_status pgk_config_load_environment(pgk_config *config, pgk_error *err)
{
    error_reset(err);
    if (config == NULL) {
        return error_set(err, PGK_ERR_INVALID_ARGUMENT, "config.environment", "config is NULL");
    }
    struct config_batch batch = {0};
    pgk_status status = check_variables(err);
    for (size_t key = 0; key < KEY_COUNT && status == PGK_OK; key++) {
        char name[CONFIG_ENV_NAME_SIZE];
        config_key_env_name(config_keys[key].name, name);
        const char *value = getenv(name);
        if (value == NULL || value[0] == '\0') {
            continue;
        }
        status = config_make_text((enum config_id)key, value, &batch.texts[key], err);
        if (status != PGK_OK) {
            error_wrap(err, status, "variable %s", name);
        }
    }
    if (status == PGK_OK) {
        config_take_batch(config, SOURCE_ENVIRONMENT, &batch);
    }
    config_free_batch(&batch);
    return status;
}

bool config_is_set(const struct pgk_config *config, enum config_id key)
{
    for (size_t source = 0; source < SOURCE_COUNT; source++) {
        if (config->texts[key][source] != NULL) {
            return true;
        }
    }
    return false;
}

/* ZooKeeper's default wait is longer than ours may grow by default. */
static const char *default_max_retry_wait(const struct pgk_config *config)
{
    static const char usual[] = "1 s";
    return config_duration_ms(config, KEY_RETRY_WAIT) > 1000 ? config_text(config, KEY_RETRY_WAIT)
                                                             : usual;
}

const char *config_text(const struct pgk_config *config, enum config_id key)
{
    for (size_t source = SOURCE_COUNT; source > 0; source--) {
        if (config->texts[key][source - 1] != NULL) {
            return config->texts[key][source - 1];
        }
    }
    switch (key) {
    case KEY_HEARTBEAT:
    case KEY_LEASE:
    case KEY_SESSION_TIMEOUT:
    case KEY_GRACE:
        return config_profile_text(config_text(config, KEY_PROFILE), key);
    case KEY_DISCONNECT_TOLERANCE:
        return config_text(config, KEY_LEASE);
    case KEY_MAX_RETRY_WAIT:
        return default_max_retry_wait(config);
    case KEY_REST_HOST:
        return config_text(config, KEY_JOB_MANAGER_HOST);
    case KEY_MEMBER_NAME:
        return config->member_name;
    default:
        return config_keys[key].default_text;
    }
}

const char *pgk_config_get(const pgk_config *config, const char *key)
{
    if (config == NULL || key == NULL) {
        return NULL;
    }
    enum config_id id = config_key_find(key, NULL);
    return id != KEY_COUNT ? config_text(config, id) : NULL;
}

void pgk_config_set_log(pgk_config *config, pgk_log_fn fn, void *user)
{
    if (config != NULL) {
        config->logger = (struct logger){.fn = fn, .user = user};
    }
}

/* Adds a complaint to the others, which are parted by "; ". */
static void complain(char *all, size_t size, const char *format, ...) PGK_PRINTF(3, 4);

static void complain(char *all, size_t size, const char *format, ...)
{
    size_t used = strlen(all);
    if (used > 0) {
        text_copy(all + used, size - used, "; ");
        used = strlen(all);
    }
    va_list args;
    va_start(args, format);
    text_vformat(all + used, size - used, format, args);
    va_end(args);
}

static pgk_status check_backoff(const struct pgk_config *config, pgk_error *err)
{
    int first = config_duration_ms(config, KEY_CLEANUP_INITIAL_BACKOFF);
    int most = config_duration_ms(config, KEY_CLEANUP_MAX_BACKOFF);
    if (first <= most) {
        return PGK_OK;
    }
    return error_set(err, PGK_ERR_CONFIG, "config.check",
                     "values of cleanup-strategy.exponential-delay contradict each other: "
                     "initial-backoff (%d ms) exceeds max-backoff (%d ms)",
                     first, most);
}

pgk_status pgk_config_check(const pgk_config *config, pgk_error *err)
{
    error_reset(err);
    if (config == NULL) {
        return error_set(err, PGK_ERR_INVALID_ARGUMENT, "config.check", "config is NULL");
    }
    char all[PGK_ERROR_MESSAGE_SIZE] = "";
    int heartbeat = config_duration_ms(config, KEY_HEARTBEAT);
    int lease = config_duration_ms(config, KEY_LEASE);
    int timeout = config_duration_ms(config, KEY_SESSION_TIMEOUT);
    int grace = config_duration_ms(config, KEY_GRACE);
    int wait = config_duration_ms(config, KEY_RETRY_WAIT);
    int max_wait = config_duration_ms(config, KEY_MAX_RETRY_WAIT);
    if (heartbeat * INT64_C(3) > lease) {
        complain(all, sizeof(all), "3 x heartbeat (%d ms) exceeds lease (%d ms)", heartbeat, lease);
    }
    if (lease * INT64_C(3) > timeout * INT64_C(2)) {
        complain(all, sizeof(all), "lease (%d ms) exceeds 2/3 of session-timeout (%d ms)", lease,
                 timeout);
    }
    if (grace * INT64_C(1000) < lease * INT64_C(1001)) {
        complain(all, sizeof(all), "grace (%d ms) is less than 1.001 x lease (%d ms)", grace,
                 lease);
    }
    if (wait > max_wait) {
        complain(all, sizeof(all), "retry-wait (%d ms) exceeds max-retry-wait (%d ms)", wait,
                 max_wait);
    }
    if (all[0] == '\0') {
        return check_backoff(config, err);
    }
    return error_set(err, PGK_ERR_CONFIG, "config.check",
                     "values of high-availability.postgres contradict each other: %s (what is not "
                     "set comes from profile %s)",
                     all, config_text(config, KEY_PROFILE));
}
