-- Can this server be written to? A role that may only read is a remark. Read only.
WITH read_only AS (
    SELECT s.setting = 'on' AS here, s.source IN ('user', 'database user', 'session', 'client') AS own, s.source
      FROM pg_settings s WHERE s.name = 'default_transaction_read_only')
SELECT CASE WHEN pg_is_in_recovery() OR r.here AND NOT r.own THEN 'fail' ELSE 'ok' END AS state,
       CASE WHEN pg_is_in_recovery() THEN 'in recovery: a standby, or not yet promoted'
            WHEN r.here AND NOT r.own THEN 'primary, but default_transaction_read_only is on'
            ELSE format('primary, timeline %s', ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint)
                 || CASE WHEN r.here THEN format('; default_transaction_read_only is on for role "%s" (from %s)', current_user, r.source)
                         ELSE '' END END AS evidence,
       CASE WHEN pg_is_in_recovery() THEN 'connect to the primary: list all hosts in the connection string'
            WHEN r.here AND NOT r.own THEN 'set default_transaction_read_only = off where it comes from: ' || r.source END AS cure
  FROM read_only r
