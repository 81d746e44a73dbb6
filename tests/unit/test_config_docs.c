/*
 * Tests that docs/configuration.md says what the table of keys says, so that the two cannot drift
 * apart.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/config.h"
#include "core/duration.h"
#include "core/text.h"

static char *page; /* docs/configuration.md */
static char *from_flink;

static char *read_file(const char *path)
{
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    char *text = calloc(1, 1 << 20);
    assert_non_null(text);
    assert_true(fread(text, 1, (1 << 20) - 1, file) > 0);
    fclose(file);
    return text;
}

static int read_page(void **state)
{
    (void)state;
    page = read_file(PGK_SOURCE_DIR "/docs/configuration.md");
    from_flink = read_file(PGK_SOURCE_DIR "/docs/from-flink.md");
    return 0;
}

static int free_page(void **state)
{
    (void)state;
    free(page);
    free(from_flink);
    return 0;
}

/* Copies the line that begins with `beginning` into out; the test fails when there is not just
 * one. */
static void find_line(const char *beginning, char *out, size_t size)
{
    char sought[256];
    text_format(sought, sizeof(sought), "\n%s", beginning);
    const char *found = strstr(page, sought);
    if (found == NULL) {
        fail_msg("docs/configuration.md has no line `%s...`", beginning);
        return;
    }
    if (strstr(found + 1, sought) != NULL) {
        fail_msg("docs/configuration.md has more than one line `%s...`", beginning);
    }
    size_t length = strcspn(found + 1, "\n");
    text_copy(out, length < size ? length + 1 : size, found + 1);
}

static void expect(const char *line, const char *part, const char *key)
{
    if (strstr(line, part) == NULL) {
        fail_msg("%s: `%s` is missing in: %s", key, part, line);
    }
}

static void describe_type(const struct config_key *key, char *out, size_t size)
{
    static const char *const names[] = {"string", "duration", "integer", "boolean", "one of "};
    text_copy(out, size, names[key->type]);
    for (size_t i = 0; key->type == CONFIG_ENUM && key->choices[i] != NULL; i++) {
        size_t used = strlen(out);
        text_format(out + used, size - used, "%s`%s`", i > 0 ? ", " : "", key->choices[i]);
    }
}

static void describe_limits(const struct config_key *key, char *out, size_t size)
{
    if (key->type == CONFIG_DURATION) {
        char least[DURATION_TEXT_SIZE];
        char most[DURATION_TEXT_SIZE];
        duration_format(key->min, least);
        duration_format(key->max, most);
        text_format(out, size, "| %s to %s |", least, most);
    } else if (key->type == CONFIG_STRING && key->min == 0) {
        text_format(out, size, "| at most %" PRId64 " bytes |", key->max);
    } else if (key->type == CONFIG_STRING) {
        text_format(out, size, "| %" PRId64 " to %" PRId64 " bytes |", key->min, key->max);
    } else if (key->type == CONFIG_INTEGER) {
        text_format(out, size, "| %" PRId64 " to %" PRId64 " |", key->min, key->max);
    } else {
        text_copy(out, size, "| |");
    }
}

static void test_config_docs__each_key__stands_in_a_table_with_type_default_and_limits(void **state)
{
    (void)state;
    for (size_t i = 0; i < KEY_COUNT; i++) {
        const struct config_key *key = &config_keys[i];
        char beginning[128];
        char line[512];
        char part[256];
        text_format(beginning, sizeof(beginning), "| `%s` |", key->name);
        find_line(beginning, line, sizeof(line));
        describe_type(key, part, sizeof(part));
        expect(line, part, key->name);
        text_format(part, sizeof(part), "| `%s`", key->default_text);
        expect(line + strlen(beginning), part, key->name);
        describe_limits(key, part, sizeof(part));
        expect(line, part, key->name);
        assert_true(key->secret == (strstr(line, ", secret") != NULL));
    }
}

static void test_config_docs__each_key__is_explained_with_its_variable(void **state)
{
    (void)state;
    for (size_t i = 0; i < KEY_COUNT; i++) {
        char variable[CONFIG_ENV_NAME_SIZE];
        char beginning[256];
        char line[512];
        config_key_env_name(config_keys[i].name, variable);
        text_format(beginning, sizeof(beginning), "- `%s` (`%s`):", config_keys[i].name, variable);
        find_line(beginning, line, sizeof(line));
    }
}

