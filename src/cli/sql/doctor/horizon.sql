-- How long the oldest transaction of our sessions holds back VACUUM. Read only. A role that may not look at the sessions of
-- others sees no times, only how many transactions have come since.
WITH ours AS (
    SELECT a.pid, a.application_name, extract(epoch FROM clock_timestamp() - a.xact_start) AS seconds, age(a.backend_xmin) AS transactions
      FROM pg_stat_activity a
     WHERE a.application_name LIKE 'pgkeeper%' AND a.datname = current_database() AND a.backend_xmin IS NOT NULL
       AND a.pid <> pg_backend_pid()
     ORDER BY age(a.backend_xmin) DESC, a.xact_start LIMIT 1)
SELECT CASE WHEN o.seconds > 300 THEN 'fail' WHEN o.seconds > 60 OR o.seconds IS NULL AND o.transactions > 100000 THEN 'warn' ELSE 'ok' END AS state,
       CASE WHEN o.pid IS NULL THEN 'no session of pgkeeper holds back VACUUM'
            WHEN o.seconds IS NULL THEN format('pid %s "%s" has held its snapshot for %s transactions (this role may not see for how long: pg_read_all_stats)',
                                               o.pid, o.application_name, o.transactions)
            ELSE format('pid %s "%s" has held its snapshot for %s s', o.pid, o.application_name, round(o.seconds::numeric, 1)) END AS evidence,
       CASE WHEN o.seconds > 60 OR o.transactions > 100000 THEN 'a large recovery, or a program that stands still in one: look at it' END AS cure
  FROM (VALUES (1)) one LEFT JOIN ours o ON true
