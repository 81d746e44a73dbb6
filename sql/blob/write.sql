-- $1 id of begin.sql, $2 offset, $3 bytes. Column: true. SQLSTATE PK004: taken for abandoned. Safe to retry.
SELECT blob_write($1::uuid, $2::bigint, $3::bytea)
