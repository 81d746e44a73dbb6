/*
 * core/config_file.c - reads configuration files: `key: value` lines, as in Flink's flat files.
 *
 * Other spellings of keys, and keys of Flink that do nothing here, leave a warning behind.
 * A small part of YAML, and strict about the rest: what would mean something else in YAML, such as
 * an indented block, is an error and not ignored. Shows no values of lines in messages, for they
 * may be secret. One thread at a time.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/config.h"
#include "core/text.h"

#define ORIGIN "config.file"
#define FILE_MAX_BYTES ((size_t)1024 * 1024)
#define LINE_MAX_BYTES ((size_t)64 * 1024)
#define PARENT_SIZE 128
#define WHERE_SIZE 320

static const char *skip_blanks(const char *at)
{
    while (text_is_blank(*at)) {
        at++;
    }
    return at;
}

static void cut_blanks(char *text)
{
    size_t length = strlen(text);
    while (length > 0 && text_is_blank(text[length - 1])) {
        length--;
    }
    text[length] = '\0';
}

static bool is_key_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

/* Takes the quotes off a text that begins with one, in place; *ret_rest is what follows. False when
 * it is not closed or has an escape other than \\ and \". */
static bool unquote(char *text, char **ret_rest)
{
    char quote = *text;
    char *out = text;
    char *at = text + 1;
    for (;; at++) {
        if (*at == '\0') {
            return false;
        }
        if (*at == quote) {
            if (quote != '\'' || at[1] != '\'') {
                break;
            }
            at++; /* '' within '...' */
        } else if (*at == '\\' && quote == '"') {
            at++;
            if (*at != '\\' && *at != '"') {
                return false;
            }
        }
        *out++ = *at;
    }
    *ret_rest = at + 1;
    *out = '\0';
    return true;
}

/* Makes `text` (what follows the colon) the bare value: no comment, no blanks around, no quotes. */
static pgk_status bare_value(char *text, char **ret_value, pgk_error *err)
{
    char *value = text + (skip_blanks(text) - text);
    if (*value == '"' || *value == '\'') {
        char *rest;
        if (!unquote(value, &rest)) {
            return error_set(err, PGK_ERR_CONFIG, ORIGIN,
                             "the quote is not closed, or a \\ in it is not before \\ or \"");
        }
        const char *behind = skip_blanks(rest);
        if (*behind != '\0' && (*behind != '#' || behind == rest)) {
            return error_set(err, PGK_ERR_CONFIG, ORIGIN, "more text follows the closing quote");
        }
        *ret_value = value;
        return PGK_OK;
    }
    for (char *at = value; *at != '\0'; at++) {
        if (*at == '#' &&
            text_is_blank(at[-1])) { /* at[-1] is in the line: the colon at the least */
            *at = '\0';
            break;
        }
    }
    cut_blanks(value);
    *ret_value = value;
    return PGK_OK;
}

struct parser {
    struct config_batch *batch;
    int line;
    /* The last key, when nothing but perhaps a comment followed its colon: a nested block may come. */
    char parent[PARENT_SIZE];
    int empty_line;           /* where a key of ours is without its value; 0: nowhere */
    enum config_id empty_key; /* which */
    bool stopped;             /* the next key came: it is not going to have one */
};

/* A key of Flink's that has no equivalent, or one of others. */
static pgk_status pass_over(struct parser *parser, const char *key, pgk_error *err)
{
    struct config_warnings *warnings = &parser->batch->warnings;
    const char *advice = config_foreign_advice(key);
    char shown[PARENT_SIZE]; /* a key in quotes may be anything */
    text_excerpt(shown, sizeof(shown), key);
    if (advice != NULL) {
        return config_warn(warnings, err, "line %d: %s has no effect here: %s", parser->line, shown,
                           advice);
    }
    if (config_key_is_ours(key)) {
        return config_unknown_key(key, err);
    }
    if (!config_foreign_is_near(key)) {
        return PGK_OK;
    }
    const char *near = config_key_suggest(key);
    if (near == NULL) {
        return config_warn(warnings, err, "line %d: %s has no effect here", parser->line, shown);
    }
    return config_warn(warnings, err, "line %d: %s has no effect here: did you mean %s?",
                       parser->line, shown, near);
}

