-- How many large objects no blob points to. Columns: count, their size for people. Read only.
SELECT count(*), pg_size_pretty(coalesce(sum(greatest(o.size, 0)), 0)) FROM blob_orphans() o
