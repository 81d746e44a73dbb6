-- Sessions that hold the lock of a group and belong to no contender: with them nobody can lead. Read only.
WITH stranger AS (
    SELECT k.pid, k.objid, a.application_name, a.usename
      FROM pg_locks k LEFT JOIN pg_stat_activity a ON a.pid = k.pid
     WHERE k.locktype = 'advisory' AND k.granted AND k.objsubid = 2
       AND k.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
       AND k.classid = to_regclass('leadership')
       AND NOT EXISTS (SELECT FROM stat_contenders c WHERE c.backend_pid = k.pid AND c.alive))
SELECT CASE WHEN count(*) > 0 THEN 'fail' ELSE 'ok' END AS state,
       CASE WHEN count(*) = 0 THEN 'group locks are held by contenders only'
            ELSE string_agg(format('pid %s (%s, "%s") holds the lock of leadership %s', s.pid, coalesce(s.usename, '?'),
                                   coalesce(s.application_name, '?'), s.objid), ', ' ORDER BY s.pid) END AS evidence,
       CASE WHEN count(*) > 0 THEN format('end it: SELECT pg_terminate_backend(%s)', min(s.pid)) END AS cure
  FROM stranger s
