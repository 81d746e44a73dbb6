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

#include "contest.h"

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

/* Starts a pooler in front of the fixture's server and waits until it serves; conninfo goes to out. */
static struct process *start_pooler(struct fixture *fixture, const char *mode, char *out,
                                    size_t size)
{
    char path[PGSERVER_CONNINFO_SIZE];
    uid_t uid;
    gid_t gid;
    int port = free_port();
    snprintf(path, sizeof(path), "%s/pooler.%d.ini", pgserver_socket_dir(fixture->server), port);
    FILE *ini = fopen(path, "we");
    assert_non_null(ini);
    fprintf(ini,
            "[databases]\n* = host=%s port=%d user=%s\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
            "listen_port = %d\nunix_socket_dir =\nauth_type = any\npool_mode = %s\n"
            "default_pool_size = 3\nmax_client_conn = 100\nlog_connections = 0\n"
            "log_disconnections = 0\nlog_pooler_errors = 0\nlog_stats = 0\n",
            pgserver_socket_dir(fixture->server), pgserver_port(fixture->server), PGSERVER_USER,
            port, mode);
    fchmod(fileno(ini), 0644);
    fclose(ini);
    fixture_server_user(fixture, &uid, &gid);
    const char *const argv[] = {PGBOUNCER, "-q", path, NULL};
    struct process *pooler = process_start("pgbouncer", argv, NULL, uid, gid);
    snprintf(out, size, "host=127.0.0.1 port=%d dbname=%s user=%s", port, fixture->database,
             PGSERVER_USER);
    PGconn *conn = NULL;
    WAIT_UNTIL((PQfinish(conn), conn = PQconnectdb(out), PQstatus(conn) == CONNECTION_OK),
               WAIT_LONG_MS);
    PQfinish(conn);
    return pooler;
}

static void test_pooler__transaction_mode__refused_with_reason_and_cure(void **state)
{
    struct fixture *fixture = *state;
    char conninfo[256];
    start_pooler(fixture, "transaction", conninfo, sizeof(conninfo));
    int64_t t0_ns = wait_now_ns();
    struct process *a = contest_spawn(fixture, "a", "--conninfo", conninfo, NULL);
    const char *line = process_expect(a, "open - ", WAIT_LONG_MS);
    assert_non_null(strstr(line, "PGK_ERR_UNSUPPORTED"));
    assert_non_null(strstr(line, "pooler"));
    /* A person has to mend it: no retries until connect-timeout. */
    assert_true((wait_now_ns() - t0_ns) / WAIT_NS_PER_MS < 8000);
}

static void test_pooler__transaction_mode_and_listening_client__refused(void **state)
{
    struct fixture *fixture = *state;
    char conninfo[256];
    start_pooler(fixture, "transaction", conninfo, sizeof(conninfo));
    struct process *f = contest_spawn(fixture, "f", "--conninfo", conninfo, "--client", "--follow",
                                      "dispatcher", NULL);
    const char *line = process_expect(f, "open - ", WAIT_LONG_MS);
    assert_non_null(strstr(line, "PGK_ERR_UNSUPPORTED"));
    assert_non_null(strstr(line, "poll"));
}

static void test_pooler__transaction_mode_and_polling_client__follows_leaders(void **state)
{
    struct fixture *fixture = *state;
    char conninfo[256];
    start_pooler(fixture, "transaction", conninfo, sizeof(conninfo));
    struct process *f = contest_follow(fixture, "f", "--conninfo", conninfo, "--client", "--follow",
                                       "dispatcher", "--set", "retrieval.mode=poll", "--set",
                                       "retrieval.poll-interval=100 ms", NULL);
    struct process *a = contest_start(fixture, "a", NULL);
    contest_granted(a);
    assert_non_null(strstr(process_expect(f, "leader dispatcher ", WAIT_LONG_MS), " a at="));
    struct process *b = contest_start(fixture, "b", NULL);
    contest_ready(fixture, "b");
    process_kill(a);
    contest_granted(b);
    WAIT_UNTIL(strstr(contest_ask(f, "get", "got dispatcher "), "PGK_OK b") != NULL, WAIT_LONG_MS);
    contest_quit(f);
}

static void test_pooler__session_mode_without_consent__refused(void **state)
{
    struct fixture *fixture = *state;
    char conninfo[256];
    start_pooler(fixture, "session", conninfo, sizeof(conninfo));
    struct process *a = contest_spawn(fixture, "a", "--conninfo", conninfo, NULL);
    const char *line = process_expect(a, "open - ", WAIT_LONG_MS);
    assert_non_null(strstr(line, "PGK_ERR_UNSUPPORTED"));
    assert_non_null(strstr(line, "allow-session-pooler"));
}

static void test_pooler__session_mode_with_consent__leads_and_hands_over(void **state)
{
    struct fixture *fixture = *state;
    char conninfo[256];
    /* Two processes with several sessions each need more server sessions than start_pooler's three. */
    struct process *pooler =
        start_pooler(fixture, "session\ndefault_pool_size = 20", conninfo, sizeof(conninfo));
    struct process *a = contest_start(fixture, "a", "--conninfo", conninfo, "--set",
                                      "high-availability.postgres.allow-session-pooler=on", NULL);
    int64_t epoch = contest_granted(a);
    struct process *b = contest_start(fixture, "b", NULL);
    contest_ready(fixture, "b");
    wait_pause_ms(2000); /* several heartbeats */
    assert_int_equal(process_count(a, "revoke "), 0);
    /* The pooler dies under the leader. */
    process_kill(pooler);
    assert_int_equal(contest_revoked(a), epoch);
    assert_true(contest_granted(b) > epoch);
    check_history(fixture);
    check_alternates(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_pooler__transaction_mode__refused_with_reason_and_cure),
        DB_TEST(test_pooler__transaction_mode_and_listening_client__refused),
        DB_TEST(test_pooler__transaction_mode_and_polling_client__follows_leaders),
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
