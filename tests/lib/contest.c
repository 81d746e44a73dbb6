/* tests/lib/contest.c - see contest.h. */
#include "contest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "wait.h"

#ifndef PGK_TEST_CONTENDER
#define PGK_TEST_CONTENDER "test_contender" /* by PATH */
#endif
#define MAX_ARGS 64

static struct process *spawn(struct fixture *fixture, const char *name, bool contends, va_list more)
{
    const char *argv[MAX_ARGS] = {PGK_TEST_CONTENDER,
                                  "--conninfo",
                                  fixture->conninfo,
                                  "--cluster",
                                  FIXTURE_CLUSTER,
                                  "--name",
                                  name,
                                  "--address",
                                  name,
                                  "--belief",
                                  fixture->belief_path};
    size_t count = 11;
    bool named = false;
    const char *arg;
    while ((arg = va_arg(more, const char *)) != NULL) {
        assert_true(count < MAX_ARGS - 3);
        named = named || strcmp(arg, "--component") == 0;
        argv[count++] = arg;
    }
    if (contends && !named) {
        argv[count++] = "--component";
        argv[count++] = CONTEST_COMPONENT;
    }
    return process_start(name, argv, NULL, 0, 0);
}

struct process *contest_spawn(struct fixture *fixture, const char *name, ...)
{
    va_list more;
    va_start(more, name);
    struct process *contender = spawn(fixture, name, true, more);
    va_end(more);
    return contender;
}

struct process *contest_start(struct fixture *fixture, const char *name, ...)
{
    va_list more;
    va_start(more, name);
    struct process *contender = spawn(fixture, name, true, more);
    va_end(more);
    process_expect(contender, "open - PGK_OK", WAIT_LONG_MS);
    return contender;
}

struct process *contest_follow(struct fixture *fixture, const char *name, ...)
{
    va_list more;
    va_start(more, name);
    struct process *contender = spawn(fixture, name, false, more);
    va_end(more);
    process_expect(contender, "open - PGK_OK", WAIT_LONG_MS);
    return contender;
}

void line_word(const char *line, size_t index, char *out, size_t size)
{
    for (size_t i = 0; i < index; i++) {
        line += strcspn(line, " ");
        line += strspn(line, " ");
    }
    snprintf(out, size, "%.*s", (int)strcspn(line, " "), line);
}

int64_t line_number(const char *line, const char *key)
{
    const char *at = strstr(line, key);
    if (at == NULL) {
        fail_msg("no \"%s\" in \"%s\"", key, line);
        return 0;
    }
    return strtoll(at + strlen(key), NULL, 10);
}

static int64_t line_epoch(const char *line)
{
    char word[64];
    line_word(line, 3, word, sizeof(word));
    return strtoll(word, NULL, 10);
}

int64_t contest_granted(struct process *contender)
{
    int64_t epoch = line_epoch(process_expect(contender, "grant ", WAIT_LONG_MS));
    process_expect(contender, "confirmed ", WAIT_LONG_MS);
    return epoch;
}

int64_t contest_revoked(struct process *contender)
{
    const char *line = process_expect(contender, "revoke ", WAIT_LONG_MS);
    assert_int_equal(line_number(line, "believes="), 0);
    return line_epoch(line);
}

void contest_ready(struct fixture *fixture, const char *name)
{
    db_lock_pid(fixture, name);
}

static bool is_believed(const struct belief_book *book, int64_t epoch)
{
    uint32_t count = atomic_load(&book->count);
    for (uint32_t i = 0; i < count && i < BELIEF_MAX; i++) {
        if (atomic_load(&book->beliefs[i].epoch) >= epoch &&
            atomic_load(&book->beliefs[i].last_true_ns) != 0) {
            return true;
        }
    }
    return false;
}

void contest_believed(struct fixture *fixture, int64_t epoch)
{
    WAIT_UNTIL(is_believed(fixture->book, epoch), WAIT_LONG_MS);
}

void contest_resume(struct process *contender)
{
    process_count(contender, "");
    size_t mark = contender->line_count;
    contender->next_line = mark;
    process_send(contender, "status");
    process_continue(contender);
    const char *line = process_expect(contender, "resumed ", WAIT_LONG_MS);
    assert_int_equal(line_number(line, "believes="), 0);
    contender->next_line = mark;
    char word[16];
    line_word(process_expect(contender, "status ", WAIT_LONG_MS), 2, word, sizeof(word));
    assert_string_equal(word, "0");
    contender->next_line = mark;
}

