-- What server is this? The first statement of every session; changes nothing, so it may meet a pooler.
-- Columns: backend pid, in recovery, read-only, system identifier, timeline (0 in recovery), deadlock_timeout in ms,
--          is the server Linux. Safe to retry.
SELECT pg_backend_pid(),
       pg_is_in_recovery(),
       current_setting('transaction_read_only') = 'on',
       (SELECT c.system_identifier FROM pg_control_system() c),
       CASE WHEN pg_is_in_recovery() THEN 0
            ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint END,
       (SELECT s.setting::integer FROM pg_settings s WHERE s.name = 'deadlock_timeout'),
       version() ~* 'linux'
