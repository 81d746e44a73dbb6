/*
 * options.c - parses the options of one verb, and the values they take.
 *
 * Touches nothing but argv; says what is wrong on stderr.
 */
#include "cli.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LONGEST_MS 3.2e12 /* a hundred years */

bool parse_number(const char *text, int *ret_number)
{
    char *end;
    errno = 0;
    long value = strtol(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || value < 0 || value > INT_MAX) {
        return false;
    }
    *ret_number = (int)value;
    return true;
}

bool parse_long_duration_ms(const char *text, int64_t *ret_ms)
{
    static const struct {
        const char *names; /* one per word */
        double ms;
    } units[] = {{" ms milli millis millisecond milliseconds ", 1},
                 {" s sec second seconds ", 1000},
                 {" min m minute minutes ", 60000},
                 {" h hour hours ", 3600000},
                 {" d day days ", 86400000}};
    char unit[20];
    char *end;
    double value = strtod(text, &end);
    if (end == text || !(value >= 0)) {
        return false;
    }
    end += strspn(end, " ");
    if (snprintf(unit, sizeof unit, " %s ", *end != '\0' ? end : "ms") >= (int)sizeof unit) {
        return false;
    }
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcasestr(units[i].names, unit) != NULL && value * units[i].ms <= LONGEST_MS) {
            *ret_ms = (int64_t)(value * units[i].ms);
            return true;
        }
    }
    return false;
}

bool parse_duration_ms(const char *text, int *ret_ms)
{
    int64_t ms;
    if (!parse_long_duration_ms(text, &ms) || ms > INT_MAX) {
        return false;
    }
    *ret_ms = (int)ms;
    return true;
}

bool address_fits(const char *address)
{
    return address[0] != '\0' && strlen(address) <= PGK_ADDRESS_MAX_BYTES;
}

static const struct cli_option *find_option(const struct cli_option *options, size_t count,
                                            const char *arg, size_t length)
{
    for (size_t i = 0; i < count; i++) {
        if (strlen(options[i].name) == length && strncmp(options[i].name, arg, length) == 0) {
            return &options[i];
        }
    }
    return NULL;
}

static int store_value(const struct cli *cli, const struct cli_option *option, const char *value)
{
    switch (option->kind) {
    case OPTION_TEXT:
        *(const char **)option->target = value;
        return CLI_OK;
    case OPTION_DURATION_MS:
        if (!parse_duration_ms(value, option->target)) {
            return usage_error(cli, "%s takes a duration such as 500ms, 15s or 2min, not \"%s\"",
                               option->name, value);
        }
        return CLI_OK;
    case OPTION_NUMBER:
        if (!parse_number(value, option->target)) {
            return usage_error(cli, "%s takes a whole number, not \"%s\"", option->name, value);
        }
        return CLI_OK;
    case OPTION_LIST: {
        struct cli_list *list = option->target;
        list->items[list->count++] = value;
        return CLI_OK;
    }
    case OPTION_FLAG:
        break;
    }
    return usage_error(cli, "%s takes no value", option->name);
}

/* Handles argv[*i], which begins with '-', and its value; advances *i past a separate value. */
static int take_option(const struct cli *cli, int argc, char **argv, int *i,
                       const struct cli_option *options, size_t count)
{
    const char *arg = argv[*i];
    const char *equals = strncmp(arg, "--", 2) == 0 ? strchr(arg, '=') : NULL;
    size_t length = equals ? (size_t)(equals - arg) : strlen(arg);
    const struct cli_option *option = find_option(options, count, arg, length);
    if (option == NULL) {
        return usage_error(cli, "unknown option \"%.*s\"", (int)length, arg);
    }
    if (option->kind == OPTION_FLAG && equals == NULL) {
        *(bool *)option->target = true;
        return CLI_OK;
    }
    if (equals != NULL) {
        return store_value(cli, option, equals + 1);
    }
    if (*i + 1 >= argc) {
        return usage_error(cli, "%s needs a value", option->name);
    }
    return store_value(cli, option, argv[++*i]);
}

int parse_options(struct cli *cli, int argc, char **argv, const struct cli_option *options,
                  size_t option_count, struct cli_arguments *ret_arguments)
{
    *ret_arguments = (struct cli_arguments){0};
    const char **items = calloc((size_t)argc + 1, sizeof *items);
    if (items == NULL) {
        say(cli, "out of memory");
        return CLI_FAILED;
    }
    ret_arguments->positional.items = items;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--") == 0) {
            ret_arguments->rest = argv + i + 1;
            ret_arguments->rest_count = argc - i - 1;
            break;
        }
        if (argv[i][0] == '-' && argv[i][1] != '\0') {
            int code = take_option(cli, argc, argv, &i, options, option_count);
            if (code != CLI_OK) {
                arguments_free(ret_arguments);
                return code;
            }
            continue;
        }
        items[ret_arguments->positional.count++] = argv[i];
    }
    return CLI_OK;
}

void arguments_free(struct cli_arguments *arguments)
{
    free(arguments->positional.items);
    *arguments = (struct cli_arguments){0};
}
