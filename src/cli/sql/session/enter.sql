-- Sets search_path to one schema and pg_temp, and for a probe the time-outs that the role does not have yet.
-- $1 schema; $2 true: for this transaction only; $3 true: a probe. Safe to repeat.
SELECT set_config('search_path', quote_ident($1::text) || ', pg_temp', $2::boolean),
       CASE WHEN $3::boolean AND current_setting('lock_timeout') = '0' THEN set_config('lock_timeout', '2s', $2::boolean) END,
       CASE WHEN $3::boolean AND current_setting('statement_timeout') = '0' THEN set_config('statement_timeout', '8s', $2::boolean) END
