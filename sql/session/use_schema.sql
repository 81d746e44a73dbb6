-- For one transaction only, because the next one may run on another server session (transaction pooler).
-- $1 search_path. Safe to retry.
SELECT set_config('search_path', $1::text, true)
