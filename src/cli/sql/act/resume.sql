-- Ends the pause of a cluster's elections. $1 cluster id. One row: false, they were not paused. Safe to repeat.
SELECT resume_elections($1::text) AS resumed
