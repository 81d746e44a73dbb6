-- The server's queue of notifications: full, and every NOTIFY fails. Read only.
SELECT CASE WHEN pg_notification_queue_usage() > 0.5 THEN 'fail' WHEN pg_notification_queue_usage() > 0.05 THEN 'warn' ELSE 'ok' END AS state,
       format('notification queue %s %% full', round(pg_notification_queue_usage()::numeric * 100, 1)) AS evidence,
       CASE WHEN pg_notification_queue_usage() > 0.05
            THEN 'a session listens in a transaction that does not end: see the oldest xact_start in pg_stat_activity' END AS cure
