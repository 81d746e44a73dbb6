/*
 * Tests of core/config_file: the syntax of files, what is refused with its line, and rubbish of all
 * kinds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/config.h"
#include "core/settings.h"
#include "core/text.h"

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))
#define HA "high-availability."
#define PG "high-availability.postgres."

/* Parses a copy of `bytes`, as a file's content is parsed, in a block of just that size. */
static pgk_status parse(const char *bytes, size_t length, struct config_batch *batch,
                        pgk_error *err)
{
    char *text = malloc(length + 1);
    assert_non_null(text);
    memcpy(text, bytes, length);
    text[length] = '\0';
    error_reset(err);
    pgk_status status = config_parse_file(text, length, batch, err);
    free(text);
    return status;
}

static void expect_taken(const char *content, enum config_id key, const char *value)
{
    struct config_batch batch = {0};
    pgk_error err;
    if (parse(content, strlen(content), &batch, &err) != PGK_OK) {
        fail_msg("`%s`: %s", content, err.message);
    }
    if (value == NULL) {
        assert_null(batch.texts[key]);
    } else {
        assert_non_null(batch.texts[key]);
        assert_string_equal(batch.texts[key], value);
    }
    config_free_batch(&batch);
}

static void expect_refused(const char *content, const char *part, const char *other)
{
    struct config_batch batch = {0};
    pgk_error err;
    pgk_status status = parse(content, strlen(content), &batch, &err);
    if (status != PGK_ERR_CONFIG || strstr(err.message, part) == NULL ||
        strstr(err.message, other) == NULL) {
        fail_msg("`%s`: %s: %s", content, pgk_status_name(status), err.message);
    }
    config_free_batch(&batch);
}

static void test_config_file__values__are_taken_from_their_lines(void **state)
{
    (void)state;
    static const struct {
        const char *content;
        const char *cluster_id;
    } cases[] = {
        {HA "cluster-id: orders\n", "orders"},
        {HA "cluster-id: orders", "orders"},
        {HA "cluster-id:orders", "orders"},
        {HA "cluster-id \t:  orders \t ", "orders"},
        {HA "cluster-id: orders\r\n", "orders"},
        {HA "cluster-id: orders \r\n\r\n# x\r\n", "orders"},
        {HA "cluster-id: two words", "two words"},
        {HA "cluster-id: a:b: c", "a:b: c"},
        {HA "cluster-id: orders # comment", "orders"},
        {HA "cluster-id: orders\t# comment # more", "orders"},
        {HA "cluster-id: or#ders", "or#ders"},
        {HA "cluster-id:#x", "#x"},
        {HA "cluster-id: \"orders\"", "orders"},
        {HA "cluster-id: \" a # b \"  # comment", " a # b "},
        {HA "cluster-id: \"a\\\"b\\\\c\"", "a\"b\\c"},
        {HA "cluster-id: 'it''s'", "it's"},
        {HA "cluster-id: 'a\\b'", "a\\b"},
        {HA "cluster-id: a\\nb", "a\\nb"},
        {HA "cluster-id: a\"b", "a\"b"},
        {"\"" HA "cluster-id\": orders", "orders"},
        {"'" HA "cluster-id' : orders", "orders"},
        {"---\n" HA "cluster-id: orders", "orders"},
        {"\xEF\xBB\xBF" HA "cluster-id: orders", "orders"},
        {"\n  \n# a\n   # b\n\t\n" HA "cluster-id: orders\n\n", "orders"},
        {"# " HA "cluster-id: orders", NULL},
        {"", NULL},
        {"\n", NULL},
        {"\xEF\xBB\xBF", NULL},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        expect_taken(cases[i].content, KEY_CLUSTER_ID, cases[i].cluster_id);
    }
    expect_taken(PG "uri:\n", KEY_URI, "");
    expect_taken(PG "uri: # none\n", KEY_URI, "");
    expect_taken(PG "uri: \"\"\n", KEY_URI, "");
}

static void test_config_file__keys_of_others__are_passed_over(void **state)
{
    (void)state;
    expect_taken("jobmanager.rpc.address: localhost\n"
                 "taskmanager.numberOfTaskSlots: 4\n"
                 "env.java.opts.all: \"-Dx -Dy\n" /* a quote that we need not understand */
                 "metrics.scope.<x>: y\n"
                 "strange key with blanks: \xFF\xFE\n"
                 "\"quoted: key\": [1, 2]\n"
                 "foo:\n" HA "cluster-id: orders\n",
                 KEY_CLUSTER_ID, "orders");
}

