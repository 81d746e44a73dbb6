-- Sessions that hold a lock of ours as only a contender does, and are none: nobody can lead, or write, or a dead member looks
-- alive. A fence that is shared is held by a write of anybody's. Read only.
WITH held AS (
    SELECT k.pid, k.classid, k.objid FROM pg_locks k
     WHERE k.locktype = 'advisory' AND k.granted AND k.objsubid = 2
       AND k.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
       AND (k.classid = to_regclass('leadership')
            OR k.classid IN (to_regclass('leader'), to_regclass('member')) AND k.mode = 'ExclusiveLock')),
stranger AS (
    SELECT h.pid, format('pid %s (%s, "%s") holds the %s %s', h.pid, coalesce(a.usename, '?'), coalesce(a.application_name, '?'),
                         CASE h.classid WHEN to_regclass('member') THEN 'lock of member'
                                        WHEN to_regclass('leader') THEN 'fence of leadership' ELSE 'lock of leadership' END, h.objid) AS words
      FROM held h LEFT JOIN pg_stat_activity a ON a.pid = h.pid
     WHERE NOT EXISTS (SELECT FROM member m JOIN held o ON o.classid = to_regclass('member') AND o.objid = m.id::oid AND o.pid = m.backend_pid
                        WHERE m.backend_pid = h.pid AND (h.classid <> to_regclass('member') OR m.id::oid = h.objid)))
SELECT CASE WHEN count(*) > 0 THEN 'fail' ELSE 'ok' END AS state,
       coalesce(string_agg(s.words, ', ' ORDER BY s.pid, s.words), 'locks of groups and members are held by contenders only') AS evidence,
       CASE WHEN count(*) > 0 THEN format('end it: SELECT pg_terminate_backend(%s)', min(s.pid)) END AS cure
  FROM stranger s
