/*
 * tests/faults/test_blob_kills.c - the blob store under SIGKILL of client, server process and server at random points: what
 * was acknowledged reads back, nothing is torn, nothing is left, target files are whole or not there.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "blob_tools.h"

#ifdef PGK_TEST_SANITIZED
#define CLIENT_ROUNDS 12
#define BACKEND_ROUNDS 3
#define SERVER_ROUNDS 2
#else
#define CLIENT_ROUNDS 75
#define BACKEND_ROUNDS 15
#define SERVER_ROUNDS 10
#endif

#define KEYS 5
#define TRUE_KEYS 2
#define STATES 24

/* What may be stored under a key: seed 0: nothing. */
struct state {
    size_t bytes;
    unsigned seed;
};

/* Shared with the worker; each is written by it alone while it lives. */
struct journal {
    pgk_blob_key keys[KEYS];
    struct state states[KEYS][STATES];
    atomic_int counts[KEYS];
    atomic_int acts;
    atomic_int surprises; /* answers that must not be */
    char surprise[512];
};

static size_t size_of(unsigned random)
{
    switch (random % 8) {
    case 0:
        return 18 * MIB + random % 5000; /* in more than one transaction */
    case 1:
    case 2:
        return random % 300000;
    default:
        return random % (3 * MIB);
    }
}

static void allow(struct journal *journal, int key, struct state state)
{
    int count = atomic_load(&journal->counts[key]);
    if (count == STATES) {
        _exit(3);
    }
    journal->states[key][count] = state;
    atomic_store(&journal->counts[key], count + 1);
}

/* The last one that was allowed is it, or is not. */
static void settle(struct journal *journal, int key, pgk_status status)
{
    int count = atomic_load(&journal->counts[key]);
    if (status == PGK_OK) {
        struct state last = journal->states[key][count - 1];
        journal->states[key][0] = last; /* allowed all along */
        atomic_store(&journal->counts[key], 1);
    } else if (status != PGK_ERR_OUTCOME_UNKNOWN) {
        atomic_store(&journal->counts[key], count - 1);
    }
}

static void surprised(struct journal *journal, const char *what, const pgk_error *err)
{
    snprintf(journal->surprise, sizeof(journal->surprise), "%s: %s: %s", what,
             pgk_status_name(err->status), err->message);
    atomic_fetch_add(&journal->surprises, 1);
}

/* Keys below TRUE_KEYS always get the content that their hash is of, and can be got; the others get whatever comes, which
 * get finds out at its end: what it says then tells whether it was whole. */
static struct state true_state(int key)
{
    return (struct state){.bytes = key == 0 ? 18 * MIB + 11 : MIB + 7,
                          .seed = 1000u + (unsigned)key};
}

static bool is_passing(pgk_status status)
{
    return status == PGK_ERR_CONNECTION || status == PGK_ERR_TIMEOUT ||
           status == PGK_ERR_RESOURCE || status == PGK_ERR_OUTCOME_UNKNOWN;
}

/* What a get may answer in the middle of all that. */
static bool is_whole_or_gone(int key, pgk_status status, const pgk_error *err)
{
    return status == PGK_OK || status == PGK_ERR_NOT_FOUND || is_passing(status) ||
           (key >= TRUE_KEYS && status == PGK_ERR_CORRUPT &&
            strstr(err->message, "put so") != NULL);
}

static void act(struct journal *journal, pgk_blobs *blobs, const char *dir, unsigned random)
{
    static unsigned char *data;
    pgk_error err;
    pgk_status status;
    char target[128];
    int key = (int)(random % KEYS);
    if (data == NULL) {
        data = malloc(19 * MIB);
    }
    if (random / KEYS % 4 == 0) {
        allow(journal, key, (struct state){0});
        status = pgk_blobs_delete(blobs, NULL, &journal->keys[key], &err);
        settle(journal, key, status);
    } else if (random / KEYS % 4 == 1) {
        snprintf(target, sizeof(target), "%s/target-%d", dir, key);
        status = pgk_blobs_get_file(blobs, NULL, &journal->keys[key], target, &err);
        if (is_whole_or_gone(key, status, &err)) {
            status = PGK_OK;
        }
    } else {
        struct state state = key < TRUE_KEYS
                                 ? true_state(key)
                                 : (struct state){.bytes = size_of(random / 7), .seed = random | 1};
        pattern_fill(data, state.bytes, 0, state.seed);
        allow(journal, key, state);
        status = pgk_blobs_put_buffer(blobs, NULL, &journal->keys[key], data, state.bytes, &err);
        settle(journal, key, status);
    }
    if (status != PGK_OK && !is_passing(status)) {
        surprised(journal, "act", &err);
    }
    atomic_fetch_add(&journal->acts, 1);
}

