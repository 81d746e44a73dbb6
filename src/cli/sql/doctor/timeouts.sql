-- Settings that sessions inherit from server, database or role. The library sets its own and is not touched by them;
-- deadlock_timeout bounds what a waiting standby may log. Read only.
WITH inherited AS (
    SELECT s.name, s.setting, s.unit, s.source FROM pg_settings s
     WHERE s.name IN ('statement_timeout', 'lock_timeout', 'idle_session_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')
       AND s.setting <> '0' AND s.source <> 'session')
SELECT CASE WHEN (SELECT s.setting::integer FROM pg_settings s WHERE s.name = 'deadlock_timeout') < 200 THEN 'warn'
            WHEN EXISTS (SELECT FROM inherited i WHERE i.setting::bigint < 1000) THEN 'warn' ELSE 'ok' END AS state,
       coalesce((SELECT string_agg(format('%s = %s ms (from %s)', i.name, i.setting, i.source), ', ' ORDER BY i.name) FROM inherited i)
                || ': the library sets its own', 'none that would be inherited')
           || format('; deadlock_timeout %s', current_setting('deadlock_timeout')) AS evidence,
       CASE WHEN (SELECT s.setting::integer FROM pg_settings s WHERE s.name = 'deadlock_timeout') < 200
            THEN 'raise deadlock_timeout to 1 s: with log_lock_waits each wait of a standby is logged'
            WHEN EXISTS (SELECT FROM inherited i WHERE i.setting::bigint < 1000)
            THEN 'this command and psql inherit them: ALTER ROLE ... SET a larger value for those who use them' END AS cure
