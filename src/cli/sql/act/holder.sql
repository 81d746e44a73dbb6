-- Whom kick() would hit: the session that leads a component or group, or, without a pid, the member whose tenure is lost. No
-- row: nobody. $1 cluster id, $2 component or group. Raises PK002 for an unknown $2. Read only.
SELECT l.group_name, epoch_text(l.epoch) AS epoch_text, l.member_id,
       CASE WHEN k.pid IS NULL OR m.backend_pid = k.pid THEN coalesce(m.name, l.member_id::text) ELSE 'a stranger' END AS member_name,
       k.pid AS backend_pid
  FROM find_leadership($1::text, $2::text) AS l
  LEFT JOIN pg_locks k ON k.locktype = 'advisory' AND k.granted AND k.objsubid = 2
                      AND k.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
                      AND k.classid = 'leadership'::regclass AND k.objid = l.id::oid
  LEFT JOIN member m ON m.id = l.member_id
 WHERE k.pid IS NOT NULL OR (l.session_id IS NOT NULL AND l.released_at IS NULL)
