-- One batch. $1 all orphans, or only what is loose? $2 at most so many; $3 at most so many bytes, of a large one too.
-- Columns: objects unlinked, is there more? Safe to retry.
SELECT s.removed, s.more FROM blob_sweep($2::integer, $3::bigint) s WHERE NOT $1::boolean
UNION ALL
SELECT s.removed, s.more FROM blob_remove_orphans($2::integer, $3::bigint) s WHERE $1::boolean
