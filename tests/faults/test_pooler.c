/*
 * tests/faults/test_pooler.c - PgBouncer, Debian's package, started by the test: a lock session through a transaction
 * pooler is refused, through a session pooler accepted only when asked for; following leaders by polling works
 * through both.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blob_tools.h"
#include "contest.h"
#include "ear.h"
#include "shelf.h"

#define PGBOUNCER "/usr/sbin/pgbouncer"

static int free_port(void)
{
    struct sockaddr_in self = {.sin_family = AF_INET};
    socklen_t size = sizeof(self);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    self.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&self, sizeof(self)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&self, &size), 0);
    close(fd);
    return ntohs(self.sin_port);
}

struct pooler {
    struct fixture *fixture;
    struct process *process;
    char ini[PGSERVER_CONNINFO_SIZE];
    char conninfo[256];
};

/* Starts it, also again, and waits until it serves. */
static void run_pooler(struct pooler *pooler)
{
    uid_t uid;
    gid_t gid;
    fixture_server_user(pooler->fixture, &uid, &gid);
    const char *const argv[] = {PGBOUNCER, "-q", pooler->ini, NULL};
    pooler->process = process_start("pgbouncer", argv, NULL, uid, gid);
    PGconn *conn = NULL;
    WAIT_UNTIL(
        (PQfinish(conn), conn = PQconnectdb(pooler->conninfo), PQstatus(conn) == CONNECTION_OK),
        WAIT_LONG_MS);
    PQfinish(conn);
}

/* A pooler in front of the fixture's server. */
static void start_pooler(struct pooler *pooler, struct fixture *fixture, const char *mode)
{
    int port = free_port();
    pooler->fixture = fixture;
    snprintf(pooler->ini, sizeof(pooler->ini), "%s/pooler.%d.ini",
             pgserver_socket_dir(fixture->server), port);
    snprintf(pooler->conninfo, sizeof(pooler->conninfo), "host=127.0.0.1 port=%d dbname=%s user=%s",
             port, fixture->database, PGSERVER_USER);
    FILE *ini = fopen(pooler->ini, "we");
    assert_non_null(ini);
    fprintf(ini,
            "[databases]\n* = host=%s port=%d user=%s connect_query='SET synchronous_commit = off;"
            " SET statement_timeout = 12345; SET lock_timeout = 12345'\n[pgbouncer]\nlisten_addr = "
            "127.0.0.1\n"
            "listen_port = %d\nunix_socket_dir =\nauth_type = any\npool_mode = %s\n"
            "default_pool_size = 3\nmax_client_conn = 100\nlog_connections = 0\n"
            "log_disconnections = 0\nlog_pooler_errors = 0\nlog_stats = 0\n",
            pgserver_socket_dir(fixture->server), pgserver_port(fixture->server), PGSERVER_USER,
            port, mode);
    fchmod(fileno(ini), 0644);
    fclose(ini);
    run_pooler(pooler);
}

static void test_pooler__transaction_mode__refused_with_reason_and_cure(void **state)
{
    struct fixture *fixture = *state;
    struct pooler pooler;
    start_pooler(&pooler, fixture, "transaction");
    int64_t t0_ns = wait_now_ns();
    struct process *a = contest_spawn(fixture, "a", "--conninfo", pooler.conninfo, NULL);
    const char *line = process_expect(a, "open - ", WAIT_LONG_MS);
    assert_non_null(strstr(line, "PGK_ERR_UNSUPPORTED"));
    assert_non_null(strstr(line, "pooler"));
    /* A person has to mend it: no retries until connect-timeout. */
    assert_true((wait_now_ns() - t0_ns) / WAIT_NS_PER_MS < 8000);
}

static void test_pooler__transaction_mode_and_listening_client__refused(void **state)
{
    struct fixture *fixture = *state;
    struct pooler pooler;
    start_pooler(&pooler, fixture, "transaction");
    struct process *f = contest_spawn(fixture, "f", "--conninfo", pooler.conninfo, "--client",
                                      "--follow", "dispatcher", NULL);
    const char *line = process_expect(f, "open - ", WAIT_LONG_MS);
    assert_non_null(strstr(line, "PGK_ERR_UNSUPPORTED"));
    assert_non_null(strstr(line, "poll"));
}