/* Acts until it is killed. */
static void work(struct fixture *fixture, struct journal *journal, const char *dir, unsigned seed)
{
    pgk_error err;
    pgk_config *config;
    pgk_ha *ha;
    pgk_blobs *blobs;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (pgk_config_new(&config, &err) != PGK_OK ||
        pgk_config_set(config, "high-availability.type", "postgres", &err) != PGK_OK ||
        pgk_config_set(config, "high-availability.cluster-id", FIXTURE_CLUSTER, &err) != PGK_OK ||
        pgk_config_set(config, "high-availability.postgres.uri", fixture->conninfo, &err) !=
            PGK_OK ||
        pgk_ha_open(config, &ha, &err) != PGK_OK ||
        pgk_ha_blobs(ha, PGK_UNFENCED, &blobs, &err) != PGK_OK) {
        surprised(journal, "open", &err);
        _exit(1);
    }
    for (;;) {
        seed = seed * 1103515245u + 12345u;
        act(journal, blobs, dir, seed >> 8);
    }
}

static pid_t start_worker(struct fixture *fixture, struct journal *journal, const char *dir,
                          unsigned seed)
{
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        work(fixture, journal, dir, seed);
    }
    return pid;
}

/* What the worker had sent goes on in its server processes after its death, a COMMIT too: what is looked at before they
 * have ended may still be replaced. */
static void end_worker(struct fixture *fixture, pid_t pid)
{
    int status;
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    db_wait(fixture, "0", WAIT_LONG_MS,
            "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'pgkeeper:%%'");
}

struct taken {
    unsigned char *data;
    size_t bytes;
};

static pgk_status take(void *user, const void *data, size_t bytes)
{
    struct taken *taken = user;
    assert_true(taken->bytes + bytes <= 19 * MIB);
    memcpy(taken->data + taken->bytes, data, bytes);
    taken->bytes += bytes;
    return PGK_OK;
}

static bool holds(const struct state *state, pgk_status status, const struct taken *taken)
{
    if (state->seed == 0 || status == PGK_ERR_NOT_FOUND) {
        return state->seed == 0 && status == PGK_ERR_NOT_FOUND;
    }
    unsigned char *expected = pattern_new(state->bytes, state->seed);
    bool same = taken->bytes == state->bytes && memcmp(taken->data, expected, state->bytes) == 0;
    free(expected);
    return same;
}

/* What is stored under a key is one of what may be, and from now on the only one. */
static void check_key(struct blob_yard *yard, struct journal *journal, int key)
{
    pgk_error err;
    struct taken taken = {.data = malloc(19 * MIB)};
    pgk_blob_target target = {.size = sizeof(target), .write = take, .user = &taken};
    int count = atomic_load(&journal->counts[key]);
    pgk_status status = pgk_blobs_get(yard->blobs, NULL, &journal->keys[key], &target, &err);
    if (!is_whole_or_gone(key, status, &err) || is_passing(status)) {
        fail_msg("key %d: %s: %s", key, pgk_status_name(status), err.message);
    }
    for (int i = count - 1; i >= 0; i--) {
        struct state state = journal->states[key][i];
        if (holds(&state, status, &taken)) {
            journal->states[key][0] = state;
            atomic_store(&journal->counts[key], 1);
            free(taken.data);
            return;
        }
    }
    fail_msg("key %d holds %zu bytes (%s), none of the %d that it may hold; the last is of %zu",
             key, taken.bytes, pgk_status_name(status), count,
             journal->states[key][count - 1].bytes);
}

static void check_targets(struct blob_yard *yard, bool content)
{
    for (int key = 0; key < KEYS; key++) {
        char name[32];
        snprintf(name, sizeof(name), "target-%d", key);
        const char *path = yard_path(yard, name);
        struct state state = true_state(key);
        struct stat stat_of;
        if (stat(path, &stat_of) == 0) {
            assert_true(key < TRUE_KEYS);
            assert_int_equal(stat_of.st_size, state.bytes);
            assert_true(!content || pattern_is(path, state.bytes, state.seed));
        }
    }
}

/* After a round; what is not in doubt only when all is looked at. No handle is open while a worker is forked: it would be
 * without its threads. */
