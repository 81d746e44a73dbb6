-- How long the oldest transaction of our sessions holds back VACUUM. Read only.
WITH ours AS (
    SELECT a.pid, a.application_name, coalesce(extract(epoch FROM clock_timestamp() - a.xact_start), 0) AS seconds
      FROM pg_stat_activity a
     WHERE a.application_name LIKE 'pgkeeper%' AND a.datname = current_database() AND a.backend_xmin IS NOT NULL
       AND a.pid <> pg_backend_pid()
     ORDER BY a.xact_start LIMIT 1)
SELECT CASE WHEN o.seconds > 300 THEN 'fail' WHEN o.seconds > 60 THEN 'warn' ELSE 'ok' END AS state,
       CASE WHEN o.pid IS NULL THEN 'no session of pgkeeper holds back VACUUM'
            ELSE format('pid %s "%s" has held its snapshot for %s s', o.pid, o.application_name, round(o.seconds::numeric, 1)) END
           || CASE WHEN pg_has_role('pg_read_all_stats', 'USAGE') THEN '' ELSE ' (only those of this role are visible)' END AS evidence,
       CASE WHEN o.seconds > 60 THEN 'a large recovery, or a program that stands still in one: look at it' END AS cure
  FROM (VALUES (1)) one LEFT JOIN ours o ON true
