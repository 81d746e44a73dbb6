/* tests/lib/recorder.c - see recorder.h. The lock guards the lines, which several notifiers write. */
#include "recorder.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct recorder {
    pthread_mutex_t lock;
    char **lines;
    size_t count;
    size_t next;
    char answer[2048];
};

struct recorder *recorder_new(void)
{
    struct recorder *recorder = calloc(1, sizeof(*recorder));
    assert_non_null(recorder);
    pthread_mutex_init(&recorder->lock, NULL);
    return recorder;
}

void recorder_free(struct recorder *recorder)
{
    if (recorder == NULL) {
        return;
    }
    for (size_t i = 0; i < recorder->count; i++) {
        free(recorder->lines[i]);
    }
    free(recorder->lines);
    pthread_mutex_destroy(&recorder->lock);
    free(recorder);
}

static void note(struct recorder *recorder, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void note(struct recorder *recorder, const char *format, ...)
{
    char *line = NULL;
    va_list args;
    va_start(args, format);
    if (vasprintf(&line, format, args) < 0) {
        abort();
    }
    va_end(args);
    pthread_mutex_lock(&recorder->lock);
    char **grown = realloc(recorder->lines, (recorder->count + 1) * sizeof(*grown));
    if (grown == NULL) {
        abort();
    }
    recorder->lines = grown;
    recorder->lines[recorder->count++] = line;
    pthread_mutex_unlock(&recorder->lock);
}

static bool look(struct recorder *recorder, const char *prefix)
{
    bool found = false;
    pthread_mutex_lock(&recorder->lock);
    for (size_t i = recorder->next; !found && i < recorder->count; i++) {
        if (strncmp(recorder->lines[i], prefix, strlen(prefix)) == 0) {
            snprintf(recorder->answer, sizeof(recorder->answer), "%s", recorder->lines[i]);
            recorder->next = i + 1;
            found = true;
        }
    }
    pthread_mutex_unlock(&recorder->lock);
    return found;
}

const char *recorder_seek(struct recorder *recorder, const char *prefix, int timeout_ms)
{
    int64_t end = wait_now_ns() + timeout_ms * WAIT_NS_PER_MS;
    while (!look(recorder, prefix)) {
        if (wait_now_ns() > end) {
            return NULL;
        }
        wait_pause_ms(2);
    }
    return recorder->answer;
}

const char *recorder_expect(struct recorder *recorder, const char *prefix, int timeout_ms)
{
    const char *line = recorder_seek(recorder, prefix, timeout_ms);
    if (line == NULL) {
        pthread_mutex_lock(&recorder->lock);
        for (size_t i = 0; i < recorder->count; i++) {
            fprintf(stderr, "%s  %s\n", i == recorder->next ? ">" : " ", recorder->lines[i]);
        }
        pthread_mutex_unlock(&recorder->lock);
        fail_msg("no line \"%s...\" within %d ms", prefix, timeout_ms);
    }
    return line;
}

size_t recorder_count(struct recorder *recorder, const char *prefix)
{
    size_t count = 0;
    pthread_mutex_lock(&recorder->lock);
    for (size_t i = 0; i < recorder->count; i++) {
        count += strncmp(recorder->lines[i], prefix, strlen(prefix)) == 0;
    }
    pthread_mutex_unlock(&recorder->lock);
    return count;
}

static void on_grant(void *user, const pgk_uuid *session_id, int64_t epoch)
{
    struct part *part = user;
    char session[PGK_UUID_TEXT_SIZE];
    pgk_uuid_format(session_id, session);
    part->session_id = *session_id;
    part->epoch = epoch;
    note(part->recorder, "grant %s %s %lld", part->component, session, (long long)epoch);
    if (part->hook != NULL) {
        part->hook(part, "grant");
    }
}

static void on_revoke(void *user, const pgk_uuid *session_id, int64_t epoch)
{
    struct part *part = user;
    char session[PGK_UUID_TEXT_SIZE];
    pgk_uuid_format(session_id, session);
    note(part->recorder, "revoke %s %s %lld believes=%d", part->component, session,
         (long long)epoch, pgk_election_has_leadership(part->election, session_id));
    if (part->hook != NULL) {
        part->hook(part, "revoke");
    }
}

static void on_error(void *user, const pgk_error *error)
{
    struct part *part = user;
    note(part->recorder, "error %s %s %s %s", part->component, pgk_status_name(error->status),
         error->sqlstate[0] != '\0' ? error->sqlstate : "-", error->message);
}

static void on_leader(void *user, const pgk_leader *leader)
{
    struct part *part = user;
    if (leader == NULL) {
        note(part->recorder, "leader %s none", part->component);
    } else {
        char session[PGK_UUID_TEXT_SIZE];
        pgk_uuid_format(&leader->session_id, session);
        note(part->recorder, "leader %s %s %lld %s", part->component, session,
             (long long)leader->epoch, leader->address);
    }
    if (part->hook != NULL) {
        part->hook(part, "leader");
    }
}

static pgk_config *config_of(struct fixture *fixture, const char *name, va_list pairs)
{
    pgk_config *config = NULL;
    pgk_error err;
    assert_int_equal(pgk_config_new(&config, &err), PGK_OK);
    assert_int_equal(
        pgk_config_set(config, "high-availability.postgres.uri", fixture->conninfo, &err), PGK_OK);
    assert_int_equal(pgk_config_set(config, "high-availability.cluster-id", FIXTURE_CLUSTER, &err),
                     PGK_OK);
    assert_int_equal(pgk_config_set(config, "member.name", name, &err), PGK_OK);
    const char *key;
    while ((key = va_arg(pairs, const char *)) != NULL) {
        if (pgk_config_set(config, key, va_arg(pairs, const char *), &err) != PGK_OK) {
            fail_msg("%s: %s", key, err.message);
        }
    }
    return config;
}

pgk_config *handle_config(struct fixture *fixture, const char *name, ...)
{
    va_list pairs;
    va_start(pairs, name);
    pgk_config *config = config_of(fixture, name, pairs);
    va_end(pairs);
    return config;
}

static pgk_ha *open_config(pgk_config *config, bool client)
{
    pgk_ha *ha = NULL;
    pgk_error err;
    pgk_status status =
        client ? pgk_ha_open_client(config, &ha, &err) : pgk_ha_open(config, &ha, &err);
    pgk_config_free(config);
    if (status != PGK_OK) {
        fail_msg("pgk_ha_open: %s %s: %s", pgk_status_name(status), err.sqlstate, err.message);
    }
    return ha;
}

pgk_ha *handle_open(struct fixture *fixture, const char *name, ...)
{
    va_list pairs;
    va_start(pairs, name);
    pgk_config *config = config_of(fixture, name, pairs);
    va_end(pairs);
    return open_config(config, false);
}

pgk_ha *handle_open_client(struct fixture *fixture, const char *name, ...)
{
    va_list pairs;
    va_start(pairs, name);
    pgk_config *config = config_of(fixture, name, pairs);
    va_end(pairs);
    return open_config(config, true);
}

void handle_close(pgk_ha *ha)
{
    pgk_error err;
    if (pgk_ha_close(ha, &err) != PGK_OK) {
        fail_msg("pgk_ha_close: %s", err.message);
    }
    pgk_ha_free(ha);
}

void handle_dispatch_until(pgk_ha *ha, struct recorder *recorder, const char *prefix, size_t times)
{
    int64_t end = wait_now_ns() + WAIT_LONG_MS * WAIT_NS_PER_MS;
    while (recorder_count(recorder, prefix) < times) {
        struct pollfd poller = {.fd = pgk_ha_fd(ha), .events = POLLIN};
        assert_true(poller.fd >= 0);
        assert_true(wait_now_ns() < end);
        if (poll(&poller, 1, 100) > 0) {
            assert_int_equal(pgk_ha_dispatch(ha, NULL), PGK_OK);
        }
    }
}

void ignore_tenure(void *user, const pgk_uuid *session_id, int64_t epoch)
{
    (void)user;
    (void)session_id;
    (void)epoch;
}

static void prepare(struct part *part, struct recorder *recorder, const char *component)
{
    part->recorder = recorder;
    snprintf(part->component, sizeof(part->component), "%s", component);
}

void part_contend(struct part *part, struct recorder *recorder, pgk_ha *ha, const char *component,
                  const char *group)
{
    pgk_error err;
    pgk_contender contender = {.size = sizeof(contender),
                               .user = part,
                               .grant = on_grant,
                               .revoke = on_revoke,
                               .error = on_error};
    prepare(part, recorder, component);
    pgk_status status = group != NULL
                            ? pgk_ha_election_in_group(ha, component, group, &part->election, &err)
                            : pgk_ha_election(ha, component, &part->election, &err);
    if (status == PGK_OK) {
        status = pgk_election_start(part->election, &contender, &err);
    }
    if (status != PGK_OK) {
        fail_msg("%s: %s", component, err.message);
    }
}

void part_follow(struct part *part, struct recorder *recorder, pgk_ha *ha, const char *component)
{
    pgk_error err;
    prepare(part, recorder, component);
    pgk_status status = pgk_ha_retriever(ha, component, &part->retriever, &err);
    if (status == PGK_OK) {
        status = pgk_retriever_start(part->retriever, on_leader, part, &err);
    }
    if (status != PGK_OK) {
        fail_msg("%s: %s", component, err.message);
    }
}

static int64_t expect_epoch(struct part *part, const char *verb)
{
    char prefix[PGK_COMPONENT_MAX_BYTES + 16];
    snprintf(prefix, sizeof(prefix), "%s %s ", verb, part->component);
    const char *line = recorder_expect(part->recorder, prefix, WAIT_LONG_MS);
    if (strcmp(verb, "revoke") == 0) {
        assert_non_null(strstr(line, "believes=0"));
    }
    return strtoll(line + strlen(prefix) + PGK_UUID_TEXT_SIZE, NULL, 10);
}

int64_t part_granted(struct part *part)
{
    return expect_epoch(part, "grant");
}

int64_t part_revoked(struct part *part)
{
    return expect_epoch(part, "revoke");
}

void part_confirm(struct part *part, const char *address)
{
    pgk_error err;
    if (pgk_election_confirm(part->election, &part->session_id, address, &err) != PGK_OK) {
        fail_msg("confirm %s: %s", part->component, err.message);
    }
}

void part_free(struct part *part)
{
    pgk_election_free(part->election);
    pgk_retriever_free(part->retriever);
    part->election = NULL;
    part->retriever = NULL;
}
