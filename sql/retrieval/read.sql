-- All that a process wants to know, in one look: the groups it contends for and the components it follows.
-- $1 cluster id, $2 groups, $3 components, $4 look the locks up too. Safe to retry.
-- Columns: kind (group, leader), name, epoch, session id, member id (of a leader: leadership id), released, held, member asked to hand over, address.
WITH held AS MATERIALIZED (
    SELECT k.objid, k.pid FROM pg_locks k
     WHERE $4::boolean AND k.locktype = 'advisory' AND k.granted AND k.objsubid = 2
       AND k.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
       AND k.classid = 'leadership'::regclass)
SELECT 'group', l.group_name, l.epoch,
       -- A tenure whose row in `tenure` is gone passes no fence any more: its leader is to know.
       CASE WHEN EXISTS (SELECT FROM tenure t WHERE t.leadership_id = l.id AND (t.session_id, t.epoch) = (l.session_id, l.epoch)) THEN l.session_id END,
       l.member_id, l.released_at IS NOT NULL,
       CASE WHEN $4::boolean THEN l.id::oid IN (SELECT h.objid FROM held h) END,
       CASE WHEN l.handover_by IS NOT NULL AND l.handover_until > clock_timestamp() THEN l.handover_from END,
       NULL::text
  FROM leadership l
 WHERE l.cluster_id = $1::text AND l.group_name = ANY ($2::text[])
UNION ALL
SELECT 'leader', r.component, r.epoch, r.session_id, l.id, NULL,
       -- A record that is not of the group's present tenure announces nobody, whoever wrote it, nor one whose lock a stranger
       -- holds. A tenure that has begun and is not entered yet has published nothing, but holds the lock.
       (r.session_id, r.epoch) = (l.session_id, l.epoch) AND l.released_at IS NULL AND (NOT $4::boolean OR EXISTS (
               SELECT FROM held h JOIN member m ON m.id = l.member_id AND m.backend_pid = h.pid WHERE h.objid = l.id::oid))
           AND NOT EXISTS (SELECT FROM tenure t WHERE t.leadership_id = l.id AND NOT t.entered),
       NULL, r.address
  FROM leader r
  JOIN leadership l ON l.cluster_id = r.cluster_id AND l.group_name = r.group_name
 WHERE r.cluster_id = $1::text AND r.component = ANY ($3::text[])
