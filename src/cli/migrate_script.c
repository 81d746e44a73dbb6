/*
 * migrate_script.c - `pgkeeper migrate sql`: prints a script for psql that does what `migrate up` does.
 *
 * Needs no database. The schema's name is a psql variable, so nothing but the files is in the script.
 */
#include "migrate.h"

#include <stdio.h>

static const char preamble[] = "-- Migrations of pgkeeper's schema; printed by pgkeeper %s. Run "
                               "with psql -X -f, not with -1.\n"
                               "-- Another schema name: psql -v schema='other name'. The result is "
                               "that of `pgkeeper migrate up`.\n"
                               "\\set ON_ERROR_STOP on\n"
                               "\\set QUIET on\n"
                               "SET client_encoding = 'UTF8';\n"
                               "SET standard_conforming_strings = on;\n"
                               "\\if :{?schema}\n"
                               "\\else\n"
                               "\\set schema %s\n"
                               "\\endif\n";

static const char opening[] =
    "\n"
    "-- ---------------------------------------------------------------- %04d_%s\n"
    "BEGIN ISOLATION LEVEL READ COMMITTED;\n"
    "SET LOCAL lock_timeout = '2s';\n"
    "SET LOCAL statement_timeout = 0;\n"
    "SET LOCAL client_min_messages = warning;\n"
    "SELECT NOT pg_try_advisory_xact_lock('pg_namespace'::regclass::oid::integer, "
    "hashtext(:'schema')) AS busy \\gset\n"
    "\\if :busy\n"
    "DO $$ BEGIN RAISE EXCEPTION 'somebody else is migrating this schema: run the script again "
    "later'; END $$;\n"
    "\\endif\n"
    "SELECT set_config('search_path', quote_ident(:'schema') || ', pg_temp', true) AS path,\n"
    "       NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = :'schema') AS missing,\n"
    "       EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace\n"
    "                WHERE n.nspname = :'schema' AND c.relname = 'schema_history') AS present "
    "\\gset\n"
    "\\if :missing\n"
    "CREATE SCHEMA :\"schema\";\n"
    "\\endif\n"
    "\\set version 0\n"
    "\\if :present\n"
    "SELECT coalesce(max(version), 0) AS version FROM schema_history \\gset\n"
    "\\endif\n"
    "SELECT :version <> %d AS unexpected, clock_timestamp() AS began \\gset\n"
    "\\if :unexpected\n"
    "\\echo 'the schema is at version' :version\n"
    "DO $$ BEGIN RAISE EXCEPTION 'migration %04d_%s needs a schema at version %d; nothing was "
    "changed'; END $$;\n"
    "\\endif\n";

static const char closing[] =
    "INSERT INTO schema_history (version, name, sha256, duration_ms, client_version)\n"
    "VALUES (%d, '%s', '%s',\n"
    "        (extract(epoch FROM clock_timestamp() - :'began'::timestamptz) * 1000)::integer, "
    "'%s');\n"
    "COMMIT;\n";

/* \set takes a quoted argument; inside it a quote is doubled and a backslash escaped. */
static void quote_for_psql(char *out, size_t size, const char *text)
{
    size_t length = 0;
    out[length++] = '\'';
    for (; *text != '\0' && length + 4 < size; text++) {
        if (*text == '\'' || *text == '\\') {
            out[length++] = *text == '\'' ? '\'' : '\\';
        }
        out[length++] = *text;
    }
    out[length++] = '\'';
    out[length] = '\0';
}

int migrate_script(const struct cli *cli, int from, int target)
{
    char quoted[160];
    quote_for_psql(quoted, sizeof quoted, config_value(cli, CLI_KEY_SCHEMA));
    printf(preamble, CLI_VERSION, quoted);
    for (int i = from; i < target; i++) {
        const struct migration *m = &migrations[i];
        printf(opening, m->version, m->name, i, m->version, m->name, i);
        fputs(m->up, stdout);
        printf(closing, m->version, m->name, m->sha256, CLI_VERSION);
    }
    return CLI_OK;
}
