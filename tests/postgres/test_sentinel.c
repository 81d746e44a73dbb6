/* tests/postgres/test_sentinel.c - every standby watches the process that leads, whatever their ids. */
#include "contest.h"

static void test_sentinel__three_standbys_of_one_leader__all_watch_it(void **state)
{
    struct fixture *fixture = *state;
    struct process *leader = contest_start(fixture, "a", NULL);
    contest_granted(leader);
    contest_start(fixture, "b", NULL); /* its id is the leader's and one more */
    contest_start(fixture, "c", NULL);
    contest_start(fixture, "d", NULL);
    WAIT_UNTIL(db_sessions(fixture, "sentinel") == 3, WAIT_LONG_MS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sentinel__three_standbys_of_one_leader__all_watch_it,
                                        fixture_setup, fixture_teardown)};
    return cmocka_run_group_tests(tests, fixture_group_setup, fixture_group_teardown);
}