/* As Flink has it: the key's own name wins over other spellings wherever they stand, and of two
 * equals the later. False when the new one does not count. */
static bool counts(struct parser *parser, enum config_id id, const char *key, size_t rank)
{
    struct config_batch *batch = parser->batch;
    if (batch->texts[id] == NULL || rank < batch->ranks[id]) {
        return true;
    }
    bool later = rank == batch->ranks[id];
    config_warn(&batch->warnings, NULL, "line %d: %s is set in line %d already; line %d counts",
                parser->line, key, batch->lines[id], later ? parser->line : batch->lines[id]);
    return later;
}

/* In YAML an unquoted value that begins so is no plain text. */
static bool means_something_else(const char *text)
{
    const char *value = skip_blanks(text);
    return *value != '\0' && strchr("&*!|>{}[]%@`", *value) != NULL;
}

static pgk_status set_value(struct parser *parser, enum config_id id, const char *key, size_t rank,
                            const char *value, pgk_error *err)
{
    struct config_batch *batch = parser->batch;
    char *text = NULL;
    pgk_status status = config_make_text(id, value, &text, err);
    if (status != PGK_OK) {
        return rank == 0 ? status : error_wrap(err, status, "%s", key);
    }
    if (rank > 0) {
        config_warn(&batch->warnings, NULL, "line %d: %s is taken as %s", parser->line, key,
                    config_keys[id].name);
    }
    if (!counts(parser, id, key, rank)) {
        free(text);
        return PGK_OK;
    }
    free(batch->texts[id]);
    batch->texts[id] = text;
    batch->lines[id] = parser->line;
    batch->ranks[id] = rank;
    return PGK_OK;
}

/* `jobmanager: {rpc.address: x}` is a nested block, too. */
static bool is_nested_in_braces(const char *key, const char *first)
{
    size_t length = strlen(key);
    for (int id = 0; *first == '{' && id < KEY_COUNT; id++) {
        const char *name = config_keys[id].name;
        if (strncmp(name, key, length) == 0 && name[length] == '.') {
            return true;
        }
    }
    return false;
}

static pgk_status take_value(struct parser *parser, const char *key, char *text, pgk_error *err)
{
    const char *first = skip_blanks(text);
    bool empty = *first == '\0' || (*first == '#' && first != text);
    size_t rank = 0;
    enum config_id id = config_key_find(key, &rank);
    text_excerpt(parser->parent, sizeof(parser->parent), empty ? key : "");
    if (is_nested_in_braces(key, first)) {
        return error_set(err, PGK_ERR_CONFIG, ORIGIN,
                         "%s: nested blocks of YAML are not read: write each whole key at the "
                         "beginning of a line of its own, as in `%s.KEY: ...`",
                         key, key);
    }
    if (id == KEY_COUNT) {
        return pass_over(parser, key, err);
    }
    if (means_something_else(text)) {
        return error_set(err, PGK_ERR_CONFIG, ORIGIN,
                         "%s: the value begins with a letter that means something else in YAML (a "
                         "block, a list, an alias): put it in quotes",
                         key);
    }
    char *value = NULL;
    pgk_status status = bare_value(text, &value, err);
    if (status != PGK_OK) {
        return error_wrap(err, status, "%s", key);
    }
    if (empty && (config_keys[id].type != CONFIG_STRING || config_keys[id].min > 0)) {
        parser->empty_line = parser->line; /* an error, but which depends on the next line */
        parser->empty_key = id;
        return PGK_OK;
    }
    return set_value(parser, id, key, rank, value, err);
}

/* A key of ours had no value, and no nested block came. */
static pgk_status refuse_empty(const struct parser *parser, pgk_error *err)
{
    char *unused = NULL;
    return config_make_text(parser->empty_key, "", &unused, err);
}

