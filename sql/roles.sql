-- Roles for pgkeeper, for psql, run after `pgkeeper migrate up` and again after each migration, by a superuser or by a
-- role with CREATEROLE that owns the database and the schema (it becomes a member of the owner role):
--
--     psql -X -v ON_ERROR_STOP=1 -v schema=pgkeeper -f sql/roles.sql
--
-- Makes four roles without login where they are missing and gives them what they need; grant them to your own login
-- roles. All names are variables (-v owner=... -v application=... -v monitor=... -v operator=...):
--   owner        owns the schema and all in it; functions run with its rights. Migrate as it:
--                PGOPTIONS='-c role=pgkeeper_owner' pgkeeper migrate up
--   application  what libpgkeeper needs, and fence() for the application's own transactions; of the tables only those of
--                the job stores can be written, and nothing of leadership
--   monitor      reads: the views, the history, the audit, who leads; enough for the reading verbs and `pgkeeper watch`
--   operator     monitor, and request_handover(), switchover(), pause_elections(), resume_elections(), kick(), purge(),
--                cleanup_job(), cleanup_cluster(), blob_verify(), blob_sweep() and blob_remove_orphans()
-- PUBLIC gets nothing. What these roles had been granted on the schema before is taken away first: the result is
-- always what stands here. One transaction: all or nothing.

\set ON_ERROR_STOP on
\if :{?schema}
\else
\set schema pgkeeper
\endif
\if :{?owner}
\else
\set owner pgkeeper_owner
\endif
\if :{?application}
\else
\set application pgkeeper_application
\endif
\if :{?monitor}
\else
\set monitor pgkeeper_monitor
\endif
\if :{?operator}
\else
\set operator pgkeeper_operator
\endif

BEGIN;
SET LOCAL lock_timeout = '5s';
SET LOCAL search_path = pg_catalog;

SELECT format('DO $$ BEGIN RAISE EXCEPTION %L; END $$',
              format('there is no pgkeeper schema "%s" here: run pgkeeper migrate up first', :'schema'))
 WHERE to_regclass(format('%I.schema_history', :'schema')) IS NULL
\gexec

SELECT format('CREATE ROLE %I NOLOGIN', wanted.name)
  FROM (VALUES (:'owner'), (:'application'), (:'monitor'), (:'operator')) AS wanted(name)
 WHERE NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = wanted.name)
\gexec

-- Without being a superuser only a member of a role may give things to it.
SELECT format('GRANT %I TO CURRENT_USER', :'owner') WHERE NOT pg_has_role(:'owner', 'USAGE')
\gexec

-- Ownership: the schema, its tables (with their sequences and indexes), views, domains and functions. Nothing else of anybody's.
ALTER SCHEMA :"schema" OWNER TO :"owner";
SELECT format('ALTER %s %s OWNER TO %I', CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END, c.oid::regclass, :'owner')
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = :'schema' AND c.relkind IN ('r', 'p', 'v') AND pg_get_userbyid(c.relowner) <> :'owner'
UNION ALL
SELECT format('ALTER DOMAIN %s OWNER TO %I', t.oid::regtype, :'owner')
  FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
 WHERE n.nspname = :'schema' AND t.typtype = 'd' AND pg_get_userbyid(t.typowner) <> :'owner'
UNION ALL
SELECT format('ALTER ROUTINE %s OWNER TO %I', p.oid::regprocedure, :'owner')
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE n.nspname = :'schema' AND pg_get_userbyid(p.proowner) <> :'owner'
\gexec

-- The bytes of the blobs that are there already.
SELECT to_regclass(format('%I.blob', :'schema')) IS NOT NULL AS has_blobs \gset
\if :has_blobs
SELECT format('ALTER LARGE OBJECT %s OWNER TO %I', o.oid, :'owner')
  FROM pg_largeobject_metadata o
 WHERE pg_get_userbyid(o.lomowner) <> :'owner'
   AND o.oid IN (SELECT loid FROM :"schema".blob UNION ALL SELECT loid FROM :"schema".blob_loose)
\gexec
\endif

-- kick() and a take-over that finds a stopped leader's transaction open end sessions of the application's roles.
SELECT set_config('pgkeeper.owner_role', :'owner', true) AS owner \gset
DO $$
BEGIN
    EXECUTE format('GRANT pg_signal_backend TO %I', current_setting('pgkeeper.owner_role'));
