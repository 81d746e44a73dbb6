/* config.c - `pgkeeper config show`: the configuration in force, and where each value comes from. */
#include <string.h>

#include "output.h"
#include "stores.h"
#include "verbs.h"

#define TABLE_COLUMNS 4

const char help_config[] =
    "usage: pgkeeper config show [--set] [--format F] [KEY...]\n"
    "\n"
    "Prints the keys of the configuration, or those named, with the value in force\n"
    "and where it comes from: a call (an option of this command), the environment, a\n"
    "file with its line, or the default. The other formats also have what each key\n"
    "accepts and means. Secrets are not shown. Needs no database.\n"
    "\n"
    "Says on standard error what of a file has no effect, such as keys of Flink\n"
    "without an equivalent. Exit code 2 when values contradict each other.\n"
    "\n"
    "  --set   only what is set somewhere, no defaults\n";

static const char *const names[] = {"key",      "value",   "source",     "where",
                                    "type",     "allowed", "default",    "secret",
                                    "variable", "group",   "description"};

static bool is_named(const struct cli_list *keys, const char *key)
{
    for (int i = 0; i < keys->count; i++) {
        if (strcmp(keys->items[i], key) == 0) {
            return true;
        }
    }
    return keys->count == 0;
}

static void add_entry(PGresult *rows, const pgk_config_entry *entry)
{
    static const char *const origins[] = {"default", "file", "environment", "call"};
    const char *values[] = {
        entry->key,      entry->value,   origins[entry->origin], entry->where,
        entry->type,     entry->allowed, entry->default_value,   entry->secret ? "t" : "f",
        entry->variable, entry->group,   entry->description};
    output_add_row(rows, values);
}

static int check_keys(const struct cli *cli, const struct cli_list *keys)
{
    for (int i = 0; i < keys->count; i++) {
        if (pgk_config_get(cli->config, keys->items[i]) == NULL) {
            return usage_error(cli, "no key \"%s\"", keys->items[i]);
        }
    }
    return CLI_OK;
}

static int show(const struct cli *cli, bool only_set, const struct cli_list *keys)
{
    Oid types[sizeof names / sizeof names[0]];
    pgk_config_entry entry = {.size = sizeof entry};
    pgk_error error;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        types[i] = strcmp(names[i], "secret") == 0 ? OUTPUT_BOOL : OUTPUT_TEXT;
    }
    PGresult *rows = output_new_rows((int)(sizeof names / sizeof names[0]), names, types);
    if (rows == NULL) {
        say(cli, "out of memory");
        return CLI_FAILED;
    }
    for (size_t i = 0; pgk_config_describe(cli->config, i, &entry, &error) == PGK_OK; i++) {
        if (is_named(keys, entry.key) && !(only_set && entry.origin == PGK_CONFIG_DEFAULT)) {
            add_entry(rows, &entry);
        }
    }
    output_rows(stdout, cli->format, rows, TABLE_COLUMNS);
    PQclear(rows);
    const char *warning;
    for (size_t i = 0; (warning = pgk_config_warning(cli->config, i)) != NULL; i++) {
        say(cli, "%s", warning);
    }
    return pgk_config_check(cli->config, &error) == PGK_OK ? CLI_OK : fail(cli, &error);
}

static int config_show(struct cli *cli, int argc, char **argv)
{
    bool only_set = false;
    const struct cli_option options[] = {{"--set", OPTION_FLAG, &only_set}};
    struct cli_arguments arguments;
    int code = parse_options(cli, argc, argv, options, 1, &arguments);
    if (code != CLI_OK) {
        return code;
    }
    code = arguments.rest != NULL ? usage_error(cli, "takes no command")
                                  : check_keys(cli, &arguments.positional);
    if (code == CLI_OK) {
        code = show(cli, only_set, &arguments.positional);
    }
    arguments_free(&arguments);
    return code;
}

int cmd_config(struct cli *cli, int argc, char **argv)
{
    static const struct action actions[] = {{"show", config_show}};
    return run_action_of(cli, argc, argv, actions, 1);
}
