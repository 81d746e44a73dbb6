-- Columns: large object, bytes, left by a writer that has died (or a removal), since when (ms since 1970). Safe to retry.
SELECT o.loid::bigint, o.size, o.unfinished, floor(extract(epoch FROM o.started_at) * 1000)::bigint FROM blob_orphans() o
