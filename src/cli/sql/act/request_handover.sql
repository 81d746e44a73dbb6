-- Asks the leader of a component or group to hand over. Repeating it renews the request.
-- $1 cluster id, $2 component or group, $3 member id or NULL for anybody else, $4 window, milliseconds.
-- One row: the epoch that is to end. Raises PK002 (no such thing, no leader, no such member) or PK003 (leads already).
SELECT request_handover($1::text, $2::text, $3::integer, $4::integer) AS epoch
