-- 0004_operations: what an operator does by SQL as well as by the command: pause and resume elections, hand over by name,
-- purge what is old, verify a blob; what is applied; and the audit of acts on whole tables.
--
-- Run like 0001. Changes no table of an earlier migration.

-- ---------------------------------------------------------------------------------------------
-- Elections paused. The rule itself is in take_over().

CREATE FUNCTION pause_elections(cluster_id text, reason text DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('pgkeeper.act', 'pause', true);
    INSERT INTO election_pause (cluster_id, reason)
    VALUES (pause_elections.cluster_id, nullif(pause_elections.reason, ''))
    ON CONFLICT ON CONSTRAINT election_pause_pkey DO NOTHING;
    IF NOT FOUND THEN
        PERFORM set_config('pgkeeper.act', '', true);
        RETURN false;
    END IF;
    PERFORM set_config('pgkeeper.act', '', true);
    PERFORM announce(pause_elections.cluster_id, 'election_pause');
    INSERT INTO event (cluster_id, subject, act, by_hand, detail)
    VALUES (pause_elections.cluster_id, pause_elections.cluster_id, 'pause', false,
            jsonb_strip_nulls(jsonb_build_object('reason', nullif(pause_elections.reason, ''))));
    RETURN true;
END $$;
COMMENT ON FUNCTION pause_elections(text, text) IS 'Pauses the elections of a cluster: whoever leads goes on leading, and nobody takes over, not even from a leader that is gone. A take-over that is being committed still is. False: they were paused already, and nothing is changed.';

CREATE FUNCTION resume_elections(cluster_id text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
#variable_conflict use_column
DECLARE
    before election_pause;
BEGIN
    PERFORM set_config('pgkeeper.act', 'resume', true);
    DELETE FROM election_pause p WHERE p.cluster_id = resume_elections.cluster_id RETURNING * INTO before;
    PERFORM set_config('pgkeeper.act', '', true);
    IF before.cluster_id IS NULL THEN
        RETURN false;
    END IF;
    -- Standbys that read "released" try at once; the others within a second.
    PERFORM announce(before.cluster_id, 'released ' || l.id) FROM leadership l
      WHERE l.cluster_id = before.cluster_id AND l.id::oid NOT IN (
            -- As is_held(), but looked up once: there may be a group per job.
            SELECT k.objid FROM pg_locks k
             WHERE k.locktype = 'advisory' AND k.granted AND k.objsubid = 2
               AND k.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
               AND k.classid = 'leadership'::regclass);
    PERFORM announce(before.cluster_id, 'election_pause');
    INSERT INTO event (cluster_id, subject, act, by_hand, detail)
    VALUES (before.cluster_id, before.cluster_id, 'resume', false, jsonb_strip_nulls(jsonb_build_object(
               'paused_at', before.paused_at, 'paused_by', before.paused_by, 'reason', before.reason)));
    RETURN true;
END $$;
COMMENT ON FUNCTION resume_elections(text) IS 'Ends a pause of a cluster''s elections; groups without a leader get one at once. False: they were not paused.';

-- ---------------------------------------------------------------------------------------------
-- Hand-over by name: request_handover() for people.

CREATE FUNCTION switchover(cluster_id text, what text, to_member text) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
DECLARE
    l     leadership := find_leadership(switchover.cluster_id, switchover.what);
    ids   integer[];
BEGIN
    SELECT array_agg(m.id) INTO ids FROM member m
     WHERE m.cluster_id = l.cluster_id AND m.name = switchover.to_member AND l.group_name = ANY (m.group_names)
       AND is_alive(m.id);
    IF coalesce(cardinality(ids), 0) <> 1 THEN
        RAISE EXCEPTION '% live contenders of group "%" are called "%"', coalesce(cardinality(ids), 0), l.group_name, switchover.to_member
            USING ERRCODE = 'PK002', HINT = 'SELECT * FROM stat_contenders; request_handover() takes a member_id';
    END IF;
    RETURN request_handover(switchover.cluster_id, switchover.what, ids[1]);
END $$;
COMMENT ON FUNCTION switchover(text, text, text) IS 'Asks the leader of a component or group to hand over to the live contender of that name. Returns the epoch that is to end, as request_handover() does.';

-- ---------------------------------------------------------------------------------------------
-- What is old.

CREATE FUNCTION purge(cluster_id text, what text, older_than interval, batch integer DEFAULT 10000) RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
#variable_conflict use_column
DECLARE
    before CONSTANT timestamptz := clock_timestamp() - purge.older_than;
    gone   bigint;
BEGIN
    IF purge.older_than < interval '0' OR purge.batch < 1 THEN
        RAISE EXCEPTION 'purge() takes an age that is not negative and a batch of at least one row'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    PERFORM set_config('pgkeeper.act', 'purge', true);
    -- Materialized: a subquery that locks rows would find others each time a join asks it again.
    CASE purge.what
    WHEN 'results' THEN
        WITH old AS MATERIALIZED (
            SELECT x.job_id FROM job_result x
             WHERE x.cluster_id = purge.cluster_id AND x.state = 'clean' AND x.clean_at <= before
             ORDER BY x.clean_at LIMIT purge.batch FOR UPDATE SKIP LOCKED)
        DELETE FROM job_result r USING old o WHERE r.cluster_id = purge.cluster_id AND r.job_id = o.job_id;
    WHEN 'history' THEN
        -- The latest tenure of a group stays: take_over() closes it, and whoever led last may still say why it lost it.
        WITH old AS MATERIALIZED (
            SELECT x.leadership_id, x.epoch FROM leader_history x
             WHERE x.cluster_id = purge.cluster_id AND x.ended_at <= before
               AND EXISTS (SELECT FROM leader_history n WHERE n.leadership_id = x.leadership_id AND n.epoch > x.epoch)
             LIMIT purge.batch FOR UPDATE SKIP LOCKED)
        DELETE FROM leader_history h USING old o WHERE h.leadership_id = o.leadership_id AND h.epoch = o.epoch;
    WHEN 'events' THEN
        WITH old AS MATERIALIZED (
            SELECT x.id FROM event x WHERE x.cluster_id IN (purge.cluster_id, '*') AND x.at <= before
             ORDER BY x.at LIMIT purge.batch FOR UPDATE SKIP LOCKED)
        DELETE FROM event e USING old o WHERE e.id = o.id;
    ELSE
        RAISE EXCEPTION 'purge() takes results, history or events, not %', quote_nullable(purge.what)
            USING ERRCODE = 'invalid_parameter_value';
    END CASE;
    GET DIAGNOSTICS gone = ROW_COUNT;
    PERFORM set_config('pgkeeper.act', '', true);
    IF gone > 0 THEN
        INSERT INTO event (cluster_id, subject, act, by_hand, detail)
        VALUES (purge.cluster_id, purge.what, 'purge', false, jsonb_build_object('rows', gone, 'before', before));
    END IF;
    RETURN gone;
END $$;
COMMENT ON FUNCTION purge(text, text, interval, integer) IS 'Deletes one batch of what is older: clean results, ended tenures (the latest of each group stays) or audit events of a cluster. How many; fewer than batch: none is left.';

-- ---------------------------------------------------------------------------------------------
-- Is a blob whole?

-- STABLE: it sees what the statement sees that calls it, so that the object is the one of the row. The server has no SHA-256
-- that is fed piece by piece: the object is in memory as a whole, once.
CREATE FUNCTION blob_object_digest(loid oid, largest bigint) RETURNS TABLE (size bigint, sha256 bytea)
LANGUAGE plpgsql STABLE SET search_path FROM CURRENT
AS $$
DECLARE
    fd integer;
BEGIN
    fd := lo_open(loid, 262144); -- INV_READ
    size := lo_lseek64(fd, 0, 2); -- SEEK_END
    PERFORM lo_close(fd);
    IF size <= largest THEN
        sha256 := sha256(lo_get(loid));
    END IF;
    RETURN NEXT;
EXCEPTION WHEN undefined_object OR insufficient_privilege THEN
    size := CASE SQLSTATE WHEN '42704' THEN -1 ELSE -2 END;
    RETURN NEXT;
END $$;
COMMENT ON FUNCTION blob_object_digest(oid, bigint) IS 'Bytes of a large object, -1: it is not there, -2: it is of another owner; and their SHA-256, NULL when there are more than largest.';

CREATE FUNCTION blob_verify(cluster_id text, job_id uuid, blob_key text, largest bigint DEFAULT 268435456)
RETURNS TABLE (state text, size bigint, reason text)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
#variable_conflict use_column
DECLARE
    b record;
BEGIN
    SELECT x.size, x.sha256, o.size AS found, o.sha256 AS digest INTO b
      FROM blob x CROSS JOIN LATERAL blob_object_digest(x.loid, least(blob_verify.largest, 1073741819)) o -- what a bytea holds
     WHERE x.cluster_id = blob_verify.cluster_id AND x.blob_key = blob_verify.blob_key
       AND coalesce(x.job_id::text, '') = coalesce(blob_verify.job_id::text, '');
    IF NOT FOUND THEN
        RAISE EXCEPTION 'cluster "%" has no blob % %', blob_verify.cluster_id, blob_verify.blob_key,
            coalesce('of job ' || job_hex(blob_verify.job_id), 'without a job')
            USING ERRCODE = 'PK002', HINT = 'SELECT cluster_id, job_id, blob_key FROM stat_blobs';
    END IF;
    size := b.size;
    state := CASE WHEN b.found <> b.size OR b.digest <> b.sha256 THEN 'damaged' WHEN b.digest IS NULL THEN 'unread' ELSE 'ok' END;
    reason := CASE WHEN b.found = -1 THEN 'its large object is missing'
                   WHEN b.found = -2 THEN 'its large object belongs to another role: sql/roles.sql gives it to the owner of the schema'
                   WHEN b.found <> b.size THEN format('its large object has %s bytes', b.found)
                   WHEN b.digest <> b.sha256 THEN 'SHA-256 of its bytes is ' || encode(b.digest, 'hex')
                   WHEN b.digest IS NULL THEN 'too large to be read at once: pgkeeper blobs verify reads it piece by piece' END;
    INSERT INTO event (cluster_id, subject, act, by_hand, detail)
    VALUES (blob_verify.cluster_id, blob_verify.blob_key, 'verify blob', false, jsonb_strip_nulls(jsonb_build_object(
               'state', state, 'size', size, 'job', job_hex(blob_verify.job_id), 'reason', reason)));
    RETURN NEXT;
END $$;
COMMENT ON FUNCTION blob_verify(text, uuid, text, bigint) IS 'Reads a blob (job_id NULL: of no job) and compares length and SHA-256. state: ok; damaged; unread: it has more than largest bytes, and only its length was compared. The server needs that much memory for it. Raises PK002 when there is none.';

-- ---------------------------------------------------------------------------------------------
-- Audit of what row triggers do not see, or what nobody but people deletes.

CREATE FUNCTION note_statement() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
AS $$
BEGIN
    IF TG_OP = 'TRUNCATE' THEN
        INSERT INTO event (cluster_id, subject, act, by_hand)
        VALUES ('*', TG_TABLE_NAME, 'truncate ' || TG_TABLE_NAME, true);
        PERFORM announce(c.cluster_id, TG_TABLE_NAME) FROM (SELECT DISTINCT l.cluster_id FROM leadership l) c;
    ELSIF coalesce(current_setting('pgkeeper.act', true), '') = '' THEN
        INSERT INTO event (cluster_id, subject, act, by_hand, detail)
        SELECT g.cluster_id, TG_TABLE_NAME, lower(TG_OP) || ' ' || TG_TABLE_NAME, true, jsonb_build_object('rows', count(*))
          FROM gone g GROUP BY g.cluster_id;
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION note_statement() IS 'Trigger: writes into event what was done by hand to a whole table, or to history and audit themselves.';

CREATE FUNCTION note_tenure() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
AS $$
BEGIN
    INSERT INTO event (cluster_id, subject, act, by_hand, detail)
    SELECT l.cluster_id, l.group_name, lower(TG_OP) || ' tenure', true,
           jsonb_build_object('old', to_jsonb(OLD), 'new', CASE WHEN TG_OP = 'UPDATE' THEN to_jsonb(NEW) END)
      FROM leadership l WHERE l.id = OLD.leadership_id;
    PERFORM announce(l.cluster_id, 'leadership') FROM leadership l WHERE l.id = OLD.leadership_id;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION note_tenure() IS 'Trigger: writes into event that a row of tenure was changed or deleted by hand, which may fence its leader.';

CREATE FUNCTION note_member() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
AS $$
BEGIN
    IF is_alive(OLD.id) THEN
        RAISE EXCEPTION 'member % ("%") is alive: without its row it would look dead, and what it leads lost', OLD.id, OLD.name
            USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'End the process, or its session: kick() what it leads.';
    END IF;
    INSERT INTO event (cluster_id, subject, act, by_hand, detail)
    VALUES (OLD.cluster_id, OLD.name, 'delete member', true, jsonb_build_object('old', to_jsonb(OLD), 'new', NULL));
    RETURN OLD;
END $$;
COMMENT ON FUNCTION note_member() IS 'Trigger: refuses to delete the row of a process that is connected, and writes into event that another was deleted by hand.';

CREATE TRIGGER note_delete BEFORE DELETE ON member
    FOR EACH ROW WHEN (coalesce(current_setting('pgkeeper.act', true), '') = '') EXECUTE FUNCTION note_member();
-- A take-over, which nothing may hold up, says what it is by the time that it writes; what the guard of leadership does
-- follows a change that is audited there.
CREATE TRIGGER note_update AFTER UPDATE ON tenure
    FOR EACH ROW WHEN (NEW.taken_at = OLD.taken_at AND pg_trigger_depth() = 0
                       AND coalesce(current_setting('pgkeeper.act', true), '') = '') EXECUTE FUNCTION note_tenure();
CREATE TRIGGER note_delete AFTER DELETE ON tenure
    FOR EACH ROW WHEN (coalesce(current_setting('pgkeeper.act', true), '') = '') EXECUTE FUNCTION note_tenure();
CREATE TRIGGER note_delete AFTER DELETE ON leader_history REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION note_statement();
CREATE TRIGGER note_delete AFTER DELETE ON event REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION note_statement();
CREATE TRIGGER note_update AFTER UPDATE ON leader_history REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION note_statement();
CREATE TRIGGER note_update AFTER UPDATE ON event REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION note_statement();
CREATE TRIGGER note_truncate AFTER TRUNCATE ON leader FOR EACH STATEMENT EXECUTE FUNCTION note_statement();
CREATE TRIGGER note_truncate AFTER TRUNCATE ON leader_history FOR EACH STATEMENT EXECUTE FUNCTION note_statement();
CREATE TRIGGER note_truncate AFTER TRUNCATE ON election_pause FOR EACH STATEMENT EXECUTE FUNCTION note_statement();
CREATE TRIGGER note_truncate AFTER TRUNCATE ON event FOR EACH STATEMENT EXECUTE FUNCTION note_statement();
CREATE TRIGGER note_truncate AFTER TRUNCATE ON member FOR EACH STATEMENT EXECUTE FUNCTION note_statement();
CREATE TRIGGER note_truncate AFTER TRUNCATE ON tenure FOR EACH STATEMENT EXECUTE FUNCTION note_statement();
CREATE TRIGGER note_truncate AFTER TRUNCATE ON job_store FOR EACH STATEMENT EXECUTE FUNCTION note_statement();
CREATE TRIGGER note_truncate AFTER TRUNCATE ON applied_write FOR EACH STATEMENT EXECUTE FUNCTION note_statement();
CREATE TRIGGER note_truncate AFTER TRUNCATE ON job_graph FOR EACH STATEMENT EXECUTE FUNCTION note_statement();
CREATE TRIGGER note_truncate AFTER TRUNCATE ON job_result FOR EACH STATEMENT EXECUTE FUNCTION note_statement();
CREATE TRIGGER note_truncate AFTER TRUNCATE ON job_status FOR EACH STATEMENT EXECUTE FUNCTION note_statement();
CREATE TRIGGER note_truncate AFTER TRUNCATE ON checkpoint FOR EACH STATEMENT EXECUTE FUNCTION note_statement();
CREATE TRIGGER note_truncate AFTER TRUNCATE ON checkpoint_counter FOR EACH STATEMENT EXECUTE FUNCTION note_statement();

-- ---------------------------------------------------------------------------------------------
-- Views for people.

CREATE VIEW stat_pauses AS
-- As is_held(), but looked up once for all groups: there may be one per job.
WITH led AS MATERIALIZED (
    SELECT k.objid AS leadership_id, m.id AS member_id FROM pg_locks k JOIN member m ON m.backend_pid = k.pid
     WHERE k.locktype = 'advisory' AND k.granted AND k.objsubid = 2
       AND k.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
       AND k.classid = 'leadership'::regclass)
SELECT p.cluster_id, p.paused_at, p.paused_by, p.reason, coalesce(g.groups, 0) AS groups, coalesce(g.leaderless, 0) AS leaderless
  FROM election_pause p
  LEFT JOIN (
       SELECT l.cluster_id, count(*) AS groups,
              count(*) FILTER (WHERE l.member_id IS NULL
                                  OR (l.id::oid, l.member_id) NOT IN (SELECT d.leadership_id, d.member_id FROM led d)) AS leaderless
         FROM leadership l GROUP BY l.cluster_id) g USING (cluster_id);
COMMENT ON VIEW stat_pauses IS 'Clusters whose elections are paused, one row each.';
COMMENT ON COLUMN stat_pauses.cluster_id IS 'Cluster id.';
COMMENT ON COLUMN stat_pauses.paused_at IS 'Since when.';
COMMENT ON COLUMN stat_pauses.paused_by IS 'Role that paused them.';
COMMENT ON COLUMN stat_pauses.reason IS 'Why, in words.';
COMMENT ON COLUMN stat_pauses.groups IS 'Groups of the cluster.';
COMMENT ON COLUMN stat_pauses.leaderless IS 'Those without a leader, which stay so until the elections are resumed.';

CREATE VIEW stat_schema AS
SELECT h.version, h.name, h.version = m.schema_version AS newest, m.min_client_schema, h.applied_at, h.applied_by,
       h.duration_ms, h.client_version, h.sha256
  FROM schema_history h CROSS JOIN schema_meta m;
COMMENT ON VIEW stat_schema IS 'Migrations applied to this schema, one row each, and the oldest client that may use it.';
COMMENT ON COLUMN stat_schema.version IS 'Number of the migration.';
COMMENT ON COLUMN stat_schema.name IS 'Its name.';
COMMENT ON COLUMN stat_schema.newest IS 'True for the one that the schema is at.';
COMMENT ON COLUMN stat_schema.min_client_schema IS 'Clients must have been built for at least this schema version.';
COMMENT ON COLUMN stat_schema.applied_at IS 'When it was applied.';
COMMENT ON COLUMN stat_schema.applied_by IS 'Role that was logged in.';
COMMENT ON COLUMN stat_schema.duration_ms IS 'How long it took, milliseconds.';
COMMENT ON COLUMN stat_schema.client_version IS 'Version of the pgkeeper command that applied it.';
COMMENT ON COLUMN stat_schema.sha256 IS 'SHA-256 of the file that was run.';

UPDATE schema_meta SET schema_version = 4;
COMMENT ON COLUMN event.cluster_id IS 'Cluster that it concerns; *: all.';
COMMENT ON COLUMN event.subject IS 'Group, component, job or blob that it concerns; of pause, resume and cleanup_cluster the cluster; of purge what was purged; of a whole table its name.';
COMMENT ON COLUMN event.act IS 'take_over, release, confirm, withdraw, request_handover, pause, resume, kick, purge, verify blob, cleanup_job, cleanup_cluster; or insert, update, delete, truncate by hand, with the table''s name.';

DO $$
BEGIN
    EXECUTE format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA %I FROM PUBLIC', current_schema());
    EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA %I FROM PUBLIC', current_schema());
END $$;
