-- $1 cluster id. Read the state after it, never before. Safe to retry.
SELECT listen($1::text)
