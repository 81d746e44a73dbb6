-- Settings of a session: set, never inherited from a role or database.
-- $1 search_path, $2 application_name, $3 idle_session_timeout, $4 statement_timeout, $5 lock_timeout,
-- $6 idle_in_transaction_session_timeout, $7 tcp_user_timeout (all in ms), $8 is the server Linux. Safe to retry.
SELECT set_config('search_path', $1::text, false),
       set_config('application_name', $2::text, false),
       set_config('idle_session_timeout', $3::text, false),
       set_config('statement_timeout', $4::text, false),
       set_config('lock_timeout', $5::text, false),
       set_config('idle_in_transaction_session_timeout', $6::text, false),
       set_config('tcp_user_timeout', $7::text, false),
       set_config('tcp_keepalives_idle', '1', false),
       set_config('tcp_keepalives_interval', '1', false),
       set_config('tcp_keepalives_count', '3', false),
       set_config('synchronous_commit', 'on', false),
       set_config('default_transaction_isolation', 'read committed', false),
       -- A warning may be all that tells of a cancelled wait for a synchronous standby.
       set_config('client_min_messages', 'warning', false),
       -- Plans are made once, when the session rehearses, and not anew in the first five take-overs.
       set_config('plan_cache_mode', 'force_generic_plan', false),
       -- A plan that seems costly because of large rows is not worth compiling.
       set_config('jit', 'off', false),
       -- From version 17 on.
       CASE WHEN current_setting('transaction_timeout', true) IS NOT NULL
            THEN set_config('transaction_timeout', '0', false) END,
       -- Other systems refuse a value here before version 16.
       CASE WHEN $8::boolean THEN set_config('client_connection_check_interval', '500', false) END
