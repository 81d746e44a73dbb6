-- Every trace of a job but its result. $1 cluster id, $2 job id. Columns: job, rows removed, checkpoints among them that
-- were still to be discarded.
SELECT job_hex($2::uuid) AS job, c.removed, c.dropped FROM cleanup_job(NULL, NULL, $1::text, $2::uuid) c
