/*
 * tests/faults/test_fence.c - a deposed leader's fenced write is refused in every interleaving with the take-over:
 * the leader is stopped before, inside and after the fence; the epoch is changed by hand; two sessions
 * are put in each order by hand. Writes are the application's own SQL (contender_write.c).
 */
#include <string.h>

#include "contest.h"

/* `a` leads, `b` waits. */
static struct process *leader_and_standby(struct fixture *fixture, struct process **ret_b)
{
    struct process *a = contest_start(fixture, "a", NULL);
    contest_granted(a);
    *ret_b = contest_start(fixture, "b", NULL);
    contest_ready(fixture, "b");
    contest_write(a, "write", "PGK_OK");
    return a;
}

static void check_written(struct fixture *fixture, const char *writers)
{
    db_wait(fixture, writers, WAIT_LONG_MS,
            "SELECT string_agg(writer, ',' ORDER BY id) FROM public.written");
    /* No write of an epoch came after one of a later epoch. */
    assert_int_equal(db_int(fixture,
                            "SELECT count(*) FROM (SELECT epoch, max(epoch) OVER (ORDER BY id)"
                            " AS newest FROM public.written) w WHERE epoch < newest"),
                     0);
}

/* Why tenures have ended, and that the rest of the history is possible. */
static void check_ends(struct fixture *fixture, const char *reasons)
{
    check_reasons(fixture, "master", reasons);
    check_history(fixture);
}

static void test_fence__stopped_before_the_write__refused_in_each_form(void **state)
{
    struct fixture *fixture = *state;
    struct process *b;
    struct process *a = leader_and_standby(fixture, &b);
    process_stop(a);
    contest_granted(b);
    contest_write(b, "write", "PGK_OK");
    contest_resume(a);
    contest_write(a, "write", "PGK_ERR_FENCED");
    contest_write(a, "write-single", "PGK_ERR_FENCED");
    contest_write(a, "write-late", "PGK_ERR_FENCED");
    contest_write(b, "write-single", "PGK_OK");
    contest_write(b, "write-late", "PGK_OK");
    check_written(fixture, "a,b,b,b");
    check_ends(fixture, "lease_expired");
}

static void test_fence__stopped_inside_the_fence__session_ended_and_nothing_written(void **state)
{
    struct fixture *fixture = *state;
    struct process *b;
    struct process *a = leader_and_standby(fixture, &b);
    contest_write(a, "write-open", "PGK_OK");
    contest_write(a, "write-fill", "PGK_OK");
    process_stop(a);
    /* The open transaction must not hold the successor up. */
    contest_granted(b);
    contest_write(b, "write", "PGK_OK");
    assert_int_equal(
        db_int(fixture,
               "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'writer:a'"),
        0);
    contest_resume(a);
    const char *line = contest_ask(a, "write-end", "write-end ");
    assert_null(strstr(line, "PGK_OK"));
    check_written(fixture, "a,b");
    check_ends(fixture, "lease_expired");
}

static void test_fence__stopped_between_data_and_fence__refused_and_nothing_held_up(void **state)
{
    struct fixture *fixture = *state;
    struct process *b;
    struct process *a = leader_and_standby(fixture, &b);
    contest_write(a, "write-unfenced", "PGK_OK");
    process_stop(a);
    contest_granted(b);
    contest_write(b, "write", "PGK_OK");
    /* Data first and fence last leaves the session alone: there was nothing to clear. */
    assert_int_equal(
        db_int(fixture,
               "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'writer:a'"),
        1);
    contest_resume(a);
    contest_write(a, "write-seal", "PGK_ERR_FENCED");
    check_written(fixture, "a,b");
    check_ends(fixture, "lease_expired");
}

static void test_fence__stopped_after_the_write__the_write_stands(void **state)
{
    struct fixture *fixture = *state;
    struct process *b;
    struct process *a = leader_and_standby(fixture, &b);
    contest_write(a, "write-open", "PGK_OK");
    contest_write(a, "write-fill", "PGK_OK");
    contest_write(a, "write-end", "PGK_OK");
    process_stop(a);
    contest_granted(b);
    contest_write(b, "write", "PGK_OK");
    contest_resume(a);
    contest_write(a, "write", "PGK_ERR_FENCED");
    check_written(fixture, "a,a,b");
    check_ends(fixture, "lease_expired");
}

