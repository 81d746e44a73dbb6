-- After a database with pgkeeper's schema was restored from an older state by pg_restore or psql (a restore by
-- point-in-time recovery needs none of this): makes new whatever might have been handed out since, before any master
-- starts. docs/operations.md has the reasons.
--
--   psql -d DATABASE -f after_restore.sql                          when nobody knows what was handed out
--   psql -d DATABASE --set=past=4.22 -f after_restore.sql          no epoch above 4.22 ever was
--
-- Variables: schema (pgkeeper); past, the largest epoch that was handed out, as timeline.counter or as a number;
-- timelines (1000), how far epochs jump without it; numbers (1000000), how far the checkpoint counters jump.
-- Run it as the owner of the tables or a superuser. One transaction; refused while anybody leads. To run it twice does
-- no harm.

\set ON_ERROR_STOP on
\if :{?schema}
\else
\set schema pgkeeper
\endif
\if :{?past}
\else
\set past ''
\endif
\if :{?timelines}
\else
\set timelines 1000
\endif
\if :{?numbers}
\else
\set numbers 1000000
\endif

BEGIN;
SET LOCAL lock_timeout = '5s';
SELECT set_config('search_path', quote_ident(:'schema') || ', pg_temp', true) AS schema,
       set_config('pgkeeper.act', 'after_restore', true) AS act,
       coalesce(array_length(string_to_array(nullif(:'past', ''), '.'), 1), 0) AS parts \gset after_restore_
SELECT CASE :after_restore_parts
           WHEN 0 THEN ''
           WHEN 1 THEN :'past'
           ELSE ((split_part(:'past', '.', 1)::bigint << 40) + split_part(:'past', '.', 2)::bigint)::text
       END AS past \gset after_restore_

SELECT format('DO $$ BEGIN RAISE EXCEPTION %L; END $$',
              'led right now: ' || string_agg(format('group "%s" of cluster "%s"', l.group_name, l.cluster_id), ', ')
              || '; stop the masters first')
  FROM leadership l WHERE is_held(l.id) HAVING count(*) > 0
\gexec

-- Above every token in the field. Until somebody takes over, the fence lets nobody pass.
UPDATE leadership
   SET epoch = CASE WHEN nullif(:'after_restore_past', '') IS NULL THEN epoch + (:timelines::bigint << 40)
                    ELSE greatest(epoch, nullif(:'after_restore_past', '')::bigint) + 1 END,
       handover_to = NULL, handover_from = NULL, handover_until = NULL, handover_by = NULL;
UPDATE leader r SET session_id = NULL, address = NULL, confirmed_at = NULL;
-- Processes of then: none of them lives here.
DELETE FROM member;

SELECT to_regclass('job_graph') IS NOT NULL AS stores \gset after_restore_
\if :after_restore_stores
DELETE FROM job_store;
-- Transaction ids of the server that was dumped mean nothing here: stored before everything that will be.
UPDATE job_graph SET created_in = '3', owners = '{}', disowned = '{}';
-- Numbers issued since the dump may be those of files that are there.
UPDATE checkpoint_counter SET next_id = next_id + :numbers, op_id = gen_random_uuid();
\endif

INSERT INTO event (cluster_id, subject, act, by_hand, detail)
SELECT l.cluster_id, l.group_name, 'after_restore', true, jsonb_build_object('epoch', l.epoch) FROM leadership l;
SELECT l.cluster_id, l.group_name, epoch_text(l.epoch) AS epoch FROM leadership l ORDER BY 1, 2;
COMMIT;
