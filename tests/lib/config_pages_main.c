/*
 * config_pages_main.c - prints a page of the documents with its lists of configuration keys made anew of
 * the table in core/config_keys.c: `./dev keys` writes that back, a check compares it.
 *
 * A list stands between the marks `<!-- keys: GROUP -->` and `<!-- end of keys -->` of Markdown, or `.\" keys`
 * and `.\" end of keys` of a manual page. One thread.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/config_keys.h"

#define MARK_MD "<!-- keys: "
#define END_MD "<!-- end of keys -->\n"
#define MARK_MAN ".\\\" keys\n"
#define END_MAN ".\\\" end of keys\n"
#define WIDTH 110

static void print_type(const struct config_key *key)
{
    printf("%s", config_type_name(key->type));
    for (size_t i = 0; key->type == CONFIG_ENUM && key->choices[i] != NULL; i++) {
        printf("%s`%s`", i > 0 ? ", " : " ", key->choices[i]);
    }
    printf("%s", key->secret ? ", secret" : "");
}

static void print_row(const struct config_key *key)
{
    char allowed[CONFIG_ALLOWED_SIZE] = "";
    printf("| `%s` | ", key->name);
    print_type(key);
    printf(" | `%s`%s |", key->default_text, key->default_text[0] == '\0' ? " (empty)" : "");
    if (key->type != CONFIG_ENUM && key->type != CONFIG_BOOLEAN) {
        config_key_allowed(key, allowed);
        printf(" %s", allowed);
    }
    printf(" |\n");
}

/* Words of `text`, wrapped; *column is where the line stands. */
static void print_wrapped(const char *text, size_t *column)
{
    while (*text != '\0') {
        size_t length = strcspn(text, " ");
        if (*column + 1 + length > WIDTH) {
            printf("\n ");
            *column = 1;
        }
        printf(" %.*s", (int)length, text);
        *column += length + 1;
        text += length + (text[length] == ' ' ? 1 : 0);
    }
}

static void print_bullet(const struct config_key *key)
{
    char variable[CONFIG_ENV_NAME_SIZE];
    config_key_env_name(key->name, variable);
    printf("- `%s` (`%s`):", key->name, variable);
    size_t column = strlen(key->name) + strlen(variable) + 10;
    print_wrapped(key->description, &column);
    for (size_t i = 0; key->also != NULL && key->also[i] != NULL; i++) {
        char also[160];
        snprintf(also, sizeof(also), "%s`%s`%s", i == 0 ? "Also " : "", key->also[i],
                 key->also[i + 1] != NULL ? "," : ".");
        print_wrapped(also, &column);
    }
    printf("\n");
}

static bool print_markdown(const char *group)
{
    size_t found = 0;
    printf("| key | type | default | limits |\n|---|---|---|---|\n");
    for (size_t pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < KEY_COUNT; i++) {
            if (strcmp(config_groups[config_keys[i].group].name, group) == 0) {
                (pass == 0 ? print_row : print_bullet)(&config_keys[i]);
                found++;
            }
        }
        printf("%s", pass == 0 ? "\n" : "");
    }
    return found > 0;
}

/* One sentence on each line, as manual pages have it; nothing in a description begins with a dot. */
static void print_sentences(const char *text)
{
    for (; *text != '\0'; text++) {
        bool end = *text == '.' && text[1] == ' ' && text[2] >= 'A' && text[2] <= 'Z';
        putchar(*text);
        if (end) {
            putchar('\n');
            text++;
        }
    }
    putchar('\n');
}

static void print_man_key(const struct config_key *key)
{
    char variable[CONFIG_ENV_NAME_SIZE];
    char allowed[CONFIG_ALLOWED_SIZE];
    config_key_env_name(key->name, variable);
    config_key_allowed(key, allowed);
    printf(".It Ic %s\n", key->name);
    print_sentences(key->description);
    printf("%c%s%s: %s.\n", config_type_name(key->type)[0] - 'a' + 'A',
           config_type_name(key->type) + 1, key->secret ? ", secret" : "", allowed);
    printf("Default: %s.\n", key->default_text[0] != '\0' ? key->default_text : "empty");
    for (size_t i = 0; key->also != NULL && key->also[i] != NULL; i++) {
        printf("%s.Ic %s%s\n", i == 0 ? "Also\n" : "", key->also[i],
               key->also[i + 1] != NULL ? " ," : " .");
    }
    printf(".br\n.Ev %s\n", variable);
}

static void print_man(void)
{
    for (size_t group = 0; group < GROUP_COUNT; group++) {
        printf(".Ss %s\n.Bl -tag -width Ds\n", config_groups[group].heading);
        for (size_t i = 0; i < KEY_COUNT; i++) {
            if (config_keys[i].group == (enum config_group)group) {
                print_man_key(&config_keys[i]);
            }
        }
        printf(".El\n");
    }
}

/* Prints a mark and what belongs behind it; false when the line is none. */
static bool print_list(const char *line, bool *ret_good)
{
    char group[32] = "";
    if (strcmp(line, MARK_MAN) == 0) {
        printf("%s", line);
        print_man();
        return true;
    }
    if (strncmp(line, MARK_MD, strlen(MARK_MD)) != 0) {
        return false;
    }
    size_t length = strcspn(line + strlen(MARK_MD), " ");
    if (length < sizeof(group)) {
        memcpy(group, line + strlen(MARK_MD), length);
    }
    printf("%s", line);
    *ret_good = print_markdown(group);
    return true;
}

int main(int argc, char **argv)
{
    char line[4096];
    bool inside = false;
    bool good = true;
    size_t lists = 0;
    FILE *page = argc == 2 ? fopen(argv[1], "r") : NULL;
    if (page == NULL) {
        fprintf(stderr, "usage: %s PAGE, which must be readable\n", argv[0]);
        return 2;
    }
    while (good && fgets(line, sizeof(line), page) != NULL) {
        if (inside && (strcmp(line, END_MD) == 0 || strcmp(line, END_MAN) == 0)) {
            inside = false;
        }
        if (!inside && print_list(line, &good)) {
            inside = true;
            lists++;
        } else if (!inside) {
            printf("%s", line);
        }
    }
    fclose(page);
    if (!good || inside || lists == 0) {
        fprintf(stderr, "%s: a list without its end, or of no group: \"%s\"\n", argv[1], line);
        return 1;
    }
    return 0;
}
