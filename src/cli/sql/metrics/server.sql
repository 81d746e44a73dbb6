-- The server and the schema: one column per metric. Read only.
SELECT m.schema_version, pg_is_in_recovery()::integer AS in_recovery,
       -- The server's or the database's; a role that may only read is no trouble.
       (SELECT (s.setting = 'on' AND s.source NOT IN ('user', 'database user', 'session', 'client'))::integer
          FROM pg_settings s WHERE s.name = 'default_transaction_read_only') AS read_only,
       round(pg_notification_queue_usage()::numeric, 6) AS queue,
       current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer
           - coalesce(nullif(current_setting('reserved_connections', true), '')::integer, 0)
           - (SELECT count(*) FROM pg_stat_activity a WHERE a.backend_type = 'client backend'
               OR a.backend_type IS NULL AND a.datid IS NOT NULL) AS connections_free,
       round(extract(epoch FROM pg_postmaster_start_time())::numeric, 3) AS started
  FROM schema_meta m
