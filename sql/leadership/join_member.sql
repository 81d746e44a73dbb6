-- $1 incarnation, $2 cluster id, $3 name, $4 library version. Columns: member id, is its lock held by this session.
-- Not to be repeated in one session: locks stack.
SELECT j.member_id, j.locked FROM join_member($1::uuid, $2::text, $3::text, $4::text) j
