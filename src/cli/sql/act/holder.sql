-- Who holds the leadership of a component or group: what kick() would end. No row: nobody.
-- $1 cluster id, $2 component or group. Raises PK002 for an unknown $2. Read only.
SELECT l.group_name, epoch_text(l.epoch) AS epoch_text, l.member_id,
       coalesce(c.member_name, l.member_id::text) AS member_name, k.pid AS backend_pid
  FROM find_leadership($1::text, $2::text) AS l
  JOIN pg_locks k ON k.locktype = 'advisory' AND k.granted AND k.objsubid = 2
                 AND k.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
                 AND k.classid = 'leadership'::regclass AND k.objid = l.id::oid
  LEFT JOIN stat_contenders c ON c.cluster_id = l.cluster_id AND c.group_name = l.group_name AND c.member_id = l.member_id
