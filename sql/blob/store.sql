-- $1 leadership id, $2 epoch (both NULL: no fence), $3 cluster id, $4 job id (NULL: none), $5 key, $6 id of this write,
-- $7 content, $8 its SHA-1, $9 its SHA-256. Column: are there loose objects to be swept? SQLSTATE PK001 when fenced.
-- Safe to retry with the same $6, unless somebody else puts under the same key meanwhile: the repetition replaces that.
SELECT blob_store($1::integer, $2::bigint, $3::text, $4::uuid, $5::text, $6::uuid, $7::bytea, $8::bytea, $9::bytea)
