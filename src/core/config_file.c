/*
 * core/config_file.c - reads configuration files: `key: value` lines, as in Flink's flat files.
 *
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

static pgk_status take_value(const char *key, char *text, int line, struct config_batch *batch,
                             pgk_error *err)
{
    enum config_id id = config_key_find(key);
    if (id == KEY_COUNT) {
        return config_key_is_ours(key) ? config_unknown_key(key, err) : PGK_OK;
    }
    if (batch->texts[id] != NULL) {
        return error_set(err, PGK_ERR_CONFIG, ORIGIN, "%s is set in line %d already", key,
                         batch->lines[id]);
    }
    char *value = NULL;
    pgk_status status = bare_value(text, &value, err);
    if (status != PGK_OK) {
        return error_wrap(err, status, "%s", key);
    }
    batch->lines[id] = line;
    return config_make_text(id, value, &batch->texts[id], err);
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
    bool ours = config_key_find(line) != KEY_COUNT || config_key_is_ours(line);
    if (!has_colon || ours) {
        return error_set(err, PGK_ERR_CONFIG, ORIGIN,
                         "not a `key: value` line: a colon must follow the key");
    }
    line[0] = '\0';
    *ret_text = line;
    return PGK_OK;
}

static pgk_status parse_line(char *line, int number, struct config_batch *batch, pgk_error *err)
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
    if (first != line || (line[0] == '-' && (line[1] == '\0' || text_is_blank(line[1])))) {
        return error_set(err, PGK_ERR_CONFIG, ORIGIN,
                         "nested blocks and lists are not understood: write the whole key at the "
                         "beginning of one line, as in `high-availability.cluster-id: x`");
    }
    char *key = NULL;
    char *text = NULL;
    pgk_status status = split_line(line, &key, &text, err);
    if (status != PGK_OK) {
        return status;
    }
    return take_value(key, text, number, batch, err);
}

pgk_status config_parse_file(char *text, size_t length, struct config_batch *batch, pgk_error *err)
{
    int number = 0;
    char *line = text;
    char *end = text + length;
    if (length >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) {
        line += 3; /* byte order mark, as some editors write it */
    }
    while (line < end) {
        number++;
        char *stop = memchr(line, '\n', (size_t)(end - line));
        stop = stop != NULL ? stop : end;
        *stop = '\0';
        pgk_status status = memchr(line, '\0', (size_t)(stop - line)) != NULL
                                ? error_set(err, PGK_ERR_CONFIG, ORIGIN,
                                            "the line holds a NUL byte: not a text file")
                                : parse_line(line, number, batch, err);
        if (status != PGK_OK) {
            return error_wrap(err, status, "line %d", number);
        }
        line = stop + 1;
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
    if (status == PGK_OK) {
        config_take_batch(config, SOURCE_FILE, &batch);
    } else {
        error_wrap(err, status, "%s", shown);
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