static void test_fence__repeatable_read__refused_with_a_cure(void **state)
{
    struct fixture *fixture = *state;
    struct process *b;
    struct process *a = leader_and_standby(fixture, &b);
    const char *line = contest_ask(a, "write-rr", "write-rr ");
    assert_non_null(strstr(line, "0A000"));
    assert_non_null(strstr(line, "READ COMMITTED"));
    check_written(fixture, "a");
    check_ends(fixture, "");
}

static void test_fence__epoch_raised_by_hand__leader_deposed_and_its_writes_refused(void **state)
{
    struct fixture *fixture = *state;
    struct process *a = contest_start(fixture, "a", NULL);
    int64_t epoch = contest_granted(a);
    db_exec(fixture, "UPDATE pgkeeper.leadership SET epoch = epoch + 1");
    /* From the commit on, whether or not the process knows. */
    assert_string_equal(db_try(fixture, "SELECT pgkeeper.fence(id, %lld) FROM pgkeeper.leadership",
                               (long long)epoch),
                        "PK001");
    assert_int_equal(contest_revoked(a), epoch);
    assert_true(contest_granted(a) > epoch + 1);
    contest_write(a, "write", "PGK_OK");
    check_ends(fixture, "fenced");
    check_alternates(a);
    assert_int_equal(db_int(fixture, "SELECT count(*) FROM pgkeeper.event WHERE by_hand AND act ="
                                     " 'update leadership'"),
                     1);
}

static void test_fence__epoch_lowered_or_row_deleted_by_hand__refused(void **state)
{
    struct fixture *fixture = *state;
    struct process *a = contest_start(fixture, "a", NULL);
    contest_granted(a);
    assert_string_equal(db_try(fixture, "UPDATE pgkeeper.leadership SET epoch = epoch - 1"),
                        "23514");
    assert_string_equal(db_try(fixture, "DELETE FROM pgkeeper.leadership"), "55000");
    assert_string_equal(db_try(fixture, "TRUNCATE pgkeeper.leadership"), "55000");
    contest_write(a, "write", "PGK_OK");
    assert_int_equal(process_count(a, "revoke "), 0);
    check_ends(fixture, "");
}

/* As after a crash no epoch passes any more: a leader that went on would find each of its writes refused. */
static void test_fence__tenure_gone_by_hand__leader_deposed_and_leads_anew(void **state)
{
    struct fixture *fixture = *state;
    struct process *a = contest_start(fixture, "a", NULL);
    int64_t epoch = contest_granted(a);
    static const char *const acts[] = {"TRUNCATE pgkeeper.tenure", "DELETE FROM pgkeeper.tenure",
                                       "UPDATE pgkeeper.tenure SET epoch = epoch + 1"};
    for (size_t i = 0; i < sizeof(acts) / sizeof(acts[0]); i++) {
        db_exec(fixture, "%s", acts[i]);
        assert_int_equal(contest_revoked(a), epoch);
        int64_t next = contest_granted(a);
        assert_true(next > epoch);
        epoch = next;
        contest_write(a, "write", "PGK_OK");
    }
    check_ends(fixture, "fenced,fenced,fenced");
    check_alternates(a);
}

/* Sends a statement and waits until the server says that it waits for a lock. */
static void send_and_block(struct fixture *fixture, PGconn *conn, const char *statement)
{
    assert_int_equal(PQsendQuery(conn, statement), 1);
    db_wait(fixture, "Lock", WAIT_LONG_MS,
            "SELECT wait_event_type FROM pg_stat_activity WHERE pid = %d", PQbackendPID(conn));
}

static void finish(PGconn *conn, const char *expected_sqlstate)
{
    PGresult *result;
    char sqlstate[6] = "00000";
    while ((result = PQgetResult(conn)) != NULL) {
        const char *found = PQresultErrorField(result, PG_DIAG_SQLSTATE);
        if (found != NULL) {
            snprintf(sqlstate, sizeof(sqlstate), "%s", found);
        }
        PQclear(result);
    }
    assert_string_equal(sqlstate, expected_sqlstate);
}

static void run(PGconn *conn, const char *statement, const char *expected_sqlstate)
{
    assert_int_equal(PQsendQuery(conn, statement), 1);
    finish(conn, expected_sqlstate);
}

/* Writes the one-statement form of a fenced insert for the present epoch, which is made somebody's:
 * it was given up, or raised by hand. */
static void fenced_insert(struct fixture *fixture, char *out, size_t size)
{
    db_exec(fixture, "UPDATE pgkeeper.tenure SET session_id = gen_random_uuid()");
    int64_t id = db_int(fixture, "SELECT id FROM pgkeeper.leadership");
    int64_t epoch = db_int(fixture, "SELECT epoch FROM pgkeeper.leadership");
    snprintf(out, size,
             "WITH f AS MATERIALIZED (SELECT pgkeeper.fence(%lld::int, %lld) AS ok)"
             " INSERT INTO public.written (writer, epoch) SELECT 'w', %lld FROM f WHERE ok",
             (long long)id, (long long)epoch, (long long)epoch);
}

