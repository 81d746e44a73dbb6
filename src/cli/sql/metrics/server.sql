-- The server and the schema: one column per metric. Read only.
SELECT m.schema_version, pg_is_in_recovery()::integer AS in_recovery,
       current_setting('default_transaction_read_only')::boolean::integer AS read_only,
       round(pg_notification_queue_usage()::numeric, 6) AS queue,
       current_setting('max_connections')::integer - current_setting('superuser_reserved_connections')::integer
           - (SELECT count(*) FROM pg_stat_activity a WHERE a.backend_type = 'client backend'
               OR a.backend_type IS NULL AND a.datid IS NOT NULL) AS connections_free,
       round(extract(epoch FROM pg_postmaster_start_time())::numeric, 3) AS started
  FROM schema_meta m