static void test_config_file__bad_lines__are_refused_with_their_number(void **state)
{
    (void)state;
    static const struct {
        const char *content;
        const char *part;
        const char *other;
    } cases[] = {
        {"a: b\nno colon here\n", "line 2:", "a colon must follow"},
        {"word", "line 1:", "a colon must follow"},
        {"\n\n" HA "cluster-id orders\n", "line 3:", "a colon must follow"},
        {HA "cluster-id=a:b\n", "line 1:", "a colon must follow"},
        {PG "uri=postgresql://b\n", "line 1:", "a colon must follow"},
        {"retrieval.mode listen: x\n", "line 1:", "a colon must follow"},
        {"high-availability:\n  type: postgres\n", "line 2:", "nested"},
        {"a: b\n\tc: d\n", "line 2:", "nested"},
        {"list:\n- a\n", "line 2:", "nested"},
        {"-\n", "line 1:", "nested"},
        {PG "leese: 1 s\n", "line 1:", "did you mean " PG "lease?"},
        {"retrieval.nothing-like-it: 1 s\n",
         "line 1:", "unknown key \"retrieval.nothing-like-it\""},
        {"leader-election.x: 1 s\n", "line 1:", "unknown key"},
        {HA "cluster-id:\n", "line 1:", "empty"},
        {HA "cluster-id: # x\n", "line 1:", "empty"},
        {HA "cluster-id: ''\n", "line 1:", "empty"},
        {"\n" HA "cluster-id: 'x\n", "line 2:", "quote is not closed"},
        {HA "cluster-id: \"x\\\"\n", "line 1:", "quote is not closed"},
        {HA "cluster-id: \"x\\n\"\n", "line 1:", "\\"},
        {HA "cluster-id: \"x\" y\n", "line 1:", "more text follows"},
        {HA "cluster-id: \"x\"# y\n", "line 1:", "more text follows"},
        {HA "cluster-id: \xFF\n", "line 1:", "UTF-8"},
        {"\"" HA "cluster-id: x\n", "line 1:", "quote around the key"},
        {HA "cluster-id: |\n  x\n", "line 1:", "put it in quotes"},
        {HA "cluster-id: [a, b]\n", "line 1:", "put it in quotes"},
        {HA "cluster-id: *alias\n", "line 1:", "put it in quotes"},
        {"{" HA "cluster-id: x}\n", "line 1:", "nested"},
        {"[a: b]\n", "line 1:", "nested"},
        {"jobmanager:\n  rpc:\n    address: x\n", "line 2:", "`jobmanager.rpc: ...`"},
        {"high-availability: # of the cluster\n\n# a\n  type: postgres\n",
         "line 4:", "`high-availability.type: ...`"},
        {"high-availability:\na: b\n", "line 1:", HA "type \"\": is empty"},
        {"a:\n  - b\n", "line 2:", "nested"},
        {"\"a\xFF\":\n  b: c\n", "line 2:", "`a?.b: ...`"},
        {"a: b\n  c: d\n", "line 2:", "`" HA "cluster-id: ...`"},
        {"execution.checkpointing.num-retained: 0\n", "line 1:", "from 1 to 1000000"},
        {"state.checkpoints.num-retained: 0\n",
         "line 1: state.checkpoints.num-retained: ", "execution.checkpointing.num-retained \"0\""},
        {"a: b\nhigh-availability: ZooKeeper\n",
         "line 2: high-availability: ", "none, standalone, embedded, postgres"},
        {"retrieval.mode: push\r\n", "line 1:", "\"push\": must be one of listen, poll"},
        {PG "lease: 15 lightyears\n", "line 1:", PG "lease \"15 lightyears\": unknown unit"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        expect_refused(cases[i].content, cases[i].part, cases[i].other);
    }
}

static void test_config_file__nul_byte__is_refused(void **state)
{
    (void)state;
    static const char content[] = "a: b\n" HA "cluster-id: x\0y\n";
    struct config_batch batch = {0};
    pgk_error err;
    assert_int_equal(parse(content, sizeof(content) - 1, &batch, &err), PGK_ERR_CONFIG);
    assert_non_null(strstr(err.message, "line 2: the line holds a NUL byte"));
    config_free_batch(&batch);
    memset(&batch, 0, sizeof(batch));
    assert_int_equal(parse("\0", 1, &batch, &err), PGK_ERR_CONFIG);
    config_free_batch(&batch);
}

static void test_config_file__long_line__is_refused_beyond_64_kib(void **state)
{
    (void)state;
    size_t size = 64 * 1024;
    char *content = calloc(1, size + 2);
    assert_non_null(content);
    memset(content, '#', size);
    expect_taken(content, KEY_CLUSTER_ID, NULL);
    content[size] = '#';
    expect_refused(content, "line 1:", "longer than 65536 bytes");
    free(content);
}

struct files {
    char directory[64];
    char path[128];
};

static int set_up_files(void **state)
{
    static struct files files;
    snprintf(files.directory, sizeof(files.directory), "/tmp/pgk_files_XXXXXX");
    assert_non_null(mkdtemp(files.directory));
    snprintf(files.path, sizeof(files.path), "%s/pgkeeper.yaml", files.directory);
    *state = &files;
    return 0;
}

static int tear_down_files(void **state)
{
    struct files *files = *state;
    unlink(files->path);
    rmdir(files->directory);
    return 0;
}

static void write_bytes(const struct files *files, const char *bytes, size_t length)
{
    FILE *file = fopen(files->path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, length, file), length);
    assert_int_equal(fclose(file), 0);
}