const char *contest_ask(struct process *contender, const char *command, const char *prefix)
{
    process_send(contender, command);
    return process_expect(contender, prefix, WAIT_LONG_MS);
}

void contest_write(struct process *contender, const char *command, const char *status)
{
    char prefix[64];
    char word[64];
    snprintf(prefix, sizeof(prefix), "%s ", command);
    const char *line = contest_ask(contender, command, prefix);
    line_word(line, 1, word, sizeof(word));
    if (strcmp(word, status) != 0) {
        fail_msg("%s: \"%s\" instead of %s", contender->name, line, status);
    }
}

void contest_quit(struct process *contender)
{
    process_send(contender, "quit");
    int status = process_wait(contender, WAIT_LONG_MS);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fail_msg("%s: ended with wait status %x", contender->name, (unsigned)status);
    }
}

/* State of one component while its lines are read. */
struct track {
    char component[64];
    bool granted;
    int64_t epoch;
};

static struct track *find_track(struct track *tracks, size_t size, const char *component)
{
    for (size_t i = 0; i < size; i++) {
        if (tracks[i].component[0] == '\0') {
            snprintf(tracks[i].component, sizeof(tracks[i].component), "%s", component);
        }
        if (strcmp(tracks[i].component, component) == 0) {
            return &tracks[i];
        }
    }
    fail_msg("too many components");
    return NULL;
}

void check_alternates(struct process *contender)
{
    struct track tracks[16] = {0};
    process_count(contender, "");
    for (size_t i = 0; i < contender->line_count; i++) {
        const char *line = contender->lines[i];
        char verb[16];
        char component[64];
        line_word(line, 0, verb, sizeof(verb));
        line_word(line, 1, component, sizeof(component));
        bool grant = strcmp(verb, "grant") == 0;
        if (!grant && strcmp(verb, "revoke") != 0) {
            continue;
        }
        struct track *track = find_track(tracks, 16, component);
        int64_t epoch = line_epoch(line);
        if (grant
                ? track->granted || epoch <= track->epoch
                : !track->granted || epoch != track->epoch || line_number(line, "believes=") != 0) {
            fail_msg("%s: out of order: %s", contender->name, line);
        }
        track->granted = grant;
        track->epoch = epoch;
    }
}

void check_history(struct fixture *fixture)
{
    db_text(fixture, "SELECT string_agg(h::text, '; ') FROM (SELECT epoch, began_at, ended_at,"
                     " lead(epoch) OVER w AS next_epoch, lead(began_at) OVER w AS next_began"
                     " FROM pgkeeper.leader_history"
                     " WINDOW w AS (PARTITION BY leadership_id ORDER BY began_at, epoch)) h"
                     " WHERE next_epoch <= epoch OR ended_at > next_began OR ended_at < began_at"
                     " OR (next_began IS NOT NULL AND ended_at IS NULL)");
    if (fixture->text[0] != '\0') {
        fail_msg("impossible history: %s", fixture->text);
    }
}

void check_reasons(struct fixture *fixture, const char *group, const char *reasons)
{
    db_wait(fixture, reasons, WAIT_LONG_MS,
            "SELECT string_agg(end_reason, ',' ORDER BY epoch) FROM pgkeeper.leader_history"
            " WHERE group_name = '%s' AND ended_at IS NOT NULL",
            group);
}

void check_reasons_match(struct fixture *fixture, const char *group, const char *expression)
{
    db_wait(fixture, "t", WAIT_LONG_MS,
            "SELECT coalesce(string_agg(end_reason, ',' ORDER BY epoch), '') ~ '^(%s)$'"
            " FROM pgkeeper.leader_history WHERE group_name = '%s' AND ended_at IS NOT NULL",
            expression, group);
}

void check_beliefs(struct fixture *fixture)
{
    assert_in_range(atomic_load(&fixture->book->count), 1, BELIEF_MAX - 1);
    assert_int_equal(belief_count_overlaps(fixture->book), 0);
}

size_t log_count(struct fixture *fixture, const char *text)
{
    size_t count = 0;
    char line[8192];
    FILE *file = fopen(pgserver_log_path(fixture->server), "re");
    assert_non_null(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        count += strstr(line, text) != NULL;
    }
    fclose(file);
    return count;
}