/* An indented line or a list. Shows the whole key that should have been written, if it can be told and
 * has nothing secret in it. */
static pgk_status refuse_nested(const struct parser *parser, const char *first, pgk_error *err)
{
    size_t length = 0;
    while (is_key_letter(first[length])) {
        length++;
    }
    enum config_id parent = config_key_find(parser->parent, NULL);
    bool secret = parent != KEY_COUNT && config_keys[parent].secret;
    bool is_key = length > 0 && first[length] == ':' && parser->parent[0] != '\0' && !secret;
    char key[PARENT_SIZE] = "high-availability.cluster-id";
    if (is_key) {
        text_format(key, sizeof(key), "%s.%.*s", parser->parent, (int)length, first);
    }
    return error_set(err, PGK_ERR_CONFIG, ORIGIN,
                     "nested blocks and lists of YAML are not read: write the whole key at the "
                     "beginning of one line, as in `%s: ...`",
                     key);
}

/* Parts a line at its colon; *ret_key is "" for a line of some other program that is passed
 * over. */
static pgk_status split_line(char *line, char **ret_key, char **ret_text, pgk_error *err)
{
    char *end = line;
    *ret_key = line;
    if (*line == '"' || *line == '\'') {
        if (!unquote(line, &end)) {
            return error_set(err, PGK_ERR_CONFIG, ORIGIN, "the quote around the key is not closed");
        }
    } else {
        while (is_key_letter(*end)) {
            end++;
        }
    }
    char *colon = end + (skip_blanks(end) - end);
    if (*colon == ':') {
        *ret_text = colon + 1;
        *end = '\0'; /* may be the colon itself */
        return PGK_OK;
    }
    bool has_colon = strchr(colon, ':') != NULL;
    *end = '\0';
    bool ours = config_key_find(line, NULL) != KEY_COUNT || config_key_is_ours(line);
    if (!has_colon || ours) {
        return error_set(err, PGK_ERR_CONFIG, ORIGIN,
                         "not a `key: value` line: a colon must follow the key");
    }
    line[0] = '\0';
    *ret_text = line;
    return PGK_OK;
}

/* A line that is neither empty nor a comment. */
static pgk_status parse_content(struct parser *parser, char *line, pgk_error *err)
{
    const char *first = skip_blanks(line);
    bool list = line[0] == '-' && (line[1] == '\0' || text_is_blank(line[1]));
    if (first != line || list || line[0] == '{' || line[0] == '[') {
        return refuse_nested(parser, first, err);
    }
    if (parser->empty_line != 0) {
        parser->stopped = true;
        return PGK_OK;
    }
    char *key = NULL;
    char *text = NULL;
    pgk_status status = split_line(line, &key, &text, err);
    if (status != PGK_OK) {
        return status;
    }
    return take_value(parser, key, text, err);
}

static pgk_status parse_line(struct parser *parser, char *line, pgk_error *err)
{
    size_t length = strlen(line);
    if (length > LINE_MAX_BYTES) {
        return error_set(err, PGK_ERR_CONFIG, ORIGIN, "the line is longer than %zu bytes",
                         LINE_MAX_BYTES);
    }
    if (length > 0 && line[length - 1] == '\r') {
        line[length - 1] = '\0';
    }
    cut_blanks(line);
    const char *first = skip_blanks(line);
    if (*first == '\0' || *first == '#' || strcmp(line, "---") == 0) {
        return PGK_OK;
    }
    return parse_content(parser, line, err);
}

pgk_status config_parse_file(char *text, size_t length, struct config_batch *batch, pgk_error *err)
{
    struct parser parser = {.batch = batch};
    char *line = text;
    char *end = text + length;
    pgk_status status = PGK_OK;
    if (length >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) {
        line += 3; /* byte order mark, as some editors write it */
    }
    while (line < end && status == PGK_OK && !parser.stopped) {
        parser.line++;
        char *stop = memchr(line, '\n', (size_t)(end - line));
        stop = stop != NULL ? stop : end;
        *stop = '\0';
        status = memchr(line, '\0', (size_t)(stop - line)) != NULL
                     ? error_set(err, PGK_ERR_CONFIG, ORIGIN,
                                 "the line holds a NUL byte: not a text file")
                     : parse_line(&parser, line, err);
        line = stop + 1;
    }
    if (status != PGK_OK) {
        return error_wrap(err, status, "line %d", parser.line);
    }
    if (parser.empty_line != 0) {
        status = refuse_empty(&parser, err);
        return error_wrap(err, status, "line %d", parser.empty_line);
    }
    return PGK_OK;
}