static void test_config_file__not_readable__is_an_io_error(void **state)
{
    const struct files *files = *state;
    pgk_config *config;
    pgk_error err;
    assert_int_equal(pgk_config_new(&config, &err), PGK_OK);
    assert_int_equal(pgk_config_load_file(config, files->path, &err), PGK_ERR_IO);
    assert_non_null(strstr(err.message, files->path));
    assert_non_null(strstr(err.message, "No such file"));
    assert_int_equal(pgk_config_load_file(config, files->directory, &err), PGK_ERR_IO);
    assert_int_equal(pgk_config_load_file(config, "", &err), PGK_ERR_IO);
    pgk_config_free(config);
}

static void test_config_file__larger_than_1_mib__is_refused(void **state)
{
    const struct files *files = *state;
    size_t most = 1024 * 1024;
    char *bytes = malloc(most + 1);
    assert_non_null(bytes);
    memset(bytes, '\n', most + 1);
    pgk_config *config;
    pgk_error err;
    assert_int_equal(pgk_config_new(&config, &err), PGK_OK);
    write_bytes(files, bytes, most);
    assert_int_equal(pgk_config_load_file(config, files->path, &err), PGK_OK);
    write_bytes(files, bytes, most + 1);
    assert_int_equal(pgk_config_load_file(config, files->path, &err), PGK_ERR_CONFIG);
    assert_non_null(strstr(err.message, "larger than 1048576 bytes"));
    assert_int_equal(pgk_config_load_file(config, "/dev/zero", &err), PGK_ERR_CONFIG);
    pgk_config_free(config);
    free(bytes);
}

static void test_config_file__error__takes_nothing_of_the_file(void **state)
{
    const struct files *files = *state;
    static const char content[] = HA "cluster-id: new\n" PG "schema: new\nretrieval.mode: push\n";
    pgk_config *config;
    pgk_error err;
    assert_int_equal(pgk_config_new(&config, &err), PGK_OK);
    write_bytes(files, HA "cluster-id: old\n", strlen(HA "cluster-id: old\n"));
    assert_int_equal(pgk_config_load_file(config, files->path, &err), PGK_OK);
    write_bytes(files, content, strlen(content));
    assert_int_equal(pgk_config_load_file(config, files->path, &err), PGK_ERR_CONFIG);
    assert_non_null(strstr(err.message, "pgkeeper.yaml: line 3: retrieval.mode \"push\""));
    assert_string_equal(pgk_config_get(config, HA "cluster-id"), "old");
    assert_string_equal(pgk_config_get(config, PG "schema"), "pgkeeper");
    pgk_config_free(config);
}

/* Rubbish with a fixed seed: whatever the bytes, there is a status, a plain sentence that fits,
 * values that would be accepted again, and nothing for the sanitizers to find. */
static uint64_t random_state;

static size_t random_below(size_t limit)
{
    random_state = random_state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (size_t)(random_state >> 33) % limit;
}

static const char *const pieces[] = {
    "\n",
    "\r\n",
    ":",
    ": ",
    " ",
    "\t",
    "#",
    " #",
    "\"",
    "'",
    "''",
    "\\",
    "\\\"",
    "---",
    "- ",
    "\xEF\xBB\xBF",
    "\xFF",
    "\xC3",
    "\xF0\x9F\x98",
    "=",
    "-1",
    "99999999999999999999",
    "1 s",
    "500 ms",
    "2 min",
    "1 d",
    "postgres",
    "listen",
    "on",
    "yes",
    PG,
    HA,
    "retrieval.",
    "leader-election.",
    "x: y\n",
    "8",
};