static void test_pooler__transaction_mode_and_polling_client__follows_leaders(void **state)
{
    struct fixture *fixture = *state;
    struct pooler pooler;
    start_pooler(&pooler, fixture, "transaction");
    struct process *f = contest_follow(fixture, "f", "--conninfo", pooler.conninfo, "--client",
                                       "--follow", "dispatcher", "--set", "retrieval.mode=poll",
                                       "--set", "retrieval.poll-interval=100 ms", NULL);
    struct process *a = contest_start(fixture, "a", EXCLUSIVE, NULL);
    contest_granted(a);
    assert_non_null(strstr(process_expect(f, "leader dispatcher ", WAIT_LONG_MS), " a at="));
    struct process *b = contest_start(fixture, "b", EXCLUSIVE, NULL);
    contest_ready(fixture, "b");
    process_kill(a);
    contest_believed(fixture, contest_granted(b));
    WAIT_UNTIL(strstr(contest_ask(f, "get", "got dispatcher "), "PGK_OK b") != NULL, WAIT_LONG_MS);
    contest_quit(f);
    check_reasons(fixture, "master", "lost");
    check_history(fixture);
    check_alternates(b);
    check_beliefs(fixture);
}

/* Writes of graphs tell the settings that they run with. */
static void watch_settings(struct fixture *fixture)
{
    db_exec(fixture, "CREATE TABLE public.settings (seen text);"
                     "CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                     " INSERT INTO public.settings SELECT concat_ws(' ',"
                     " current_setting('synchronous_commit'), current_setting('statement_timeout'),"
                     " current_setting('lock_timeout')); RETURN NULL; END $$;"
                     "CREATE TRIGGER note AFTER INSERT OR UPDATE ON pgkeeper.job_graph"
                     " FOR EACH ROW EXECUTE FUNCTION public.note()");
}

static void
test_pooler__transaction_mode_and_polling_client__keeps_graphs_without_a_fence(void **state)
{
    struct fixture *fixture = *state;
    struct pooler pooler;
    static struct ear ear;
    static char large[3 * 1024 * 1024];
    pgk_job_graph_listener listener = ear_open(&ear);
    struct shelf_tally tally = {.state = PGK_OK};
    pgk_uuid job = job_number(1);
    pgk_uuid other = job_number(2);
    pgk_error err;
    start_pooler(&pooler, fixture, "transaction");
    pgk_ha *ha =
        handle_open_client(fixture, "c", "high-availability.postgres.uri", pooler.conninfo,
                           "retrieval.mode", "poll", "retrieval.poll-interval", "100 ms", NULL);
    pgk_job_graphs *store = shelf_open(ha, PGK_UNFENCED, &listener);
    watch_settings(fixture);
    CHECK_OK(pgk_job_graphs_put(store, &job, "one", 3, &err), err);
    CHECK_OK(pgk_job_graphs_put(store, &job, "two", 3, &err), err);
    shelf_expect(store, &job, 2, "two", NULL);
    CHECK_OK(pgk_job_graphs_put(store, &job, large, sizeof(large), &err), err);
    /* The pooler's session has others. A large write has no statement_timeout. */
    db_wait(fixture, "on 0 9s,on 9s 9s", WAIT_LONG_MS,
            "SELECT string_agg(DISTINCT seen, ',') FROM public.settings");
    db_exec(fixture,
            "INSERT INTO pgkeeper.job_graph (cluster_id, job_id, graph, sha256)"
            " VALUES ('" FIXTURE_CLUSTER "', '%s', 'g', sha256('g'))",
            shelf_text(&other));
    EAR_WAIT(&ear, true, &other, 1);
    CHECK_OK(pgk_job_graphs_recover_all(store, shelf_tally, &tally, &err), err);
    assert_int_equal(tally.good, 2);
    CHECK_OK(pgk_job_graphs_remove(store, &other, &err), err);
    pgk_job_graphs_free(store);
    handle_close(ha);
}

static void test_pooler__transaction_mode_and_polling_client__keeps_blobs(void **state)
{
    static const size_t sizes[] = {0, 1000, 20 * MIB};
    struct fixture *fixture = *state;
    struct pooler pooler;
    pgk_error err;
    pgk_blobs *blobs;
    start_pooler(&pooler, fixture, "transaction");
    pgk_ha *ha = handle_open_client(fixture, "c", "high-availability.postgres.uri", pooler.conninfo,
                                    "retrieval.mode", "poll", NULL);
    STORE_WORKS(&err, pgk_ha_blobs(ha, PGK_UNFENCED, &blobs, &err));
    for (int i = 0; i < 3; i++) {
        pgk_blob_key key;
        put_pattern(blobs, NULL, sizes[i], 1, &key);
        put_pattern(blobs, NULL, sizes[i], 2, &key);
        STORE_WORKS(&err, pgk_blobs_verify(blobs, NULL, &key, NULL, NULL, &err));
    }
    assert_int_equal(loose_count(fixture), 0);
    assert_int_equal(db_int(fixture, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"),
                     0);
    STORE_WORKS(&err, pgk_blobs_delete_all(blobs, NULL, NULL, &err));
    assert_int_equal(objects_count(fixture), 0);
    pgk_blobs_free(blobs);
    handle_close(ha);
}

static void test_pooler__session_mode_without_consent__refused(void **state)
{
    struct fixture *fixture = *state;
    struct pooler pooler;
    start_pooler(&pooler, fixture, "session");
    struct process *a = contest_spawn(fixture, "a", "--conninfo", pooler.conninfo, NULL);
    const char *line = process_expect(a, "open - ", WAIT_LONG_MS);
    assert_non_null(strstr(line, "PGK_ERR_UNSUPPORTED"));
    assert_non_null(strstr(line, "allow-session-pooler"));
}

static void test_pooler__session_mode_with_consent__leads_and_hands_over(void **state)
{
    struct fixture *fixture = *state;
    struct pooler pooler;
    /* Two processes with several sessions each need more server sessions than start_pooler's three. */
    start_pooler(&pooler, fixture, "session\ndefault_pool_size = 20");
    struct process *a =
        contest_start(fixture, "a", EXCLUSIVE, "--conninfo", pooler.conninfo, "--set",
                      "high-availability.postgres.allow-session-pooler=on", NULL);
    int64_t epoch = contest_granted(a);
    struct process *b = contest_start(fixture, "b", EXCLUSIVE, NULL);
    contest_ready(fixture, "b");
    wait_pause_ms(2000); /* several heartbeats */
    assert_int_equal(process_count(a, "revoke "), 0);
    check_reasons(fixture, "master", "");
    /* The pooler dies under the leader, which tells why its tenure ended when there is one again. */
    process_kill(pooler.process);
    assert_int_equal(contest_revoked(a), epoch);
    int64_t next = contest_granted(b);
    assert_true(next > epoch);
    run_pooler(&pooler);
    contest_ready(fixture, "a");
    check_reasons(fixture, "master", "connection_lost");
    contest_believed(fixture, next);
    check_history(fixture);
    check_alternates(a);
    check_alternates(b);
    check_beliefs(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_pooler__transaction_mode__refused_with_reason_and_cure),
        DB_TEST(test_pooler__transaction_mode_and_listening_client__refused),
        DB_TEST(test_pooler__transaction_mode_and_polling_client__follows_leaders),
        DB_TEST(test_pooler__transaction_mode_and_polling_client__keeps_graphs_without_a_fence),
        DB_TEST(test_pooler__transaction_mode_and_polling_client__keeps_blobs),
        DB_TEST(test_pooler__session_mode_without_consent__refused),
        DB_TEST(test_pooler__session_mode_with_consent__leads_and_hands_over),
    };
    if (access(PGBOUNCER, X_OK) != 0) {
        fprintf(stderr, "%s is not installed (./dev setup): nothing tested\n", PGBOUNCER);
        return 77;
    }
    return cmocka_run_group_tests_name("pooler", tests, fixture_group_setup,
                                       fixture_group_teardown);
}
