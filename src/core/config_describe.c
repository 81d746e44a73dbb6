/*
 * core/config_describe.c - all about a key and its value, for people. Never shows a secret.
 *
 * One thread at a time, as the configuration.
 */
#include <string.h>

#include "core/config.h"
#include "core/text.h"

#define ORIGIN "config.describe"

_Static_assert(PGK_CONFIG_ALLOWED_SIZE == CONFIG_ALLOWED_SIZE, "one size in both headers");
_Static_assert(sizeof(((pgk_config_entry *)0)->variable) == CONFIG_ENV_NAME_SIZE, "likewise");
_Static_assert((int)PGK_CONFIG_FILE == (int)SOURCE_FILE + 1 &&
                   (int)PGK_CONFIG_CALL == (int)SOURCE_CALL + 1,
               "one order in both headers");

enum config_id config_key_at(size_t index)
{
    for (size_t group = 0; group < GROUP_COUNT; group++) {
        for (size_t key = 0; key < KEY_COUNT; key++) {
            if (config_keys[key].group == (enum config_group)group && index-- == 0) {
                return (enum config_id)key;
            }
        }
    }
    return KEY_COUNT;
}

static pgk_config_origin origin_of(const struct pgk_config *config, enum config_id key)
{
    for (size_t source = SOURCE_COUNT; source > 0; source--) {
        if (config->texts[key][source - 1] != NULL) {
            return (pgk_config_origin)source;
        }
    }
    return PGK_CONFIG_DEFAULT;
}

static void describe(const struct pgk_config *config, enum config_id id, pgk_config_entry *entry)
{
    const struct config_key *key = &config_keys[id];
    entry->key = key->name;
    entry->group = config_groups[key->group].heading;
    entry->type = config_type_name(key->type);
    entry->default_value = key->default_text;
    entry->description = key->description;
    entry->value = config_text(config, id);
    entry->secret = key->secret;
    entry->origin = origin_of(config, id);
    if (key->secret && entry->value[0] != '\0') {
        entry->value = "(hidden)";
    }
    config_key_allowed(key, entry->allowed);
    config_key_env_name(key->name, entry->variable);
    const char *where = "";
    if (entry->origin == PGK_CONFIG_FILE) {
        where = config->where[id];
    } else if (entry->origin == PGK_CONFIG_ENVIRONMENT) {
        where = entry->variable;
    }
    text_copy(entry->where, sizeof(entry->where), where);
}

pgk_status pgk_config_describe(const pgk_config *config, size_t index, pgk_config_entry *ret_entry,
                               pgk_error *err)
{
    error_reset(err);
    if (config == NULL || ret_entry == NULL || ret_entry->size != sizeof(*ret_entry)) {
        return error_set(err, PGK_ERR_INVALID_ARGUMENT, ORIGIN,
                         config == NULL      ? "config is NULL"
                         : ret_entry == NULL ? "ret_entry is NULL"
                                             : "ret_entry->size is not that of the structure");
    }
    enum config_id key = config_key_at(index);
    if (key == KEY_COUNT) {
        return error_set(err, PGK_ERR_NOT_FOUND, ORIGIN, "there are %d keys", (int)KEY_COUNT);
    }
    describe(config, key, ret_entry);
    return PGK_OK;
}