/* A write that comes while the epoch is being raised waits for it and is then refused; one that came before makes
 * the change of the epoch wait, so that it is never overtaken. */
static void test_fence__write_and_raise_in_each_order__old_epoch_never_commits_late(void **state)
{
    static const char raise[] = "UPDATE pgkeeper.leadership SET epoch = epoch + 1";
    struct fixture *fixture = *state;
    char insert[512];
    struct process *a = contest_start(fixture, "a", NULL);
    contest_granted(a);
    contest_quit(a);
    check_ends(fixture, "resigned");
    PGconn *writer = db_connect(fixture->conninfo);
    PGconn *raiser = db_connect(fixture->conninfo);
    /* The writer is first: the raise waits for its commit. */
    fenced_insert(fixture, insert, sizeof(insert));
    run(writer, "BEGIN", "00000");
    run(writer, insert, "00000");
    send_and_block(fixture, raiser, raise);
    run(writer, "COMMIT", "00000");
    finish(raiser, "00000");
    run(writer, insert, "PK001");
    /* The raise is first, and is taken back: the write goes through. */
    fenced_insert(fixture, insert, sizeof(insert));
    run(raiser, "BEGIN", "00000");
    run(raiser, raise, "00000");
    send_and_block(fixture, writer, insert);
    run(raiser, "ROLLBACK", "00000");
    finish(writer, "00000");
    /* The raise is first, and stays. */
    run(raiser, "BEGIN", "00000");
    run(raiser, raise, "00000");
    send_and_block(fixture, writer, insert);
    run(raiser, "COMMIT", "00000");
    finish(writer, "PK001");
    assert_int_equal(db_int(fixture, "SELECT count(*) FROM public.written"), 2);
    PQfinish(writer);
    PQfinish(raiser);
}

/* The group's tenure, begun early and not entered, in SQL alone; nobody holds its lock. */
static void leave_unentered(struct fixture *fixture)
{
    static const char take_over[] =
        "SELECT outcome FROM pgkeeper.leadership l, pgkeeper.take_over(l.id, 1, gen_random_uuid(),"
        " 'immediate', 100, 300, 500, 400, 0, %s)";
    db_exec(fixture, "SELECT pgkeeper.enroll(1, '/order', 'master')");
    assert_string_equal(db_text(fixture, take_over, "false"), "taken");
    assert_string_equal(db_text(fixture, take_over, "true"), "early");
    db_exec(fixture, "SELECT pg_advisory_unlock_all()");
}

/* Each act needs the fence and the row. The first one waits for a fenced write, the second one for the first: when the
 * write ends neither may hold what the other wants. */
static void test_fence__acts_on_an_unentered_tenure__none_wait_in_a_circle(void **state)
{
#define OF_TENURE(act) "SELECT pgkeeper." act " FROM pgkeeper.tenure t"
    static const char release[] =
        OF_TENURE("release(t.leadership_id, t.epoch, t.session_id, 'resigned', true, 0)");
    static const char take_over[] = "SELECT pgkeeper.take_over(id, 1, gen_random_uuid(),"
                                    " 'exclusive', 100, 300, 500, 400) FROM pgkeeper.leadership";
    static const char confirm[] =
        OF_TENURE("confirm(t.leadership_id, t.epoch, t.session_id, 'web', 'a:1')");
    static const char raise[] = "UPDATE pgkeeper.leadership SET epoch = epoch + 1";
    static const struct {
        const char *first;
        const char *second;
        const char *expected;
    } orders[] = {{release, confirm, "PK001"},
                  {release, raise, "00000"},
                  {take_over, confirm, "PK001"},
                  {take_over, raise, "00000"}};
    struct fixture *fixture = *state;
    PGconn *writer = db_connect(fixture->conninfo);
    for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
        PGconn *first = db_connect(fixture->conninfo);
        PGconn *second = db_connect(fixture->conninfo);
        leave_unentered(fixture);
        run(writer, "BEGIN", "00000");
        run(writer, OF_TENURE("fence(t.leadership_id, t.epoch)"), "00000");
        send_and_block(fixture, first, orders[i].first);
        send_and_block(fixture, second, orders[i].second);
        run(writer, "COMMIT", "00000");
        finish(first, "00000");
        finish(second, orders[i].expected);
        PQfinish(first);
        PQfinish(second);
    }
    PQfinish(writer);
