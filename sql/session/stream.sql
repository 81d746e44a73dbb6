-- Before a statement whose rows are handed out as they come, in its transaction: it may last as long as the bytes and
-- their taker need, who may leave them lying on the network meanwhile. $1 search_path, $2 lock_timeout (ms).
-- Safe to retry.
SELECT set_config('search_path', $1::text, true),
       set_config('synchronous_commit', 'on', true),
       set_config('statement_timeout', '0', true),
       set_config('lock_timeout', $2::text, true),
       set_config('tcp_user_timeout', '0', true),
       -- Not by statistics of when there was little: a recovery would look at all jobs for each job.
       set_config('enable_nestloop', 'off', true)
