-- Enters a store, or renews its entry; ends those of tenures that are over. A store that does not listen and has no
-- fence need not be entered.
-- $1 leadership id, $2 epoch (both NULL: no fence), $3 cluster id, $4 store id, $5 does it listen?
-- Column: outcome (done, locked: to be tried again); SQLSTATE PK001 when fenced. Safe to retry.
-- An entry that is locked is let be: a deposed leader may be reading all its graphs still, for as long as it likes, and
-- so may this store. But somebody may also be about to delete this store's entry.
WITH f AS MATERIALIZED (SELECT may_write($1::integer, $2::bigint, $3::text) AS ok),
over AS (
    SELECT s.store_id FROM f, job_store s
     WHERE f.ok AND s.cluster_id = $3::text AND s.store_id <> $4::uuid
       AND CASE WHEN s.leadership_id IS NULL THEN s.started_at < clock_timestamp() - interval '1 day'
                ELSE NOT EXISTS (SELECT FROM tenure t WHERE t.leadership_id = s.leadership_id AND t.epoch = s.epoch
                                                        AND t.session_id IS NOT NULL) END
       FOR UPDATE OF s SKIP LOCKED),
ended AS (DELETE FROM job_store s USING over o WHERE s.store_id = o.store_id),
mine AS MATERIALIZED (SELECT FROM job_store s WHERE s.store_id = $4::uuid FOR UPDATE SKIP LOCKED),
entered AS (
    INSERT INTO job_store AS s (store_id, cluster_id, leadership_id, epoch, listening)
    SELECT $4::uuid, $3::text, $1::integer, coalesce($2::bigint, 0), $5::boolean FROM f
     WHERE f.ok AND (EXISTS (SELECT FROM mine) OR NOT EXISTS (SELECT FROM job_store s WHERE s.store_id = $4::uuid))
    ON CONFLICT (store_id) DO UPDATE SET listening = EXCLUDED.listening, started_at = clock_timestamp()
    RETURNING 1)
SELECT CASE WHEN EXISTS (SELECT FROM entered) THEN 'done' ELSE 'locked' END FROM f
