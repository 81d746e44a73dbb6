/*
 * completion.c - `pgkeeper completion bash`: a script made from the table of verbs and their help texts, so that it
 * knows every verb, action and option that they name.
 *
 * Touches no database.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "stores.h"
#include "verbs.h"

const char help_completion[] =
    "usage: pgkeeper completion bash\n"
    "\n"
    "Prints a script that lets bash complete verbs, actions and options:\n"
    "\n"
    "  source <(pgkeeper completion bash)\n"
    "  pgkeeper completion bash >/etc/bash_completion.d/pgkeeper\n";

#define WORDS_SIZE 1024

struct words {
    char text[WORDS_SIZE]; /* " one two ", so that a word is found between blanks */
};

static void add_word(struct words *words, const char *word, size_t length)
{
    char spaced[64];
    size_t used = strlen(words->text);
    int n = snprintf(spaced, sizeof spaced, " %.*s ", (int)length, word);
    if (n >= (int)sizeof spaced || used + length + 2 >= sizeof words->text ||
        strstr(words->text, spaced) != NULL) {
        return;
    }
    /* The blank at the end of one is that before the next. */
    snprintf(words->text + used, sizeof words->text - used, "%s", used > 0 ? spaced + 1 : spaced);
}

static size_t name_length(const char *text)
{
    size_t length = 0;
    while (islower((unsigned char)text[length]) || text[length] == '-') {
        length++;
    }
    return length;
}

/* Every "--word" of a help text. */
static void add_options(struct words *words, const char *help)
{
    for (const char *p = strstr(help, "--"); p != NULL; p = strstr(p, "--")) {
        size_t length = 2 + name_length(p + 2);
        if (length > 2 && (p == help || !isalnum((unsigned char)p[-1]))) {
            add_word(words, p, length);
        }
        p += length;
    }
}

/* The words in the place of an action: "pgkeeper VERB word", or "pgkeeper VERB [one|two]" in the usage. */
static void add_actions(struct words *words, const struct cli_verb *verb)
{
    char start[64];
    int n = snprintf(start, sizeof start, " pgkeeper %s ", verb->name);
    const char *end = strstr(verb->help, "\n\n");
    for (const char *p = strstr(verb->help, start); p != NULL && (end == NULL || p < end);
         p = strstr(p, start)) {
        p += n;
        if (*p == '[') {
            p++;
        }
        for (size_t length = name_length(p); length > 0 && p[0] != '-'; length = name_length(p)) {
            add_word(words, p, length);
            p += length;
            if (*p != '|') {
                break;
            }
            p++;
        }
    }
}

static void print_verb(const struct cli_verb *verb)
{
    struct words words = {0};
    add_actions(&words, verb);
    add_options(&words, verb->help);
    printf("    %s) words=\"%s\" ;;\n", verb->name, words.text[0] != '\0' ? words.text + 1 : "");
}

static void print_bash(void)
{
    size_t count;
    const struct cli_verb *verbs = cli_verbs(&count);
    struct words globals = {0};
    add_options(&globals, cli_global_help);
    printf("# bash completion for pgkeeper, made by `pgkeeper completion bash`\n"
           "_pgkeeper() {\n"
           "    local cur=${COMP_WORDS[COMP_CWORD]} verb='' words='' i\n"
           "    local globals=\"%s\"\n"
           "    local verbs=\"",
           globals.text + 1);
    for (size_t i = 0; i < count; i++) {
        printf("%s%s", i > 0 ? " " : "", verbs[i].name);
    }
    printf(
        "\"\n"
        "    COMPREPLY=()\n"
        "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
        "        case ${COMP_WORDS[i]} in\n"
        "        --) [ \"$verb\" = run ] && { compopt -o default; return; } ;;\n"
        "        -d | --dbname | --schema | --cluster | --config | --format) i=$((i + 1)) ;;\n"
        "        -*) ;;\n"
        "        *) verb=${COMP_WORDS[i]}; break ;;\n"
        "        esac\n"
        "    done\n"
        "    for ((i++; i < COMP_CWORD; i++)); do\n"
        "        [ \"${COMP_WORDS[i]}\" = -- ] && { compopt -o default; return; }\n"
        "    done\n"
        "    case ${COMP_WORDS[COMP_CWORD-1]} in\n"
        "    --format) COMPREPLY=($(compgen -W 'table json ndjson csv' -- \"$cur\")); return ;;\n"
        "    --config) compopt -o default; return ;;\n"
        "    esac\n"
        "    case $verb in\n"
        "    '') words=$verbs ;;\n"
        "    help) words=$verbs ;;\n");
    for (size_t i = 0; i < count; i++) {
        if (strcmp(verbs[i].name, "help") != 0) {
            print_verb(&verbs[i]);
        }
    }
    printf("    esac\n"
           "    COMPREPLY=($(compgen -W \"$words $globals\" -- \"$cur\"))\n"
           "    [ ${#COMPREPLY[@]} -gt 0 ] || compopt -o default\n"
           "}\n"
           "complete -F _pgkeeper pgkeeper\n");
}

int cmd_completion(struct cli *cli, int argc, char **argv)
{
    const char *shell = NULL;
    const struct wanted wanted = {"the name of a shell: bash", 1, 1};
    int code = parse_action(cli, argc, argv, NULL, 0, &wanted, &shell);
    if (code != CLI_OK) {
        return code;
    }
    if (strcmp(shell, "bash") != 0) {
        return usage_error(cli, "knows bash, not \"%s\"", shell);
    }
    print_bash();
    return CLI_OK;
}
