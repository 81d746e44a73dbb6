-- Views are cheap with 10,000 jobs, each with a leader of its own: none looks for something once per row, and none is
-- compiled, neither with statistics nor right after the rows came, nor with statistics of the time when there were none or
-- one, with which the planner joins thousands by thousands in nested loops where it may. Times are compared with a floor, that of
-- counting the rows of the tables that the view reads, so that a slow machine passes. The bounds are some ten times what was measured on
-- a quiet one: a list that takes 30 ms is interrupted more often than a count that takes 2.
BEGIN;
SELECT plan(80);

\ir ../lib/ten_thousand_jobs.sql

-- Milliseconds; not with what it takes to send the rows.
CREATE FUNCTION pg_temp.cost(query text) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
    began CONSTANT timestamptz := clock_timestamp();
BEGIN
    EXECUTE query;
    RETURN extract(epoch FROM clock_timestamp() - began) * 1000;
END $$;
CREATE FUNCTION pg_temp.is_cheap(query text, times numeric, tables text, what text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    counts CONSTANT text := (SELECT 'SELECT ' || string_agg(format('(SELECT count(*) FROM %I)', t), ', ') FROM unnest(tables::text[]) t);
    floor  numeric;
    cost   numeric;
    plan   json;
BEGIN
    FOR i IN 1..7 LOOP
        floor := least(floor, pg_temp.cost(counts));
        cost := least(cost, pg_temp.cost(query));
        EXIT WHEN cost < times * floor / 4;
    END LOOP;
    RETURN NEXT ok(cost < times * floor, format('%s takes %s ms, counting %s ms', what, round(cost, 1), round(floor, 1)));
    EXECUTE 'EXPLAIN (FORMAT JSON) ' || query INTO plan;
    RETURN NEXT cmp_ok((plan -> 0 -> 'Plan' ->> 'Total Cost')::numeric, '<', current_setting('jit_above_cost')::numeric / 2, 'it is not compiled');
END $$;
CREATE FUNCTION pg_temp.all_are_cheap(with_what text) RETURNS SETOF text LANGUAGE sql AS $$
    SELECT c.line FROM (VALUES
        ('SELECT * FROM stat_summary', 60, '{job_graph,job_status,job_result,checkpoint,checkpoint_counter,blob,leadership}'),
        ('SELECT * FROM stat_jobs', 200, '{job_graph,job_status,job_result,checkpoint,checkpoint_counter,blob}'),
        ($q$SELECT * FROM stat_jobs WHERE cluster_id = 'c1'$q$, 200, '{job_graph,job_status,job_result,checkpoint,checkpoint_counter,blob}'),
        ('SELECT * FROM stat_jobs LIMIT 50', 30, '{job_graph,job_status,job_result,checkpoint,checkpoint_counter,blob}'),
        ($q$SELECT * FROM stat_jobs WHERE cluster_id = 'c1' AND job_id = md5('77')::uuid$q$, 4, '{job_graph,job_status,job_result,checkpoint,checkpoint_counter,blob}'),
        ('SELECT * FROM stat_leaders', 500, '{leadership,leader}'),
        ($q$SELECT * FROM stat_leaders WHERE cluster_id = 'c1'$q$, 500, '{leadership,leader}'),
        ('SELECT * FROM stat_pauses', 60, '{leadership}'),
        ('SELECT * FROM stat_contenders', 500, '{leadership}'),
        ($q$SELECT * FROM stat_contenders WHERE cluster_id = 'c1'$q$, 500, '{leadership}')) AS v(query, times, tables),
           pg_temp.is_cheap(v.query, v.times, v.tables, v.query || with_what) AS c(line) $$;

SELECT * FROM pg_temp.all_are_cheap(', new rows');
ANALYZE job_graph, job_status, job_result, checkpoint, checkpoint_counter, blob, leadership, leader;
SELECT * FROM pg_temp.all_are_cheap(', analyzed');

-- As ANALYZE leaves it that saw no rows, or one per page, in tables that had pages already.
CREATE FUNCTION pg_temp.believe(rows_per_page real) RETURNS void LANGUAGE sql AS $$
    DELETE FROM pg_statistic USING pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE starelid = c.oid AND n.nspname = current_schema();
    UPDATE pg_class c SET relpages = 1, reltuples = rows_per_page FROM pg_namespace n
     WHERE n.oid = c.relnamespace AND n.nspname = current_schema() AND c.relkind = 'r' $$;
SELECT pg_temp.believe(0);
SELECT * FROM pg_temp.all_are_cheap(', believed to be empty');
SELECT pg_temp.believe(1);
SELECT * FROM pg_temp.all_are_cheap(', believed to have a row per page');

SELECT * FROM finish();
ROLLBACK;