/* Reads at most size bytes; -1 and errno on failure. */
static ssize_t read_all(const char *path, char *buffer, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    size_t length = 0;
    ssize_t part = 1;
    while (part != 0 && length < size) {
        part = read(fd, buffer + length, size - length);
        if (part > 0) {
            length += (size_t)part;
        } else if (part < 0 && errno != EINTR) {
            int reason = errno;
            close(fd);
            errno = reason;
            return -1;
        }
    }
    close(fd);
    return (ssize_t)length;
}

/* Puts the path before lines and warnings. */
static pgk_status name_places(struct config_batch *batch, const char *path, pgk_error *err)
{
    char place[WHERE_SIZE];
    for (size_t key = 0; key < KEY_COUNT; key++) {
        if (batch->texts[key] == NULL) {
            continue;
        }
        size_t rank = batch->ranks[key];
        text_format(place, sizeof(place), "%s:%d%s%s%s", path, batch->lines[key],
                    rank > 0 ? " (" : "", rank > 0 ? config_keys[key].also[rank - 1] : "",
                    rank > 0 ? ")" : "");
        batch->where[key] = strdup(place);
        if (batch->where[key] == NULL) {
            return error_set(err, PGK_ERR_NO_MEMORY, ORIGIN, "no memory for the place of a value");
        }
    }
    struct config_warnings warnings = {0};
    pgk_status status = PGK_OK;
    for (size_t i = 0; i < batch->warnings.count && status == PGK_OK; i++) {
        status = config_warn(&warnings, err, "%s: %s", path, batch->warnings.texts[i]);
    }
    config_free_warnings(&batch->warnings);
    batch->warnings = warnings;
    return status;
}

static pgk_status load(pgk_config *config, const char *path, char *buffer, pgk_error *err)
{
    char shown[160];
    text_excerpt(shown, sizeof(shown), path);
    ssize_t length = read_all(path, buffer, FILE_MAX_BYTES + 1);
    if (length < 0) {
        return error_set(err, PGK_ERR_IO, ORIGIN, "%s cannot be read: %s", shown,
                         strerrordesc_np(errno));
    }
    if ((size_t)length > FILE_MAX_BYTES) {
        return error_set(err, PGK_ERR_CONFIG, ORIGIN, "%s is larger than %zu bytes", shown,
                         FILE_MAX_BYTES);
    }
    buffer[length] = '\0';
    struct config_batch batch = {0};
    pgk_status status = config_parse_file(buffer, (size_t)length, &batch, err);
    if (status != PGK_OK) {
        error_wrap(err, status, "%s", shown);
    } else {
        status = name_places(&batch, shown, err);
    }
    if (status == PGK_OK) {
        config_take_batch(config, SOURCE_FILE, &batch);
    }
    config_free_batch(&batch);
    return status;
}

pgk_status pgk_config_load_file(pgk_config *config, const char *path, pgk_error *err)
{
    error_reset(err);
    if (config == NULL || path == NULL) {
        return error_set(err, PGK_ERR_INVALID_ARGUMENT, ORIGIN, "%s is NULL",
                         config == NULL ? "config" : "path");
    }
    char *buffer = malloc(FILE_MAX_BYTES + 2);
    if (buffer == NULL) {
        return error_set(err, PGK_ERR_NO_MEMORY, ORIGIN, "no memory to read a file");
    }
    pgk_status status = load(config, path, buffer, err);
    explicit_bzero(buffer, FILE_MAX_BYTES + 2); /* it may have held a password */
    free(buffer);
    return status;
}
