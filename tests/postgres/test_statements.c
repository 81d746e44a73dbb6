/*
 * tests/postgres/test_statements.c - every statement of the table is prepared on a real server; its parameters and
 * columns are those that the code counts on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "backend/postgres/statements.h"
#include "fixture.h"

static void test_statements__each__prepares_with_the_counts_of_the_table(void **state)
{
    struct fixture *fixture = *state;
    db_exec(fixture, "SET search_path = pgkeeper, pg_temp");
    for (int i = 0; i < STMT_COUNT; i++) {
        const struct statement *statement = &statements[i];
        PGresult *result = PQprepare(fixture->conn, statement->name, statement->text, 0, NULL);
        if (PQresultStatus(result) != PGRES_COMMAND_OK) {
            fail_msg("%s: %s", statement->name, PQresultErrorMessage(result));
        }
        PQclear(result);
        result = PQdescribePrepared(fixture->conn, statement->name);
        if (PQnparams(result) != statement->params || PQnfields(result) != statement->columns) {
            fail_msg("%s has %d parameters and %d columns, the table says %d and %d",
                     statement->name, PQnparams(result), PQnfields(result), statement->params,
                     statement->columns);
        }
        assert_in_range(statement->params, 0, STATEMENT_MAX_PARAMS);
        PQclear(result);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_statements__each__prepares_with_the_counts_of_the_table, fixture_setup,
            fixture_teardown),
    };
    return cmocka_run_group_tests(tests, fixture_group_setup, fixture_group_teardown);
}
