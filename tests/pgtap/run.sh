#!/usr/bin/env bash
# Runs every *.sql here under pg_prove, in a migrated database of a private server: once with the default name of the
# schema, once with one that needs quoting. Started by ctest through test_with_server.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
PATH=$PGSERVER_BINDIR:$PATH
export STATEMENTS=$here/../../sql

# prove DATABASE SCHEMA
prove() {
    createdb "$1"
    "$PGK_TEST_COMMAND" -d "dbname=$1" --schema "$2" migrate up
    psql -qX -v ON_ERROR_STOP=1 -d "$1" -c 'CREATE SCHEMA tap' -c 'CREATE EXTENSION pgtap SCHEMA tap'
    # In PGOPTIONS a backslash keeps a blank.
    local name=${2// /\\ }
    PGOPTIONS="-c search_path=\"$name\",tap" pg_prove --failures -d "$1" "$here"/*.sql
}

# What another transaction does meanwhile, with an id of its own, would be later than these tests that are one transaction each.
psql -qX -c "ALTER SYSTEM SET autovacuum = off" -c "SELECT pg_reload_conf()" >/dev/null
prove plain pgkeeper
prove quoted 'Keeper of masters'
