-- A range of a blob, in pieces. $1 large object, $2 id of the write that made the blob, $3 from, $4 to, the byte after the
-- last, $5 bytes of a piece. Column: bytes, fewer where the object ends; NULL: the blob is another one now, or gone.
-- SQLSTATE 42704: the object is missing. Safe to retry.
SELECT blob_read($1::bigint::oid, $2::uuid, o.at, least($5::integer, $4::bigint - o.at)::integer)
  FROM generate_series($3::bigint, $4::bigint - 1, $5::integer) o(at)