EXCEPTION WHEN insufficient_privilege THEN
    RAISE NOTICE 'pg_signal_backend could not be granted to %: kick() will be refused, and so will a take-over from a leader stopped in a transaction',
        current_setting('pgkeeper.owner_role');
END $$;

-- From nothing.
REVOKE ALL ON SCHEMA :"schema" FROM PUBLIC, :"application", :"monitor", :"operator";
REVOKE ALL ON ALL TABLES IN SCHEMA :"schema" FROM PUBLIC, :"application", :"monitor", :"operator";
REVOKE ALL ON ALL SEQUENCES IN SCHEMA :"schema" FROM PUBLIC, :"application", :"monitor", :"operator";
REVOKE ALL ON ALL ROUTINES IN SCHEMA :"schema" FROM PUBLIC, :"application", :"monitor", :"operator";
GRANT USAGE ON SCHEMA :"schema" TO :"application", :"monitor", :"operator";

-- Functions by name, so that a new signature needs no new line; each must exist.
CREATE TEMPORARY TABLE pgkeeper_grants ON COMMIT DROP AS
SELECT w.name, w.role_name, p.oid AS found
  FROM (SELECT unnest('{fence, join_member, enroll, withdraw_member, watch_member, take_over, enter_tenure, unentered_tenures, release, announce_tenure,
                        report_end, rehearse, confirm, withdraw, listen, channel, is_held, is_alive, epoch_text, lock_class,
                        may_write, note_write, claim_graphs, live_owners, live_tenures, job_hex, cleanup_job, cleanup_cluster, blob_store, blob_begin,
                        blob_write, blob_publish, blob_publish_all, blob_leave, blob_read, blob_remove, blob_remove_job,
                        blob_sweep, blob_orphans, blob_remove_orphans, blob_compress_fast}'::text[]), :'application'
        UNION ALL
        SELECT unnest('{is_held, is_alive, unentered_tenures, epoch_text, listen, channel, live_owners, live_tenures, job_hex, blob_orphans}'::text[]), :'monitor'
        UNION ALL
        SELECT unnest('{request_handover, switchover, kick, pause_elections, resume_elections, purge, find_leadership,
                        cleanup_job, cleanup_cluster, blob_sweep, blob_remove_orphans, blob_verify}'::text[]), :'operator') AS w(name, role_name)
  LEFT JOIN pg_namespace n ON n.nspname = :'schema'
  LEFT JOIN pg_proc p ON p.pronamespace = n.oid AND p.proname = w.name;

SELECT format('DO $$ BEGIN RAISE EXCEPTION %L; END $$', 'the schema has no function ' || string_agg(g.name, ', '))
  FROM pg_temp.pgkeeper_grants g WHERE g.found IS NULL HAVING count(*) > 0
\gexec
SELECT format('GRANT EXECUTE ON FUNCTION %s TO %I', g.found::regprocedure, g.role_name) FROM pg_temp.pgkeeper_grants g
\gexec

SELECT format('GRANT SELECT ON %I.%I TO %I', :'schema', w.name, w.role_name)
  FROM (SELECT unnest('{schema_meta, member, leadership, tenure, leader, blob, stat_leaders, stat_contenders, stat_pauses, stat_schema, stat_jobs,
                        stat_results, stat_checkpoints, stat_summary, stat_blobs}'::text[]), :'application'
        UNION ALL
        SELECT unnest('{schema_meta, schema_history, member, leadership, tenure, leader, leader_history, event, stat_leaders, stat_contenders,
                        job_store, job_status, checkpoint_counter, stat_jobs, stat_results, stat_checkpoints, stat_summary,
                        blob, blob_loose, stat_blobs, stat_pauses, stat_schema}'::text[]),
               :'monitor') AS w(name, role_name)
\gexec

-- The library writes its stores itself, which is faster than through functions; triggers guard and audit them.
SELECT format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I.%I TO %I', :'schema', w.name, :'application')
  FROM unnest('{job_store, job_graph, job_result, job_status, checkpoint, checkpoint_counter}'::text[]) AS w(name)
\gexec

GRANT :"monitor" TO :"operator";
COMMIT;
