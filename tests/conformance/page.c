/*
 * tests/conformance/page.c - makes the table of modes in docs/modes.md anew of the declarations (modes.c): `./dev modes`
 * writes it back, a check compares it. It stands between `<!-- modes -->` and `<!-- end of modes -->`.
 */
#include "suite.h"

#define BEGIN "<!-- modes -->\n"
#define END "<!-- end of modes -->\n"
#define WIDTH 110

static void print_wrapped(const char *text, size_t column)
{
    while (*text != '\0') {
        size_t length = strcspn(text, " ");
        if (column + 1 + length > WIDTH) {
            printf("\n ");
            column = 1;
        }
        printf(" %.*s", (int)length, text);
        column += length + 1;
        text += length + (text[length] == ' ' ? 1 : 0);
    }
    printf("\n");
}

static void print_rows(void)
{
    printf("| pgkeeper ... |");
    for (size_t mode = 0; mode < MODES; mode++) {
        printf(" `%s` |", modes[mode]->name);
    }
    printf("\n|---|---|---|---|\n");
    for (size_t i = 0; i < CAPABILITIES; i++) {
        printf("| %s |", declarations[i].what);
        for (size_t mode = 0; mode < MODES; mode++) {
            printf(" %s |", declarations[i].lacks[mode] == NULL ? "yes" : "no");
        }
        printf("\n");
    }
}

static void print_sentences(enum mode_id mode)
{
    printf("\nWhat `%s` does instead:\n\n", modes[mode]->name);
    for (size_t i = 0; i < CAPABILITIES; i++) {
        if (declarations[i].lacks[mode] != NULL) {
            printf("- *%s*:", declarations[i].what);
            print_wrapped(declarations[i].lacks[mode], strlen(declarations[i].what) + 5);
        }
    }
}

static void print_table(void)
{
    print_rows();
    for (size_t mode = 0; mode < MODES; mode++) {
        print_sentences((enum mode_id)mode);
    }
}

int page_print(const char *path)
{
    char line[4096];
    bool inside = false;
    size_t tables = 0;
    FILE *page = fopen(path, "r");
    if (page == NULL) {
        perror(path);
        return 2;
    }
    while (fgets(line, sizeof(line), page) != NULL) {
        inside = inside && strcmp(line, END) != 0;
        if (!inside) {
            printf("%s", line);
        }
        if (!inside && strcmp(line, BEGIN) == 0) {
            print_table();
            inside = true;
            tables++;
        }
    }
    fclose(page);
    if (inside || tables != 1) {
        fprintf(stderr, "%s: not exactly one table of modes, with its end\n", path);
        return 1;
    }
    return 0;
}
