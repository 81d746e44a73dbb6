/*
 * tests/postgres/test_blob_locks.c - who changes several blobs of a job locks their rows in the order of their keys, whatever
 * order they came in or were stored in, so that two of them cannot wait for each other.
 */
#include "blob_tools.h"

#define KEY(letter) "('p-' || repeat('" letter "', 40) || '-' || repeat('0', 32))"
#define SUMS "decode(repeat('00', 20), 'hex'), sha256('x')"
#define STORE(letter, op)                                                                          \
    "SELECT blob_store(NULL, NULL, 'c', " SQL_JOB(1) ", " KEY(letter) ", " SQL_JOB(                \
        op) ", 'x', " SUMS ");"
#define BEGIN(op) "SELECT blob_begin(NULL, NULL, 'c', " SQL_JOB(op) ", true);"

static PGconn *session(struct fixture *fixture)
{
    PGconn *conn = db_connect(fixture->conninfo);
    PQclear(PQexec(conn, "SET search_path = pgkeeper"));
    return conn;
}

static void done(PGresult *result)
{
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
        fail_msg("%s", PQresultErrorMessage(result));
    }
    PQclear(result);
}

/* While another holds the first key, the statement waits for it, and has locked nothing else. */
static void locks_first_key_first(struct fixture *fixture, const char *prepare,
                                  const char *statement)
{
    db_exec(fixture, "SET search_path = pgkeeper, public; DELETE FROM blob");
    db_exec(fixture, STORE("b", 1) STORE("a", 2)); /* the last key has the first object */
    PGconn *holder = session(fixture);
    PGconn *waiter = session(fixture);
    done(PQexec(holder, "BEGIN; SELECT FROM blob WHERE blob_key = " KEY("a") " FOR UPDATE"));
    done(PQexec(waiter, prepare));
    assert_int_equal(PQsendQuery(waiter, statement), 1);
    db_wait(fixture, "1", WAIT_LONG_MS,
            "SELECT count(*) FROM pg_stat_activity WHERE pid = %d AND wait_event_type = 'Lock'",
            PQbackendPID(waiter));
    assert_int_equal(db_int(fixture, "SELECT count(*) FROM (SELECT FROM blob WHERE blob_key = " KEY(
                                         "b") " FOR UPDATE SKIP LOCKED) b"),
                     1);
    done(PQexec(holder, "COMMIT"));
    done(PQgetResult(waiter));
    PQfinish(holder);
    PQfinish(waiter);
}

static void test_blob_locks__of_several_blobs__are_taken_in_the_order_of_keys(void **state)
{
    struct fixture *fixture = *state;
    locks_first_key_first(fixture, "SELECT 1",
                          "SELECT blob_remove_job(NULL, NULL, 'c', " SQL_JOB(1) ")");
    locks_first_key_first(fixture, "SELECT 1", "SELECT cleanup_cluster(NULL, NULL, 'c')");
    locks_first_key_first(fixture, "SELECT 1",
                          "SELECT cleanup_job(NULL, NULL, 'c', " SQL_JOB(1) ")");
    locks_first_key_first(
        fixture, BEGIN(3) BEGIN(4),
        "SELECT blob_publish_all('c', " SQL_JOB(1) ", ARRAY[" KEY("b") ", " KEY(
            "a") "], ARRAY[" SQL_JOB(3) ", " SQL_JOB(4) "]::uuid[], " SQL_JOB(5) ", NULL, ARRAY[0, "
                                                                                 "0]::bigint[],"
                                                                                 " array_fill("
                                                                                 "decode(repeat('"
                                                                                 "00', 20), "
                                                                                 "'hex'), "
                                                                                 "ARRAY[2]), "
                                                                                 "array_fill("
                                                                                 "sha256('x'), "
                                                                                 "ARRAY[2]))");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_blob_locks__of_several_blobs__are_taken_in_the_order_of_keys),
    };
    return cmocka_run_group_tests_name("blob_locks", tests, fixture_group_setup,
                                       fixture_group_teardown);
}
