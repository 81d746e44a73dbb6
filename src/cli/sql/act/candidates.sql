-- Live contenders of the group that leads a component, and which of them a name or an id means.
-- $1 cluster id, $2 component or group, $3 member's name or id, or NULL. Raises PK002 for an unknown $2. Read only.
SELECT s.member_id, s.member_name, s.state,
       coalesce(s.member_name = $3::text OR s.member_id::text = $3::text, false) AS meant
  FROM stat_contenders s, find_leadership($1::text, $2::text) AS l
 WHERE s.cluster_id = l.cluster_id AND s.group_name = l.group_name AND s.alive
 ORDER BY s.member_id
