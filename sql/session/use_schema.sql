-- For one transaction only, because the next one may run on another server session (transaction pooler): set, never
-- inherited from a role, a database or who had the session before.
-- $1 search_path, $2 statement_timeout and lock_timeout (ms). Safe to retry.
SELECT set_config('search_path', $1::text, true),
       set_config('jit', 'off', true),
       set_config('synchronous_commit', 'on', true),
       set_config('statement_timeout', $2::text, true),
       set_config('lock_timeout', $2::text, true)
