/*
 * tests/faults/test_disk_full.c - a database that has no room left. A disk that is really full needs root, so
 * the tables of the leadership refuse writes with the SQLSTATE of one (53100), which is all that a client sees of it.
 */
#include "contest.h"

static void disk_fills(struct fixture *fixture)
{
    db_exec(fixture, "CREATE FUNCTION public.no_room() RETURNS trigger LANGUAGE plpgsql AS"
                     " $$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device'"
                     " USING ERRCODE = 'disk_full'; END $$");
    db_exec(fixture, "CREATE TRIGGER no_room BEFORE INSERT OR UPDATE ON pgkeeper.leadership"
                     " FOR EACH STATEMENT EXECUTE FUNCTION public.no_room()");
    db_exec(fixture, "CREATE TRIGGER no_room BEFORE INSERT OR UPDATE ON pgkeeper.leader"
                     " FOR EACH STATEMENT EXECUTE FUNCTION public.no_room()");
}

static void disk_has_room(struct fixture *fixture)
{
    db_exec(fixture, "DROP FUNCTION public.no_room() CASCADE");
}

static void test_disk_full__leader_alive__goes_on_leading_with_a_clear_status(void **state)
{
    struct fixture *fixture = *state;
    struct process *a = contest_start(fixture, "a", "--no-confirm", NULL);
    process_expect(a, "grant ", WAIT_LONG_MS);
    struct process *b = contest_start(fixture, "b", NULL);
    contest_ready(fixture, "b");
    int64_t epoch = db_int(fixture, "SELECT epoch FROM pgkeeper.leadership");
    disk_fills(fixture);
    contest_ask(a, "confirm somewhere", "confirmed dispatcher PGK_ERR_RESOURCE");
    wait_pause_ms(2500); /* longer than any time-out of a lease */
    assert_int_equal(process_count(a, "revoke "), 0);
    assert_int_equal(process_count(b, "grant "), 0);
    disk_has_room(fixture);
    contest_ask(a, "confirm somewhere", "confirmed dispatcher PGK_OK");
    assert_int_equal(db_int(fixture, "SELECT epoch FROM pgkeeper.leadership"), epoch);
    check_reasons(fixture, "master", "");
    check_history(fixture);
}

static void
test_disk_full__leader_killed__standby_leads_and_is_entered_when_there_is_room(void **state)
{
    struct fixture *fixture = *state;
    struct process *a = contest_start(fixture, "a", NULL);
    int64_t epoch = contest_granted(a);
    struct process *b = contest_start(fixture, "b", "--no-confirm", NULL);
    contest_ready(fixture, "b");
    disk_fills(fixture);
    process_kill(a);
    process_expect(b, "grant ", WAIT_LONG_MS);
    contest_ask(b, "confirm somewhere", "confirmed dispatcher PGK_ERR_RESOURCE");
    wait_pause_ms(2500); /* longer than any time-out of a lease */
    assert_int_equal(process_count(b, "revoke "), 0);
    assert_int_equal(db_int(fixture, "SELECT epoch FROM pgkeeper.leadership"), epoch);
    disk_has_room(fixture);
    db_wait(fixture, "t", WAIT_LONG_MS, "SELECT epoch > %lld FROM pgkeeper.leadership",
            (long long)epoch);
    contest_ask(b, "confirm somewhere", "confirmed dispatcher PGK_OK");
    check_reasons(fixture, "master", "lost");
    check_history(fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DB_TEST(test_disk_full__leader_alive__goes_on_leading_with_a_clear_status),
        DB_TEST(test_disk_full__leader_killed__standby_leads_and_is_entered_when_there_is_room),
    };
    return cmocka_run_group_tests_name("disk_full", tests, fixture_group_setup,
                                       fixture_group_teardown);
}
