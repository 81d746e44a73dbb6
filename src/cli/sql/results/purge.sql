-- Deletes one batch of what is older. $1 cluster id, $2 age in ms, $3 at most so many, $4 results, history or events.
-- Column: how many; fewer than $3: none is left. Safe to repeat.
SELECT purge($1::text, $4::text, $2::bigint * interval '1 ms', $3::integer)
