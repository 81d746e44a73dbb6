-- What is to be discarded, of one job or of all, one row at a time or more, going on after the last one seen.
-- $1 cluster id, $2 job id (NULL: all), $3 job id and $4 checkpoint id of the last one seen (NULL: from the start),
-- $5 at most so many, $6 leadership id, $7 epoch (both NULL: no fence).
-- Columns: job id, checkpoint id, kind, retention, completed (milliseconds since 1970), epoch, SHA-256, metadata,
-- pointer, id of its write; ascending. SQLSTATE PK001 when fenced: who is deposed must remove nothing. Safe to retry.
SELECT c.job_id, c.checkpoint_id, c.kind, c.retention, round(extract(epoch FROM c.completed_at) * 1000)::bigint, c.epoch,
       c.sha256, c.metadata, c.pointer, c.op_id
  FROM checkpoint c
 WHERE (SELECT may_write($6::integer, $7::bigint)) AND c.cluster_id = $1::text AND c.state = 'discarding' AND ($2::uuid IS NULL OR c.job_id = $2::uuid)
   AND ($3::uuid IS NULL OR (c.job_id, c.checkpoint_id) > ($3::uuid, $4::bigint))
 ORDER BY c.job_id, c.checkpoint_id
 LIMIT $5::bigint