static size_t make_rubbish(char *out, size_t size)
{
    size_t used = 0;
    size_t count = random_below(40);
    for (size_t i = 0; i < count; i++) {
        char raw[2] = {(char)random_below(256), '\0'};
        const char *piece = raw;
        size_t length = 1;
        size_t kind = random_below(8);
        if (kind < 3) {
            piece = pieces[random_below(COUNT(pieces))];
            length = strlen(piece);
        } else if (kind < 5) {
            piece = config_keys[random_below(KEY_COUNT)].name;
            length = strlen(piece);
        } else if (kind < 7) {
            piece = kind == 5 ? ": " : "\n";
            length = strlen(piece);
        }
        if (used + length > size) {
            break;
        }
        memcpy(out + used, piece, length);
        used += length;
    }
    return used;
}

static size_t make_mutation(char *out, size_t size)
{
    static const char good[] =
        "# Flink\n" HA "type: postgres\n" HA "cluster-id: \"a # b\" # c\n" PG
        "uri: 'host=a,b password=it''s'\r\n" PG "profile: WAN\n" PG "lease: 4 s\n"
        "jobmanager.rpc.address: x\nretrieval.mode: poll\nretrieval.poll-interval: 500 ms\n"
        "leader-election.scope: component\n" PG "max-connections: 16\n" PG
        "durable-heartbeat: yes\nmember.name: \xE2\x82\xAC\n";
    size_t length = sizeof(good) - 1;
    assert_true(length + 64 < size);
    memcpy(out, good, length);
    for (size_t i = random_below(6) + 1; i > 0 && length > 0; i--) {
        size_t at = random_below(length);
        switch (random_below(4)) {
        case 0: /* another byte */
            out[at] = (char)random_below(256);
            break;
        case 1: /* a byte less */
            memmove(out + at, out + at + 1, length - at - 1);
            length--;
            break;
        case 2: /* a byte more */
            memmove(out + at + 1, out + at, length - at);
            out[at] = pieces[random_below(COUNT(pieces))][0];
            length++;
            break;
        default: /* cut */
            length = random_below(8) == 0 ? at + 1 : length;
            break;
        }
    }
    return length;
}

/* What was parsed can be used: each value is accepted again and means something. */
static void use_batch(struct config_batch *batch)
{
    pgk_config *config;
    pgk_error err;
    assert_int_equal(pgk_config_new(&config, &err), PGK_OK);
    for (size_t key = 0; key < KEY_COUNT; key++) {
        if (batch->texts[key] != NULL) {
            assert_int_equal(pgk_config_set(config, config_keys[key].name, batch->texts[key], &err),
                             PGK_OK);
        }
    }
    config_take_batch(config, SOURCE_FILE, batch);
    struct settings *settings = NULL;
    if (settings_new(config, &settings, &err) == PGK_OK) {
        assert_true(settings->profile.lease_ms >= 30);
    }
    settings_free(settings);
    pgk_config_free(config);
}

static void test_config_file__rubbish__is_refused_or_read_and_harms_nothing(void **state)
{
    (void)state;
    size_t accepted = 0;
    size_t taken = 0;
    random_state = 20240607;
    for (int round = 0; round < 20000; round++) {
        char content[2048];
        size_t length = round % 2 == 0 ? make_rubbish(content, sizeof(content))
                                       : make_mutation(content, sizeof(content));
        struct config_batch batch = {0};
        pgk_error err;
        pgk_status status = parse(content, length, &batch, &err);
        assert_int_equal(err.status, status);
        if (status == PGK_OK) {
            accepted++;
            taken += batch.texts[KEY_CLUSTER_ID] != NULL ? 1 : 0;
            use_batch(&batch);
        } else {
            assert_int_equal(status, PGK_ERR_CONFIG);
            assert_int_equal(strncmp(err.message, "line ", 5), 0);
            assert_true(text_is_valid(err.message, 10, sizeof(err.message) - 1));
            assert_null(strpbrk(err.message, "\r\n"));
        }
        config_free_batch(&batch);
    }
    /* It is no test of the first line only. */
    assert_in_range(accepted, 1000, 19000);
    assert_in_range(taken, 500, 19000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config_file__values__are_taken_from_their_lines),
        cmocka_unit_test(test_config_file__keys_of_others__are_passed_over),
        cmocka_unit_test(test_config_file__bad_lines__are_refused_with_their_number),
        cmocka_unit_test(test_config_file__nul_byte__is_refused),
        cmocka_unit_test(test_config_file__long_line__is_refused_beyond_64_kib),
        cmocka_unit_test_setup_teardown(test_config_file__not_readable__is_an_io_error,
                                        set_up_files, tear_down_files),
        cmocka_unit_test_setup_teardown(test_config_file__larger_than_1_mib__is_refused,
                                        set_up_files, tear_down_files),
        cmocka_unit_test_setup_teardown(test_config_file__error__takes_nothing_of_the_file,
                                        set_up_files, tear_down_files),
        cmocka_unit_test(test_config_file__rubbish__is_refused_or_read_and_harms_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