static void check_round(struct blob_yard *yard, struct journal *journal, bool all)
{
    yard_enter(yard);
    if (atomic_load(&journal->surprises) > 0) {
        fail_msg("the worker was surprised: %s", journal->surprise);
    }
    for (int key = 0; key < KEYS; key++) {
        if (all || atomic_load(&journal->counts[key]) > 1) {
            check_key(yard, journal, key);
        }
    }
    check_targets(yard, all);
    yard_leave(yard);
}

static struct journal *journal_new(void)
{
    struct journal *journal =
        mmap(NULL, sizeof(*journal), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(journal, MAP_FAILED);
    for (int key = 0; key < KEYS; key++) {
        struct state state = true_state(key);
        unsigned char *data = pattern_new(state.bytes, state.seed);
        assert_int_equal(pgk_blob_key_new_buffer(PGK_BLOB_PERMANENT, data, state.bytes,
                                                 &journal->keys[key], NULL),
                         PGK_OK);
        free(data);
        atomic_store(&journal->counts[key], 1);
    }
    return journal;
}

/* A round: a worker acts, `kill_it` kills what it is about, then the worker is ended. */
static void rounds(void **state, int count, void (*kill_it)(struct blob_yard *yard, pid_t worker))
{
    struct fixture *fixture = *state;
    struct blob_yard yard;
    struct journal *journal = journal_new();
    unsigned seed = (unsigned)getpid();
    print_message("seed %u\n", seed);
    blob_yard_open(&yard, fixture);
    yard_leave(&yard);
    for (int i = 0; i < count; i++) {
        int before = atomic_load(&journal->acts);
        pid_t pid = start_worker(fixture, journal, yard.dir, seed + (unsigned)i);
        seed = seed * 1103515245u + 12345u;
        /* It has begun; then a moment that the next one may be anywhere in. */
        WAIT_UNTIL(atomic_load(&journal->acts) > before || atomic_load(&journal->surprises) > 0,
                   WAIT_LONG_MS);
        wait_pause_ms((int)(seed >> 8 & 31));
        kill_it(&yard, pid);
        end_worker(fixture, pid);
        check_round(&yard, journal, i % 8 == 0 || i == count - 1);
    }
    print_message("%d acts in %d rounds\n", atomic_load(&journal->acts), count);
    yard_swept(&yard);
    munmap(journal, sizeof(*journal));
    yard_enter(&yard);
    blob_yard_close(&yard);
}

static void kill_client(struct blob_yard *yard, pid_t worker)
{
    (void)yard;
    (void)worker; /* which is what happens to it next */
}

static void kill_backend(struct blob_yard *yard, pid_t worker)
{
    (void)worker;
    int64_t pid =
        db_int(yard->fixture, "SELECT pid FROM pg_stat_activity WHERE application_name LIKE"
                              " 'pgkeeper:%%:work:%%' ORDER BY state = 'active' DESC,"
                              " backend_start DESC LIMIT 1");
    if (pid > 0) {
        kill((pid_t)pid, SIGKILL);
    }
    db_wait(yard->fixture, "1", WAIT_LONG_MS, "SELECT 1");
    wait_pause_ms(50); /* the worker goes on, with a server that has come back */
}

static void kill_server(struct blob_yard *yard, pid_t worker)
{
    pgk_error err;
    (void)worker;
    STORE_WORKS(&err, pgserver_kill(yard->fixture->server, &err));
    STORE_WORKS(&err, pgserver_start_again(yard->fixture->server, &err));
    db_wait(yard->fixture, "1", WAIT_LONG_MS, "SELECT 1");
    wait_pause_ms(50);
}

static void test_blob_kills__client_killed__what_was_acknowledged_is_there_whole(void **state)
{
    rounds(state, CLIENT_ROUNDS, kill_client);
}

static void
test_blob_kills__server_process_killed__what_was_acknowledged_is_there_whole(void **state)
{
    rounds(state, BACKEND_ROUNDS, kill_backend);
}

static void test_blob_kills__server_killed__what_was_acknowledged_is_there_whole(void **state)
{
    rounds(state, SERVER_ROUNDS, kill_server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_blob_kills__client_killed__what_was_acknowledged_is_there_whole),
        DB_TEST(test_blob_kills__server_process_killed__what_was_acknowledged_is_there_whole),
        DB_TEST(test_blob_kills__server_killed__what_was_acknowledged_is_there_whole),
    };
    return cmocka_run_group_tests_name("blob_kills", tests, fixture_group_setup,
                                       fixture_group_teardown);
}