static void test_config_docs__each_profile__has_its_values(void **state)
{
    (void)state;
    for (size_t i = 0; config_keys[KEY_PROFILE].choices[i] != NULL; i++) {
        const char *name = config_keys[KEY_PROFILE].choices[i];
        char row[256];
        char line[512];
        text_format(row, sizeof(row), "| `%s` | %s | %s | %s | %s |", name,
                    config_profile_text(name, KEY_HEARTBEAT), config_profile_text(name, KEY_LEASE),
                    config_profile_text(name, KEY_SESSION_TIMEOUT),
                    config_profile_text(name, KEY_GRACE));
        find_line(row, line, sizeof(line));
    }
}

/* The other way round: no row of a key that is gone. */
static void test_config_docs__each_row_of_a_key__is_of_the_table(void **state)
{
    (void)state;
    size_t rows = 0;
    for (const char *at = strstr(page, "\n| `"); at != NULL; at = strstr(at + 1, "\n| `")) {
        char name[128];
        const char *begin = at + 4;
        size_t length = strcspn(begin, "`");
        text_copy(name, length < sizeof(name) ? length + 1 : sizeof(name), begin);
        bool profile = config_profile_text(name, KEY_LEASE) != NULL;
        if (!profile && config_key_find(name, NULL) == KEY_COUNT) {
            fail_msg("docs/configuration.md has a row for `%s`, which is no key", name);
        }
        rows += profile ? 0 : 1;
    }
    assert_int_equal(rows, KEY_COUNT);
}

/* docs/from-flink.md has every other spelling, in the row of its key. */
static void test_config_docs__each_other_spelling__is_in_the_page_for_flink(void **state)
{
    (void)state;
    for (size_t i = 0; i < KEY_COUNT; i++) {
        const char *const *also = config_keys[i].also;
        for (; also != NULL && *also != NULL; also++) {
            char word[128];
            char key[128];
            char row[512];
            text_format(word, sizeof(word), "`%s`", *also);
            text_format(key, sizeof(key), "`%s`", config_keys[i].name);
            const char *found = strstr(from_flink, word);
            if (found == NULL) {
                fail_msg("docs/from-flink.md has no %s", word);
                return;
            }
            size_t length = strcspn(found, "\n");
            text_copy(row, length < sizeof(row) ? length + 1 : sizeof(row), found);
            expect(row, key, *also);
        }
    }
}

/* And each key that its tables have is taken or leaves a warning. */
static void test_config_docs__each_key_for_flink__is_known(void **state)
{
    (void)state;
    const char *at = strstr(from_flink, "## Configuration");
    const char *end = strstr(from_flink, "## The services");
    size_t keys = 0;
    assert_non_null(at);
    assert_non_null(end);
    for (at = strstr(at, "\n| `"); at != NULL && at < end; at = strstr(at + 1, "\n| `")) {
        const char *cell_end = strstr(at, " | ");
        for (const char *tick = strchr(at, '`'); tick != NULL && tick < cell_end;
             tick = strchr(strchr(tick + 1, '`') + 1, '`')) {
            char name[128];
            size_t length = strcspn(tick + 1, "`");
            text_copy(name, length < sizeof(name) ? length + 1 : sizeof(name), tick + 1);
            keys++;
            if (config_key_find(name, NULL) == KEY_COUNT && config_foreign_advice(name) == NULL) {
                fail_msg("docs/from-flink.md has a row for `%s`, of which nothing is known", name);
            }
        }
    }
    assert_true(keys >= 35);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            test_config_docs__each_key__stands_in_a_table_with_type_default_and_limits),
        cmocka_unit_test(test_config_docs__each_key__is_explained_with_its_variable),
        cmocka_unit_test(test_config_docs__each_profile__has_its_values),
        cmocka_unit_test(test_config_docs__each_row_of_a_key__is_of_the_table),
        cmocka_unit_test(test_config_docs__each_other_spelling__is_in_the_page_for_flink),
        cmocka_unit_test(test_config_docs__each_key_for_flink__is_known),
    };
    return cmocka_run_group_tests(tests, read_page, free_page);
}