#undef OF_TENURE
}

static void answers(PGconn *conn, const char *expected)
{
    PGresult *result = PQgetResult(conn);
    if (PQresultStatus(result) != PGRES_TUPLES_OK) {
        fail_msg("%s", PQresultErrorMessage(result));
    }
    assert_string_equal(PQgetvalue(result, 0, 0), expected);
    PQclear(result);
    finish(conn, "00000");
}

/* An early take-over takes the fence without the row, which it does not write. When it finds, once it has the group's
 * lock, that it has to write it after all, because somebody has led meanwhile and died too soon, it must not wait for
 * the row with the fence in its hands: a confirm of the dead that is on its way has the row, and wants the fence. */
static void test_fence__somebody_led_while_a_take_over_waited__it_is_tried_again(void **state)
{
    static const char take_over[] = "SELECT t.outcome FROM pgkeeper.leadership l, "
                                    "pgkeeper.take_over(l.id, 2, gen_random_uuid(),"
                                    " 'immediate', 100, 300, 500, 400, 60000, true) t";
    struct fixture *fixture = *state;
    PGconn *waiter = db_connect(fixture->conninfo);
    PGconn *late = db_connect(fixture->conninfo);
    db_exec(fixture, "SELECT pgkeeper.enroll(1, '/again', 'master')");
    db_exec(fixture,
            "SELECT pgkeeper.take_over(id, 1, gen_random_uuid(), 'immediate', 100, 300, 500,"
            " 400) FROM pgkeeper.leadership");
    send_and_block(fixture, waiter, take_over);
    /* As an early take-over leaves it. */
    db_exec(fixture, "UPDATE pgkeeper.tenure"
                     " SET epoch = epoch + 1, session_id = gen_random_uuid(), entered = false");
    run(late, "BEGIN", "00000");
    run(late, "SELECT FROM pgkeeper.leadership FOR UPDATE", "00000");
    db_exec(fixture, "SELECT pg_advisory_unlock_all()");
    db_wait(fixture, "t", WAIT_LONG_MS,
            "SELECT state = 'idle' OR wait_event IN ('transactionid', 'tuple')"
            " FROM pg_stat_activity WHERE pid = %d",
            PQbackendPID(waiter));
    run(late, "SELECT pgkeeper.fence(leadership_id, epoch) FROM pgkeeper.tenure", "00000");
    run(late, "COMMIT", "00000");
    answers(waiter, "busy");
    assert_int_equal(PQsendQuery(waiter, take_over), 1);
    answers(waiter, "taken");
    assert_int_equal(db_int(fixture, "SELECT count(*) FROM pgkeeper.leader_history"), 3);
    PQfinish(waiter);
    PQfinish(late);
}

static void test_fence__leader_resigned__its_token_is_worthless(void **state)
{
    struct fixture *fixture = *state;
    struct process *b;
    struct process *a = leader_and_standby(fixture, &b);
    process_send(a, "resign");
    contest_revoked(a);
    contest_granted(b);
    contest_write(a, "write", "PGK_ERR_FENCED");
    contest_write(b, "write", "PGK_OK");
    contest_ask(a, "token", "token dispatcher PGK_ERR_FENCED");
    check_written(fixture, "a,b");
    check_ends(fixture, "resigned");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_fence__stopped_before_the_write__refused_in_each_form),
        DB_TEST(test_fence__stopped_inside_the_fence__session_ended_and_nothing_written),
        DB_TEST(test_fence__stopped_between_data_and_fence__refused_and_nothing_held_up),
        DB_TEST(test_fence__stopped_after_the_write__the_write_stands),
        DB_TEST(test_fence__repeatable_read__refused_with_a_cure),
        DB_TEST(test_fence__epoch_raised_by_hand__leader_deposed_and_its_writes_refused),
        DB_TEST(test_fence__epoch_lowered_or_row_deleted_by_hand__refused),
        DB_TEST(test_fence__tenure_gone_by_hand__leader_deposed_and_leads_anew),
        DB_TEST(test_fence__write_and_raise_in_each_order__old_epoch_never_commits_late),
        DB_TEST(test_fence__acts_on_an_unentered_tenure__none_wait_in_a_circle),
        DB_TEST(test_fence__somebody_led_while_a_take_over_waited__it_is_tried_again),
        DB_TEST(test_fence__leader_resigned__its_token_is_worthless),
    };
    return cmocka_run_group_tests_name("fence", tests, fixture_group_setup, fixture_group_teardown);
}
