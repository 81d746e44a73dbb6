-- Sets search_path to one schema and pg_temp.
-- $1 schema; $2 true: for this transaction only. Safe to repeat.
SELECT set_config('search_path', quote_ident($1::text) || ', pg_temp', $2::boolean)
