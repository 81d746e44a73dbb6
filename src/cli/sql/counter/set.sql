-- Sets the number that is issued next, by hand; the triggers write the audit. $1 cluster id, $2 job id, $3 the number,
-- $4 even if it is smaller than what the counter would issue?
-- Columns: outcome (done, smaller, changed: by somebody else meanwhile), what the counter would have issued.
WITH found AS MATERIALIZED (
    SELECT n.next_id FROM checkpoint_counter n WHERE n.cluster_id = $1::text AND n.job_id = $2::uuid FOR UPDATE OF n),
before AS MATERIALIZED (
    SELECT coalesce((SELECT f.next_id FROM found f), 1) AS next_id),
updated AS (
    UPDATE checkpoint_counter n SET next_id = $3::bigint
      FROM found f
     WHERE n.cluster_id = $1::text AND n.job_id = $2::uuid AND ($4::boolean OR f.next_id <= $3::bigint)
    RETURNING 1),
inserted AS (
    -- Not DO UPDATE: the trigger would enter an insert into the audit first.
    INSERT INTO checkpoint_counter (cluster_id, job_id, next_id)
    SELECT $1::text, $2::uuid, $3::bigint FROM before b
     WHERE NOT EXISTS (SELECT FROM found) AND ($4::boolean OR b.next_id <= $3::bigint)
    ON CONFLICT DO NOTHING
    RETURNING 1)
SELECT CASE WHEN EXISTS (SELECT FROM updated) OR EXISTS (SELECT FROM inserted) THEN 'done'
            WHEN $4::boolean OR b.next_id <= $3::bigint THEN 'changed' ELSE 'smaller' END, b.next_id
  FROM before b
