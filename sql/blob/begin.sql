-- $1 leadership id, $2 epoch (both NULL: no fence), $3 cluster id, $4 id under which the object is written, $5 does this
-- session hold its lock? Column: large object. SQLSTATE PK001 when fenced. Not to be repeated with the same $4.
SELECT blob_begin($1::integer, $2::bigint, $3::text, $4::uuid, $5::boolean)
