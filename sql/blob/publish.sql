-- $1 leadership id, $2 epoch (both NULL: no fence), $3 cluster id, $4 job id (NULL: none), $5 key, $6 id of begin.sql,
-- $7 id of this write, $8 bytes, $9 SHA-1, $10 SHA-256. Column: are there loose objects to be swept? SQLSTATE PK001 when
-- fenced, PK004 when the object was taken for abandoned. Not to be repeated: look for $7 (recovery/settle.sql).
SELECT blob_publish($1::integer, $2::bigint, $3::text, $4::uuid, $5::text, $6::uuid, $7::uuid, $8::bigint, $9::bytea, $10::bytea)
