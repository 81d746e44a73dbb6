-- One batch. $1 all orphans, or only what is loose? $2 at most so many. Columns: objects unlinked, is there more? Safe to
-- retry.
SELECT s.removed, s.more FROM blob_sweep($2::integer) s WHERE NOT $1::boolean
UNION ALL
SELECT s.removed, s.more FROM blob_remove_orphans($2::integer) s WHERE $1::boolean
