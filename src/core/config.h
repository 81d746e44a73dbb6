/*
 * core/config.h - the inside of pgk_config: texts by key and source, and typed reads of those in
 * force.
 *
 * One thread at a time, as the public header says. A text that is in a configuration has been
 * checked.
 */
#ifndef PGK_CORE_CONFIG_H
#define PGK_CORE_CONFIG_H

#include <pgkeeper/config.h>

#include "core/config_keys.h"
#include "core/log.h"

/* In rising order of precedence. */
enum config_source { SOURCE_FILE, SOURCE_ENVIRONMENT, SOURCE_CALL, SOURCE_COUNT };

#define MEMBER_NAME_SIZE 128

/* Sentences about what had no effect, or another than somebody may think. */
struct config_warnings {
    char **texts; /* owned */
    size_t count;
};

struct pgk_config {
    char *texts[KEY_COUNT][SOURCE_COUNT]; /* NULL: not set there; owned */
    char *where[KEY_COUNT];               /* "path:line" of SOURCE_FILE; owned */
    struct config_warnings warnings;
    char member_name[MEMBER_NAME_SIZE]; /* default of KEY_MEMBER_NAME */
    struct logger logger;
};

/* Values of one source that are taken all together or not at all. Starts zeroed. */
struct config_batch {
    char *texts[KEY_COUNT];  /* owned */
    int lines[KEY_COUNT];    /* of a file */
    size_t ranks[KEY_COUNT]; /* of the spelling, see config_key_find() */
    char *where[KEY_COUNT];  /* of a file; owned */
    struct config_warnings warnings;
};

/* Checks a value and makes the text to keep. PGK_ERR_CONFIG names key, value and what is
 * allowed. */
pgk_status config_make_text(enum config_id key, const char *value, char **ret_text, pgk_error *err);

/* Adds a sentence, unless it is there already; after a hundred no more are kept. */
pgk_status config_warn(struct config_warnings *warnings, pgk_error *err, const char *format, ...)
    PGK_PRINTF(3, 4);
void config_free_warnings(struct config_warnings *warnings);

/* Tells the log of the configuration, if it has one, what pgk_config_warning() lists. */
void config_log_warnings(const struct pgk_config *config);

/* For a key that is not in the table: why it has no effect here, in half a sentence; NULL when it is
 * none of the keys of Flink that concern us. */
const char *config_foreign_advice(const char *name);
/* True beneath a prefix where a key that nobody knows is worth a warning. */
bool config_foreign_is_near(const char *name);

/* "unknown key ...", with a suggestion; shows no more of `name` than looks like a key. */
pgk_status config_unknown_key(const char *name, pgk_error *err);

/* Moves the batch's texts into the configuration, and adds its warnings. */
void config_take_batch(struct pgk_config *config, enum config_source source,
                       struct config_batch *batch);
void config_free_batch(struct config_batch *batch);

/* Parses a file's text, which it cuts up; text[length] must be '\0'. Fills the batch also on
 * error. */
pgk_status config_parse_file(char *text, size_t length, struct config_batch *batch, pgk_error *err);

/* The key number `index` in the order of the documents; KEY_COUNT after the last. */
enum config_id config_key_at(size_t index);

/* "<hostname>:<pid>" of this process. */
void config_default_member_name(char out[MEMBER_NAME_SIZE]);

bool config_is_set(const struct pgk_config *config, enum config_id key);

/* The text in force, and what it means. The key must be of the type. */
const char *config_text(const struct pgk_config *config, enum config_id key);
int config_duration_ms(const struct pgk_config *config, enum config_id key);
/* For a key whose limit does not fit in an int. */
int64_t config_long_duration_ms(const struct pgk_config *config, enum config_id key);
int config_integer(const struct pgk_config *config, enum config_id key);
bool config_boolean(const struct pgk_config *config, enum config_id key);
int config_choice(const struct pgk_config *config, enum config_id key);

#endif
