/*
 * core/config_value.c - checks of single values, and what they mean. Any thread, no state.
 *
 * A message names the key, the value and what is allowed; the value of a secret key is never in it.
 */
#include <assert.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "core/config.h"
#include "core/duration.h"
#include "core/text.h"

#define ORIGIN "config"
#define SHOWN_SIZE 80

static const struct {
    const char *word;
    bool value;
} boolean_words[] = {{"true", true}, {"false", false}, {"on", true},
                     {"off", false}, {"yes", true},    {"no", false}};

/* The number of a boolean word in the table, -1 for none. */
static int find_boolean(const char *text)
{
    for (size_t i = 0; i < sizeof(boolean_words) / sizeof(boolean_words[0]); i++) {
        if (text_equal_ignoring_case(boolean_words[i].word, text)) {
            return (int)i;
        }
    }
    return -1;
}

static int find_choice(const struct config_key *key, const char *text)
{
    const struct config_alias *alias = key->aliases;
    for (; alias != NULL && alias->word != NULL; alias++) {
        if (text_equal_ignoring_case(alias->word, text)) {
            text = alias->choice;
            break;
        }
    }
    for (int i = 0; key->choices[i] != NULL; i++) {
        if (text_equal_ignoring_case(key->choices[i], text)) {
            return i;
        }
    }
    return -1;
}

static bool parse_integer(const char *text, int64_t *ret_number)
{
    const char *at = text;
    return text_read_number(&at, ret_number) && *at == '\0';
}

#define REASON_SIZE 256

static bool check_string(const struct config_key *key, const char *value, char *reason)
{
    if (text_is_valid(value, (size_t)key->min, (size_t)key->max)) {
        return true;
    }
    if (value[0] == '\0') {
        text_copy(reason, REASON_SIZE, "is empty; a value is needed");
    } else {
        text_format(reason, REASON_SIZE, "must be %" PRId64 " to %" PRId64 " bytes of UTF-8",
                    key->min, key->max);
    }
    return false;
}

static bool check_duration(const struct config_key *key, const char *value, char *reason)
{
    int64_t ms = 0;
    const char *wrong;
    if (!duration_parse(value, &ms, &wrong)) {
        text_copy(reason, REASON_SIZE, wrong);
        return false;
    }
    if (ms < key->min || ms > key->max) {
        char allowed[CONFIG_ALLOWED_SIZE];
        config_key_allowed(key, allowed);
        text_format(reason, REASON_SIZE, "must be %s", allowed);
        return false;
    }
    return true;
}

static bool check_integer(const struct config_key *key, const char *value, char *reason)
{
    int64_t number = 0;
    if (parse_integer(value, &number) && number >= key->min && number <= key->max) {
        return true;
    }
    text_format(reason, REASON_SIZE, "must be a whole number from %" PRId64 " to %" PRId64,
                key->min, key->max);
    return false;
}

static bool check_choice(const struct config_key *key, const char *value, char *reason)
{
    if (find_choice(key, value) >= 0) {
        return true;
    }
    char allowed[CONFIG_ALLOWED_SIZE];
    config_key_allowed(key, allowed);
    text_format(reason, REASON_SIZE, "must be one of %s", allowed);
    return false;
}

static bool check_value(const struct config_key *key, const char *value, char *reason)
{
    if (key->type != CONFIG_STRING && value[0] == '\0') {
        text_copy(reason, REASON_SIZE, "is empty; a value is needed");
        return false;
    }
    switch (key->type) {
    case CONFIG_STRING:
        return check_string(key, value, reason);
    case CONFIG_DURATION:
        return check_duration(key, value, reason);
    case CONFIG_INTEGER:
        return check_integer(key, value, reason);
    case CONFIG_BOOLEAN:
        text_copy(reason, REASON_SIZE, "must be one of ");
        config_key_allowed(key, reason + strlen(reason));
        return find_boolean(value) >= 0;
    case CONFIG_ENUM:
        return check_choice(key, value, reason);
    }
    return false;
}

/* How a checked value is kept: words in one spelling, all else as it was written. */
static const char *canonical(const struct config_key *key, const char *value)
{
    if (key->type == CONFIG_ENUM) {
        return key->choices[find_choice(key, value)];
    }
    if (key->type == CONFIG_BOOLEAN) {
        return boolean_words[find_boolean(value)].value ? "on" : "off";
    }
    return value;
}

pgk_status config_make_text(enum config_id id, const char *value, char **ret_text, pgk_error *err)
{
    const struct config_key *key = &config_keys[id];
    char reason[REASON_SIZE] = "";
    if (!check_value(key, value, reason)) {
        char shown[SHOWN_SIZE];
        text_excerpt(shown, sizeof(shown), value);
        if (key->secret) {
            return error_set(err, PGK_ERR_CONFIG, ORIGIN, "%s (hidden): %s", key->name, reason);
        }
        return error_set(err, PGK_ERR_CONFIG, ORIGIN, "%s \"%s\": %s", key->name, shown, reason);
    }
    char *text = strdup(canonical(key, value));
    if (text == NULL) {
        return error_set(err, PGK_ERR_NO_MEMORY, ORIGIN, "no memory for the value of %s",
                         key->name);
    }
    *ret_text = text;
    return PGK_OK;
}

int64_t config_long_duration_ms(const struct pgk_config *config, enum config_id key)
{
    int64_t ms = 0;
    const char *wrong;
    bool parsed = duration_parse(config_text(config, key), &ms, &wrong);
    assert(config_keys[key].type == CONFIG_DURATION && parsed);
    (void)parsed;
    return ms;
}

int config_duration_ms(const struct pgk_config *config, enum config_id key)
{
    assert(config_keys[key].max <= INT_MAX);
    return (int)config_long_duration_ms(config, key);
}

int config_integer(const struct pgk_config *config, enum config_id key)
{
    int64_t number = 0;
    bool parsed = parse_integer(config_text(config, key), &number);
    assert(config_keys[key].type == CONFIG_INTEGER && parsed);
    (void)parsed;
    return (int)number;
}

bool config_boolean(const struct pgk_config *config, enum config_id key)
{
    int word = find_boolean(config_text(config, key));
    assert(config_keys[key].type == CONFIG_BOOLEAN && word >= 0);
    return boolean_words[word].value;
}

int config_choice(const struct pgk_config *config, enum config_id key)
{
    int choice = find_choice(&config_keys[key], config_text(config, key));
    assert(config_keys[key].type == CONFIG_ENUM && choice >= 0);
    return choice;
}
