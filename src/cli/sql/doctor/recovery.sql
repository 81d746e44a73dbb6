-- Can this server be written to? Read only.
SELECT CASE WHEN pg_is_in_recovery() OR current_setting('default_transaction_read_only')::boolean THEN 'fail' ELSE 'ok' END AS state,
       CASE WHEN pg_is_in_recovery() THEN 'in recovery: a standby, or not yet promoted'
            WHEN current_setting('default_transaction_read_only')::boolean THEN 'primary, but default_transaction_read_only is on'
            ELSE format('primary, timeline %s', ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint) END AS evidence,
       CASE WHEN pg_is_in_recovery() THEN 'connect to the primary: list all hosts in the connection string'
            WHEN current_setting('default_transaction_read_only')::boolean
            THEN 'set default_transaction_read_only = off where it comes from: '
                 || (SELECT s.source FROM pg_settings s WHERE s.name = 'default_transaction_read_only') END AS cure
