-- Pauses the elections of a cluster. $1 cluster id, $2 reason or NULL. One row: false, they were paused already.
-- Safe to repeat.
SELECT pause_elections($1::text, $2::text) AS paused
