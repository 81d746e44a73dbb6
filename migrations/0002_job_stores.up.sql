-- 0002_job_stores: job graphs, results, the registry of running jobs, checkpoints and their counter.
--
-- Run as 0001 was: one transaction, search_path set to pgkeeper's schema and then pg_temp.
--
-- Rules that the statements of the library and the triggers below share; docs/stores.md has the reasons:
--   * Every row carries op_id, the id of the write that made it what it is, and the writer's epoch. A write that is sent
--     again is known by its op_id; a change by hand gets a new one, so that nobody overwrites it unknowingly.
--   * A change is by hand when it leaves updated_at as it was (insert: op_id empty, of a graph: no owners; delete:
--     pgkeeper.act empty).
--   * NOTIFY only when a graph comes or goes, and only when somebody else listens: it makes commits queue up.
--   * A CHECK or a trigger's WHEN is read anew by each statement, 3 us each; the check of a domain is not. So what every
--     put must pass is in domains, and put.sql itself notifies.
--   * Payloads are stored as they are (EXTERNAL): they are compressed or random already.

CREATE DOMAIN cluster_name AS text
    CONSTRAINT cluster_id_is_1_to_200_bytes CHECK (octet_length(VALUE) BETWEEN 1 AND 200);
COMMENT ON DOMAIN cluster_name IS 'A high-availability.cluster-id.';
CREATE DOMAIN payload AS bytea
    CONSTRAINT payload_is_1_byte_to_256_mib CHECK (octet_length(VALUE) BETWEEN 1 AND 268435456);
COMMENT ON DOMAIN payload IS 'Opaque bytes of the application.';
CREATE DOMAIN digest AS bytea
    CONSTRAINT digest_is_32_bytes CHECK (octet_length(VALUE) = 32);
COMMENT ON DOMAIN digest IS 'A SHA-256.';
CREATE DOMAIN row_version AS bigint
    CONSTRAINT version_is_positive CHECK (VALUE > 0);
COMMENT ON DOMAIN row_version IS 'How often something was written, itself included.';

CREATE TABLE job_store (
    store_id      uuid PRIMARY KEY,
    cluster_id    cluster_name NOT NULL,
    leadership_id integer,
    epoch         bigint NOT NULL DEFAULT 0,
    claims        pg_snapshot,
    claim_id      uuid,
    listening     boolean NOT NULL DEFAULT false,
    started_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT job_store_claims_have_an_id CHECK ((claims IS NULL) = (claim_id IS NULL)),
    CONSTRAINT job_store_without_a_leadership_has_epoch_0 CHECK (leadership_id IS NOT NULL OR epoch = 0)
);
CREATE INDEX job_store_by_cluster ON job_store (cluster_id);
COMMENT ON TABLE job_store IS 'Job graph stores that are started, one row each. A store is live while its tenure leads: see tenure_is_live(). Rows of the dead are removed when the next one starts.';
COMMENT ON COLUMN job_store.store_id IS 'Random id of the store; job_graph.owners names it.';
COMMENT ON COLUMN job_store.cluster_id IS 'high-availability.cluster-id of its process.';
COMMENT ON COLUMN job_store.leadership_id IS 'leadership.id of the token it was opened under; empty: without a fence, and never live to others.';
COMMENT ON COLUMN job_store.epoch IS 'Epoch of that token; 0 without one.';
COMMENT ON COLUMN job_store.claims IS 'The store owns every graph that was there in this snapshot, that of its latest recovery of all; empty: none that way.';
COMMENT ON COLUMN job_store.claim_id IS 'Random id of that recovery; job_graph.disowned names it.';
COMMENT ON COLUMN job_store.listening IS 'Does it want to hear of graphs that others add and remove?';
COMMENT ON COLUMN job_store.started_at IS 'When it was started.';

CREATE TABLE job_graph (
    cluster_id          cluster_name NOT NULL,
    job_id              uuid NOT NULL,
    graph               payload NOT NULL,
    sha256              digest NOT NULL,
    version             row_version NOT NULL DEFAULT 1,
    requirements        payload,
    requirements_sha256 digest,
    op_id               uuid NOT NULL DEFAULT gen_random_uuid(),
    epoch               bigint NOT NULL DEFAULT 0,
    owners              uuid[] NOT NULL DEFAULT '{}',
    disowned            uuid[] NOT NULL DEFAULT '{}',
    created_in          xid8 NOT NULL DEFAULT pg_current_xact_id(),
    created_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (cluster_id, job_id)
);
ALTER TABLE job_graph ALTER graph SET STORAGE EXTERNAL, ALTER requirements SET STORAGE EXTERNAL;
COMMENT ON TABLE job_graph IS 'What is to be run: one row per cluster id and job, from its submission to its end.';
COMMENT ON COLUMN job_graph.cluster_id IS 'high-availability.cluster-id of its masters.';
COMMENT ON COLUMN job_graph.job_id IS 'Job; tools write it as 32 hex digits.';
COMMENT ON COLUMN job_graph.graph IS 'The graph: opaque bytes, never compressed here.';
COMMENT ON COLUMN job_graph.sha256 IS 'SHA-256 of graph, computed by the client; a difference makes the job CORRUPT on recovery. After a change by hand: sha256(graph).';
COMMENT ON COLUMN job_graph.version IS '1, and one more with each replacement of the graph.';
COMMENT ON COLUMN job_graph.requirements IS 'Resource requirements: opaque bytes; empty: none.';
COMMENT ON COLUMN job_graph.requirements_sha256 IS 'SHA-256 of requirements, computed by the client.';
COMMENT ON COLUMN job_graph.op_id IS 'Id of the write that made graph what it is; a store replaces only the write that it knows.';
COMMENT ON COLUMN job_graph.epoch IS 'Epoch of the writer; 0: without a fence, or by hand.';
COMMENT ON COLUMN job_graph.owners IS 'Stores (job_store.store_id) that put or recovered this graph by itself; those that have ended count for nothing.';
COMMENT ON COLUMN job_graph.disowned IS 'Recoveries of all graphs (job_store.claim_id) whose store has since released this one.';
COMMENT ON COLUMN job_graph.created_in IS 'Transaction that stored it first; compared with job_store.claims.';
COMMENT ON COLUMN job_graph.created_at IS 'When it was stored first.';
COMMENT ON COLUMN job_graph.updated_at IS 'When graph or requirements were written last.';

CREATE TABLE job_result (
    cluster_id          cluster_name NOT NULL,
    job_id              uuid NOT NULL,
    state               text NOT NULL DEFAULT 'dirty',
    status              text NOT NULL,
    job_name            text NOT NULL DEFAULT '',
    job_started_at      timestamptz,
    job_ended_at        timestamptz,
    net_runtime_ms      bigint NOT NULL DEFAULT 0,
    failure             text,
    accumulators        payload,
    accumulators_sha256 digest,
    format_version      integer NOT NULL DEFAULT 1,
    op_id               uuid NOT NULL,
    epoch               bigint NOT NULL DEFAULT 0,
    created_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    clean_at            timestamptz,
    PRIMARY KEY (cluster_id, job_id),
    CONSTRAINT job_result_state_is_known CHECK (state IN ('dirty', 'clean')),
    CONSTRAINT job_result_status_is_terminal CHECK (status IN ('FINISHED', 'FAILED', 'CANCELED', 'UNKNOWN')),
    CONSTRAINT job_result_job_name_is_up_to_1024_bytes CHECK (octet_length(job_name) <= 1024),
    CONSTRAINT job_result_net_runtime_is_not_negative CHECK (net_runtime_ms >= 0),
    CONSTRAINT job_result_failure_is_up_to_1_mib CHECK (octet_length(failure) <= 1048576),
    CONSTRAINT job_result_accumulators_have_a_digest CHECK ((accumulators IS NULL) = (accumulators_sha256 IS NULL)),
    CONSTRAINT job_result_format_version_is_positive CHECK (format_version > 0),
    CONSTRAINT job_result_clean_has_a_time CHECK ((state = 'clean') = (clean_at IS NOT NULL)),
    CONSTRAINT job_result_times_are_finite CHECK (isfinite(job_started_at) AND isfinite(job_ended_at))
);
CREATE INDEX job_result_dirty ON job_result (cluster_id, job_id) WHERE state = 'dirty';
CREATE INDEX job_result_by_age ON job_result (cluster_id, clean_at) WHERE state = 'clean';
ALTER TABLE job_result ALTER accumulators SET STORAGE EXTERNAL;
COMMENT ON TABLE job_result IS 'What has ended: one row per cluster id and job. Dirty until all that the job left is removed, then clean, and purged by age.';
COMMENT ON COLUMN job_result.cluster_id IS 'high-availability.cluster-id of its masters.';
COMMENT ON COLUMN job_result.job_id IS 'Job.';
COMMENT ON COLUMN job_result.state IS 'dirty or clean.';
COMMENT ON COLUMN job_result.status IS 'How the job ended: FINISHED, FAILED, CANCELED, UNKNOWN.';
COMMENT ON COLUMN job_result.job_name IS 'What people call it.';
COMMENT ON COLUMN job_result.job_started_at IS 'When the job began, by its master''s clock; empty: not known.';
COMMENT ON COLUMN job_result.job_ended_at IS 'When it ended, by its master''s clock; empty: not known.';
COMMENT ON COLUMN job_result.net_runtime_ms IS 'How long it ran in all, milliseconds.';
COMMENT ON COLUMN job_result.failure IS 'Why it failed, in words; empty: it did not.';
COMMENT ON COLUMN job_result.accumulators IS 'Opaque bytes of the application; empty: none.';
COMMENT ON COLUMN job_result.accumulators_sha256 IS 'SHA-256 of accumulators, computed by the client.';
COMMENT ON COLUMN job_result.format_version IS 'Format of the entry; a reader that does not know it says CORRUPT for this entry alone.';
COMMENT ON COLUMN job_result.op_id IS 'Id of the write that made the entry.';
COMMENT ON COLUMN job_result.epoch IS 'Epoch of the writer; 0: without a fence, or by hand.';
COMMENT ON COLUMN job_result.created_at IS 'When it was stored.';
COMMENT ON COLUMN job_result.updated_at IS 'When it was written last.';
COMMENT ON COLUMN job_result.clean_at IS 'When it was marked clean; job-result-store.retention counts from here.';

CREATE TABLE job_status (
    cluster_id cluster_name NOT NULL,
    job_id     uuid NOT NULL,
    status     text NOT NULL,
    op_id      uuid NOT NULL,
    epoch      bigint NOT NULL DEFAULT 0,
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (cluster_id, job_id),
    CONSTRAINT job_status_is_known CHECK (status IN ('RUNNING', 'DONE'))
);
COMMENT ON TABLE job_status IS 'The running jobs registry: jobs that have begun. A job without a row is PENDING.';
COMMENT ON COLUMN job_status.cluster_id IS 'high-availability.cluster-id of its masters.';
COMMENT ON COLUMN job_status.job_id IS 'Job.';
COMMENT ON COLUMN job_status.status IS 'RUNNING or DONE.';
COMMENT ON COLUMN job_status.op_id IS 'Id of the write that made the row what it is.';
COMMENT ON COLUMN job_status.epoch IS 'Epoch of the writer; 0: without a fence, or by hand.';
COMMENT ON COLUMN job_status.updated_at IS 'When it was written last.';

CREATE TABLE checkpoint (
    cluster_id    cluster_name NOT NULL,
    job_id        uuid NOT NULL,
    checkpoint_id bigint NOT NULL,
    kind          text NOT NULL DEFAULT 'checkpoint',
    retention     text NOT NULL DEFAULT 'never_retained',
    state         text NOT NULL DEFAULT 'completed',
    metadata      payload,
    pointer       text,
    sha256        digest NOT NULL,
    completed_at  timestamptz NOT NULL,
    op_id         uuid NOT NULL,
    epoch         bigint NOT NULL DEFAULT 0,
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (cluster_id, job_id, checkpoint_id),
    CONSTRAINT checkpoint_id_is_not_negative CHECK (checkpoint_id >= 0),
    CONSTRAINT checkpoint_kind_is_known CHECK (kind IN ('checkpoint', 'savepoint', 'stop_savepoint')),
    CONSTRAINT checkpoint_retention_is_known CHECK (retention IN ('never_retained', 'retain_on_failure', 'retain_on_cancellation')),
    CONSTRAINT checkpoint_state_is_known CHECK (state IN ('completed', 'discarding', 'retained')),
    CONSTRAINT checkpoint_savepoint_is_never_discarded CHECK (kind = 'checkpoint' OR state <> 'discarding'),
    CONSTRAINT checkpoint_has_either_metadata_or_pointer CHECK ((metadata IS NULL) <> (pointer IS NULL)),
    CONSTRAINT checkpoint_pointer_is_1_to_4096_bytes CHECK (octet_length(pointer) BETWEEN 1 AND 4096),
    CONSTRAINT checkpoint_completed_at_is_finite CHECK (isfinite(completed_at))
);
CREATE INDEX checkpoint_discarding ON checkpoint (cluster_id, job_id, checkpoint_id) WHERE state = 'discarding';
ALTER TABLE checkpoint ALTER metadata SET STORAGE EXTERNAL;
CREATE INDEX checkpoint_large ON checkpoint (cluster_id, job_id) WHERE octet_length(metadata) > 1048576;
COMMENT ON TABLE checkpoint IS 'Checkpoints and savepoints of jobs, one row each, until their external data is removed or the job is cleaned up.';
COMMENT ON COLUMN checkpoint.cluster_id IS 'high-availability.cluster-id of its masters.';
COMMENT ON COLUMN checkpoint.job_id IS 'Job.';
COMMENT ON COLUMN checkpoint.checkpoint_id IS 'Number within the job, from checkpoint_counter.';
COMMENT ON COLUMN checkpoint.kind IS 'checkpoint, savepoint or stop_savepoint (stop-with-savepoint).';
COMMENT ON COLUMN checkpoint.retention IS 'Is the external data kept when the job ends? never_retained; retain_on_failure: when FAILED; retain_on_cancellation: when CANCELED, FAILED or SUSPENDED.';
COMMENT ON COLUMN checkpoint.state IS 'completed: in the list; discarding: left it, external data still to be removed by the application; retained: left it, external data stays.';
COMMENT ON COLUMN checkpoint.metadata IS 'Opaque bytes, never compressed here; empty when there is a pointer.';
COMMENT ON COLUMN checkpoint.pointer IS 'Where the metadata lies; empty when it is here.';
COMMENT ON COLUMN checkpoint.sha256 IS 'SHA-256 of metadata or pointer, computed by the client; a difference makes this entry CORRUPT.';
COMMENT ON COLUMN checkpoint.completed_at IS 'When it was completed, by its master''s clock.';
COMMENT ON COLUMN checkpoint.op_id IS 'Id of the write that added it.';
COMMENT ON COLUMN checkpoint.epoch IS 'Epoch of the writer; 0: without a fence, or by hand.';
COMMENT ON COLUMN checkpoint.created_at IS 'When it was stored.';
COMMENT ON COLUMN checkpoint.updated_at IS 'When it was written last: since when it is discarding or retained.';

CREATE TABLE checkpoint_counter (
    cluster_id cluster_name NOT NULL,
    job_id     uuid NOT NULL,
    next_id    bigint NOT NULL,
    op_id      uuid NOT NULL,
    epoch      bigint NOT NULL DEFAULT 0,
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (cluster_id, job_id),
    CONSTRAINT checkpoint_counter_is_not_negative CHECK (next_id >= 0)
) WITH (fillfactor = 50); -- one row per job, written for each checkpoint: room for the next version beside it
COMMENT ON TABLE checkpoint_counter IS 'Numbers of checkpoints, one row per job that has asked for one. A job without a row is at 1.';
COMMENT ON COLUMN checkpoint_counter.cluster_id IS 'high-availability.cluster-id of its masters.';
COMMENT ON COLUMN checkpoint_counter.job_id IS 'Job.';
COMMENT ON COLUMN checkpoint_counter.next_id IS 'The number that is issued next.';
COMMENT ON COLUMN checkpoint_counter.op_id IS 'Id of the latest write.';
COMMENT ON COLUMN checkpoint_counter.epoch IS 'Epoch of the writer; 0: without a fence, or by hand.';
COMMENT ON COLUMN checkpoint_counter.updated_at IS 'When it was written last.';

CREATE TABLE applied_write (
    op_id      uuid PRIMARY KEY,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX applied_write_by_time ON applied_write (applied_at);
COMMENT ON TABLE applied_write IS 'Ids of recent writes that leave no row to carry them, or one that the next write overwrites. Whoever lost the answer of such a write looks here whether it was done. Kept for an hour at least; the next writes remove them.';
COMMENT ON COLUMN applied_write.op_id IS 'Id of the write.';
COMMENT ON COLUMN applied_write.applied_at IS 'When it was done.';

-- ---------------------------------------------------------------------------------------------
-- Helpers.

CREATE FUNCTION note_write(op_id uuid) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
BEGIN
    DELETE FROM applied_write w WHERE w.op_id IN (
        SELECT o.op_id FROM applied_write o WHERE o.applied_at < clock_timestamp() - interval '1 hour'
         ORDER BY o.applied_at LIMIT 10 FOR UPDATE SKIP LOCKED);
    INSERT INTO applied_write (op_id) VALUES (note_write.op_id) ON CONFLICT DO NOTHING;
    RETURN FOUND;
END $$;
COMMENT ON FUNCTION note_write(uuid) IS 'Notes a write in applied_write, in its own transaction. False: it has been done before. Removes a few old notes on the way.';

CREATE FUNCTION job_hex(job_id uuid) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE -- not STRICT: that would keep it from being inlined
AS $$ SELECT encode(uuid_send(job_id), 'hex') $$;
COMMENT ON FUNCTION job_hex(uuid) IS 'A job id as tools write it: 32 hex digits.';

CREATE FUNCTION tenure_is_live(leadership_id integer, epoch bigint) RETURNS boolean
LANGUAGE sql VOLATILE SET search_path FROM CURRENT
AS $$
    SELECT EXISTS (SELECT FROM tenure t
                    WHERE t.leadership_id = tenure_is_live.leadership_id AND t.epoch = tenure_is_live.epoch
                      AND t.session_id IS NOT NULL AND is_held(t.leadership_id))
$$;
COMMENT ON FUNCTION tenure_is_live(integer, bigint) IS 'Does this epoch lead right now: is it the latest, not released, and its lock held?';

-- For views, which want all at once. A function, because a server in recovery refuses to read an unlogged table.
CREATE FUNCTION live_tenures() RETURNS TABLE (leadership_id integer, epoch bigint)
LANGUAGE plpgsql VOLATILE ROWS 10 SET search_path FROM CURRENT
AS $$
#variable_conflict use_column
BEGIN
    IF NOT pg_is_in_recovery() THEN
        RETURN QUERY
        SELECT t.leadership_id, t.epoch FROM tenure t JOIN member m ON m.id = t.member_id
         WHERE t.session_id IS NOT NULL AND (t.leadership_id::oid, m.backend_pid) IN (
               SELECT k.objid, k.pid FROM pg_locks k
                WHERE k.locktype = 'advisory' AND k.granted AND k.objsubid = 2
                  AND k.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
                  AND k.classid = 'leadership'::regclass);
    END IF;
END $$;
COMMENT ON FUNCTION live_tenures() IS 'All of which tenure_is_live() is true, entered or not. None in a standby, where nobody leads.';

CREATE FUNCTION live_owners(cluster_id text, job_id uuid, but_for uuid DEFAULT NULL) RETURNS uuid[]
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
    SELECT coalesce(array_agg(s.store_id), '{}')
      FROM job_graph g
      JOIN job_store s ON s.cluster_id = g.cluster_id AND s.leadership_id IS NOT NULL
     WHERE g.cluster_id = live_owners.cluster_id AND g.job_id = live_owners.job_id
       AND s.store_id IS DISTINCT FROM live_owners.but_for
       AND (s.store_id = ANY (g.owners)
            OR (pg_visible_in_snapshot(g.created_in, s.claims) AND NOT s.claim_id = ANY (g.disowned)
                -- A recovery does not hand out what has ended.
                AND NOT EXISTS (SELECT FROM job_result r WHERE r.cluster_id = g.cluster_id AND r.job_id = g.job_id)))
       AND tenure_is_live(s.leadership_id, s.epoch)
$$;
COMMENT ON FUNCTION live_owners(text, uuid, uuid) IS 'Stores that own a graph and whose tenure leads: named in its owners, or recovered all graphs when it was there, without a result, and has not released it since. but_for: a store that is not looked at; whether a tenure leads takes a look at all locks of the server.';

CREATE FUNCTION claim_graphs(store_id uuid, seen pg_snapshot) RETURNS boolean
LANGUAGE sql VOLATILE SET search_path FROM CURRENT
AS $$
    UPDATE job_store s SET claims = claim_graphs.seen, claim_id = gen_random_uuid() WHERE s.store_id = claim_graphs.store_id;
    SELECT true
$$;
COMMENT ON FUNCTION claim_graphs(uuid, pg_snapshot) IS 'Notes that a store has recovered all graphs of a snapshot, which it owns from then on. A function, so that the query that hands them out stays one that the server sends row by row: with an UPDATE in it all rows would be collected first.';

-- Called by every write of the library. Neither SECURITY DEFINER nor a search_path of its own, which would cost it a third
-- more: it acts with the rights of the caller, who reads tenure, on a session whose search_path the library has set.
CREATE FUNCTION may_write(leadership_id integer, epoch bigint, cluster_id text) RETURNS boolean
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    locked text;
BEGIN
    IF may_write.leadership_id IS NULL AND may_write.epoch IS NULL THEN
        RETURN true; -- a tool or a test: without a fence, as it said
    END IF;
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RETURN fence(may_write.leadership_id, may_write.epoch, coalesce(may_write.cluster_id, '')); -- says why not
    END IF;
    locked := pg_advisory_xact_lock_shared(lock_class('leader'), may_write.leadership_id);
    -- A statement of its own: its snapshot is taken after the lock was.
    PERFORM FROM tenure t
      WHERE t.leadership_id = may_write.leadership_id AND t.epoch = may_write.epoch AND t.session_id IS NOT NULL
        AND t.cluster_id = may_write.cluster_id;
    IF NOT FOUND THEN
        RETURN fence(may_write.leadership_id, may_write.epoch, coalesce(may_write.cluster_id, ''));
    END IF;
    RETURN true;
END $$;
COMMENT ON FUNCTION may_write(integer, bigint, text) IS 'fence(), in the form that the library''s statements call: as fast as can be; cluster_id is that of the rows to be written; true without a fence when leadership_id and epoch are NULL. Applications call fence().';

-- ---------------------------------------------------------------------------------------------
-- Rows changed by anyone: audit what is done by hand, tell of graphs that come and go.

CREATE FUNCTION note_by_hand() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
AS $$
DECLARE
    was record;
    now record;
BEGIN
    IF TG_OP <> 'DELETE' THEN
        NEW.op_id := gen_random_uuid();
        NEW.epoch := 0;
        NEW.updated_at := clock_timestamp();
        IF TG_OP = 'UPDATE' AND TG_TABLE_NAME = 'job_graph' THEN
            NEW.version := OLD.version + 1;
        END IF;
        now := NEW;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        was := OLD;
    END IF;
    -- Payloads may be 256 MiB: the audit says that, not what, they were.
    CASE TG_TABLE_NAME
        WHEN 'job_graph' THEN
            IF TG_OP <> 'DELETE' THEN now.graph := '\x00'; now.requirements := NULL; END IF;
            IF TG_OP <> 'INSERT' THEN was.graph := '\x00'; was.requirements := NULL; END IF;
        WHEN 'job_result' THEN
            IF TG_OP <> 'DELETE' THEN now.accumulators := NULL; END IF;
            IF TG_OP <> 'INSERT' THEN was.accumulators := NULL; END IF;
        WHEN 'checkpoint' THEN
            IF TG_OP <> 'DELETE' THEN now.metadata := NULL; END IF;
            IF TG_OP <> 'INSERT' THEN was.metadata := NULL; END IF;
        ELSE
            NULL;
    END CASE;
    INSERT INTO event (cluster_id, subject, act, by_hand, detail)
    SELECT changed.cluster_id, job_hex(changed.job_id), lower(TG_OP) || ' ' || TG_TABLE_NAME, true,
           jsonb_build_object('old', CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(was) END,
                              'new', CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(now) END)
      FROM (SELECT CASE WHEN TG_OP = 'DELETE' THEN OLD.cluster_id ELSE NEW.cluster_id END,
                   CASE WHEN TG_OP = 'DELETE' THEN OLD.job_id ELSE NEW.job_id END) AS changed(cluster_id, job_id);
    IF TG_OP = 'DELETE' THEN RETURN OLD; ELSE RETURN NEW; END IF;
END $$;
COMMENT ON FUNCTION note_by_hand() IS 'Trigger: gives a row that is written by hand a new op_id and epoch 0, and writes the change into event, without payloads.';

CREATE FUNCTION announce_graph() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.graph := '\x00';
        NEW.requirements := NULL;
        INSERT INTO event (cluster_id, subject, act, by_hand, detail)
        VALUES (NEW.cluster_id, job_hex(NEW.job_id), 'insert job_graph', true, jsonb_build_object('old', NULL, 'new', to_jsonb(NEW)));
        PERFORM pg_notify(channel(NEW.cluster_id), 'job_graph');
    ELSIF EXISTS (SELECT FROM job_store s
                   WHERE s.cluster_id = OLD.cluster_id AND s.listening
                     AND s.store_id::text <> coalesce(current_setting('pgkeeper.store', true), '')) THEN
        -- A store that starts to listen at this very moment reads everything afterwards.
        PERFORM pg_notify(channel(OLD.cluster_id), 'job_graph');
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION announce_graph() IS 'Trigger: tells the cluster''s channel of a graph put in by hand, and of one that went, if a store other than the remover''s listens; put.sql tells of its own. Writes what is put in by hand into event, without payloads.';
CREATE TRIGGER announce_delete AFTER DELETE ON job_graph
    FOR EACH ROW EXECUTE FUNCTION announce_graph();
-- The library's graphs have an owner from the start.
CREATE TRIGGER by_hand_insert AFTER INSERT ON job_graph
    FOR EACH ROW WHEN (NEW.owners = '{}') EXECUTE FUNCTION announce_graph();
-- Not OF owners, disowned: a graph that only changes hands stays what it is.
CREATE TRIGGER by_hand_update BEFORE UPDATE OF cluster_id, job_id, graph, sha256, version, requirements, requirements_sha256,
        op_id, epoch, created_at, updated_at ON job_graph
    FOR EACH ROW WHEN (NEW.updated_at = OLD.updated_at) EXECUTE FUNCTION note_by_hand();
CREATE TRIGGER by_hand_delete BEFORE DELETE ON job_graph
    FOR EACH ROW WHEN (coalesce(current_setting('pgkeeper.act', true), '') = '') EXECUTE FUNCTION note_by_hand();

DO $$
DECLARE
    store text;
BEGIN
    FOREACH store IN ARRAY '{job_result, job_status, checkpoint, checkpoint_counter}'::text[] LOOP
        EXECUTE format('CREATE TRIGGER by_hand_insert BEFORE INSERT ON %I
            FOR EACH ROW WHEN (NEW.op_id IS NULL) EXECUTE FUNCTION note_by_hand()', store);
        EXECUTE format('CREATE TRIGGER by_hand_update BEFORE UPDATE ON %I
            FOR EACH ROW WHEN (NEW.updated_at = OLD.updated_at) EXECUTE FUNCTION note_by_hand()', store);
        EXECUTE format('CREATE TRIGGER by_hand_delete BEFORE DELETE ON %I
            FOR EACH ROW WHEN (coalesce(current_setting(''pgkeeper.act'', true), '''') = '''') EXECUTE FUNCTION note_by_hand()', store);
    END LOOP;
END $$;

-- ---------------------------------------------------------------------------------------------
-- Cleaning up. leadership_id and epoch NULL: without a fence. Parameters by number: a later migration renames these.

CREATE FUNCTION cleanup_job(leadership_id integer, epoch bigint, cluster_id text, job_id uuid, store_id uuid DEFAULT NULL)
RETURNS TABLE (removed bigint, dropped bigint)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
#variable_conflict use_column
DECLARE
    cluster text := $3;
    job     uuid := $4;
    n       bigint;
BEGIN
    PERFORM may_write($1, $2, $3);
    PERFORM set_config('pgkeeper.act', 'cleanup_job', true),
            set_config('pgkeeper.store', coalesce($5::text, ''), true);
    DELETE FROM job_graph g WHERE g.cluster_id = cluster AND g.job_id = job;
    GET DIAGNOSTICS removed = ROW_COUNT;
    WITH gone AS (DELETE FROM checkpoint c WHERE c.cluster_id = cluster AND c.job_id = job RETURNING c.state)
    SELECT count(*), count(*) FILTER (WHERE g.state = 'discarding') INTO n, dropped FROM gone g;
    removed := removed + n;
    DELETE FROM checkpoint_counter c WHERE c.cluster_id = cluster AND c.job_id = job;
    GET DIAGNOSTICS n = ROW_COUNT;
    removed := removed + n;
    DELETE FROM job_status s WHERE s.cluster_id = cluster AND s.job_id = job;
    GET DIAGNOSTICS n = ROW_COUNT;
    removed := removed + n;
    DELETE FROM leader r WHERE r.cluster_id = cluster AND r.component = 'job-' || job_hex(job);
    GET DIAGNOSTICS n = ROW_COUNT;
    IF n > 0 THEN
        PERFORM announce(cluster, 'leader');
    END IF;
    removed := removed + n;
    PERFORM set_config('pgkeeper.act', '', true), set_config('pgkeeper.store', '', true);
    IF removed > 0 THEN
        INSERT INTO event (cluster_id, subject, act, by_hand, detail)
        VALUES (cluster, job_hex(job), 'cleanup_job', false, jsonb_build_object('removed', removed, 'dropped', dropped));
    END IF;
    RETURN NEXT;
END $$;
COMMENT ON FUNCTION cleanup_job(integer, bigint, text, uuid, uuid) IS 'Removes every trace of a job but its result. Rows removed, and how many checkpoints among them were still discarding. leadership_id and epoch NULL: without a fence. store_id: the store that is not to be told.';

CREATE FUNCTION cleanup_cluster(leadership_id integer, epoch bigint, cluster_id text, batch integer DEFAULT 1000)
RETURNS TABLE (removed bigint, more boolean)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
#variable_conflict use_column
DECLARE
    cluster text := $3;
    n       bigint;
BEGIN
    PERFORM may_write($1, $2, $3);
    PERFORM set_config('pgkeeper.act', 'cleanup_cluster', true);
    -- What points goes before what is pointed to; the results last, so that no job is started again meanwhile.
    DELETE FROM job_graph g WHERE g.cluster_id = cluster AND g.job_id IN (
        SELECT x.job_id FROM job_graph x WHERE x.cluster_id = cluster LIMIT batch);
    GET DIAGNOSTICS removed = ROW_COUNT;
    DELETE FROM checkpoint c WHERE c.cluster_id = cluster AND (c.job_id, c.checkpoint_id) IN (
        SELECT x.job_id, x.checkpoint_id FROM checkpoint x WHERE x.cluster_id = cluster LIMIT batch - removed);
    GET DIAGNOSTICS n = ROW_COUNT;
    removed := removed + n;
    DELETE FROM checkpoint_counter c WHERE c.cluster_id = cluster AND c.job_id IN (
        SELECT x.job_id FROM checkpoint_counter x WHERE x.cluster_id = cluster LIMIT batch - removed);
    GET DIAGNOSTICS n = ROW_COUNT;
    removed := removed + n;
    DELETE FROM job_status s WHERE s.cluster_id = cluster AND s.job_id IN (
        SELECT x.job_id FROM job_status x WHERE x.cluster_id = cluster LIMIT batch - removed);
    GET DIAGNOSTICS n = ROW_COUNT;
    removed := removed + n;
    DELETE FROM job_result r WHERE r.cluster_id = cluster AND r.job_id IN (
        SELECT x.job_id FROM job_result x WHERE x.cluster_id = cluster LIMIT batch - removed);
    GET DIAGNOSTICS n = ROW_COUNT;
    removed := removed + n;
    -- Not by the count: rows that another session deleted first are missing from it.
    more := EXISTS (SELECT FROM job_graph x WHERE x.cluster_id = cluster)
         OR EXISTS (SELECT FROM checkpoint x WHERE x.cluster_id = cluster)
         OR EXISTS (SELECT FROM checkpoint_counter x WHERE x.cluster_id = cluster)
         OR EXISTS (SELECT FROM job_status x WHERE x.cluster_id = cluster)
         OR EXISTS (SELECT FROM job_result x WHERE x.cluster_id = cluster);
    IF NOT more THEN
        DELETE FROM leader r WHERE r.cluster_id = cluster AND NOT EXISTS (
            SELECT FROM leadership l WHERE l.cluster_id = r.cluster_id AND l.group_name = r.group_name AND is_held(l.id));
        GET DIAGNOSTICS n = ROW_COUNT;
        removed := removed + n;
        IF n > 0 THEN
            PERFORM announce(cluster, 'leader');
        END IF;
        -- As job_graph/start.sql does: those of tenures that are over.
        DELETE FROM job_store s WHERE s.store_id IN (
            SELECT x.store_id FROM job_store x
             WHERE x.cluster_id = cluster
               AND CASE WHEN x.leadership_id IS NULL THEN x.started_at < clock_timestamp() - interval '1 day'
                        ELSE NOT EXISTS (SELECT FROM tenure t WHERE t.leadership_id = x.leadership_id AND t.epoch = x.epoch
                                                                AND t.session_id IS NOT NULL) END
               FOR UPDATE OF x SKIP LOCKED);
        GET DIAGNOSTICS n = ROW_COUNT;
        removed := removed + n;
    END IF;
    PERFORM set_config('pgkeeper.act', '', true);
    IF removed > 0 THEN
        INSERT INTO event (cluster_id, subject, act, by_hand, detail)
        VALUES (cluster, cluster, 'cleanup_cluster', false, jsonb_build_object('removed', removed, 'more', more));
    END IF;
    RETURN NEXT;
END $$;
COMMENT ON FUNCTION cleanup_cluster(integer, bigint, text, integer) IS 'Removes one batch of all that is stored under a cluster id, in a safe order; call it until more is false; while others write, that may not come. Epochs, history and audit stay. leadership_id and epoch NULL: without a fence.';

-- ---------------------------------------------------------------------------------------------
-- Views for people; those of jobs and clusters as a whole are in 0003. None reads a payload: octet_length() of a column
-- stored EXTERNAL does not.

CREATE VIEW stat_results AS
SELECT r.cluster_id, job_hex(r.job_id) AS job, r.job_id, r.state, r.status, r.job_name,
       r.job_started_at, r.job_ended_at, r.net_runtime_ms, r.failure,
       octet_length(r.accumulators) AS accumulators_bytes, r.format_version,
       epoch_text(r.epoch) AS epoch_text, r.created_at, r.clean_at
  FROM job_result r;
COMMENT ON VIEW stat_results IS 'Jobs that have ended, one row each.';
COMMENT ON COLUMN stat_results.cluster_id IS 'Cluster id.';
COMMENT ON COLUMN stat_results.job IS 'Job as tools write it: 32 hex digits.';
COMMENT ON COLUMN stat_results.job_id IS 'Job.';
COMMENT ON COLUMN stat_results.state IS 'dirty: what the job left is still to be removed; clean.';
COMMENT ON COLUMN stat_results.status IS 'How it ended: FINISHED, FAILED, CANCELED, UNKNOWN.';
COMMENT ON COLUMN stat_results.job_name IS 'What people call it.';
COMMENT ON COLUMN stat_results.job_started_at IS 'When the job began, by its master''s clock.';
COMMENT ON COLUMN stat_results.job_ended_at IS 'When it ended, by its master''s clock.';
COMMENT ON COLUMN stat_results.net_runtime_ms IS 'How long it ran in all, milliseconds.';
COMMENT ON COLUMN stat_results.failure IS 'Why it failed, in words.';
COMMENT ON COLUMN stat_results.accumulators_bytes IS 'Size of its accumulators; empty: none.';
COMMENT ON COLUMN stat_results.format_version IS 'Format of the entry.';
COMMENT ON COLUMN stat_results.epoch_text IS 'Epoch in which it was written, as timeline.counter; 0.0: without a fence, or by hand.';
COMMENT ON COLUMN stat_results.created_at IS 'When it was stored.';
COMMENT ON COLUMN stat_results.clean_at IS 'When it was marked clean.';

CREATE VIEW stat_checkpoints AS
SELECT c.cluster_id, job_hex(c.job_id) AS job, c.job_id, c.checkpoint_id, c.kind, c.state, c.retention,
       octet_length(c.metadata) AS metadata_bytes, c.pointer,
       epoch_text(c.epoch) AS epoch_text, c.completed_at, c.created_at, c.updated_at
  FROM checkpoint c;
COMMENT ON VIEW stat_checkpoints IS 'Checkpoints and savepoints, one row each, without their metadata.';
COMMENT ON COLUMN stat_checkpoints.cluster_id IS 'Cluster id.';
COMMENT ON COLUMN stat_checkpoints.job IS 'Job as tools write it: 32 hex digits.';
COMMENT ON COLUMN stat_checkpoints.job_id IS 'Job.';
COMMENT ON COLUMN stat_checkpoints.checkpoint_id IS 'Number within the job.';
COMMENT ON COLUMN stat_checkpoints.kind IS 'checkpoint, savepoint or stop_savepoint.';
COMMENT ON COLUMN stat_checkpoints.state IS 'completed: in the list; discarding: external data still to be removed; retained: left the list, external data stays.';
COMMENT ON COLUMN stat_checkpoints.retention IS 'never_retained, retain_on_failure or retain_on_cancellation.';
COMMENT ON COLUMN stat_checkpoints.metadata_bytes IS 'Size of its metadata; empty: it has a pointer.';
COMMENT ON COLUMN stat_checkpoints.pointer IS 'Where its metadata lies; empty: here.';
COMMENT ON COLUMN stat_checkpoints.epoch_text IS 'Epoch in which it was written, as timeline.counter; 0.0: without a fence, or by hand.';
COMMENT ON COLUMN stat_checkpoints.completed_at IS 'When it was completed, by its master''s clock.';
COMMENT ON COLUMN stat_checkpoints.created_at IS 'When it was stored.';
COMMENT ON COLUMN stat_checkpoints.updated_at IS 'Since when it is discarding or retained.';

UPDATE schema_meta SET schema_version = 2;
COMMENT ON COLUMN event.subject IS 'Group, component or job that it concerns; of cleanup_cluster the cluster.';
COMMENT ON COLUMN event.act IS 'take_over, release, confirm, withdraw, request_handover, kick, cleanup_job, cleanup_cluster; or insert, update, delete by hand, with the table''s name.';

DO $$
BEGIN
    EXECUTE format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA %I FROM PUBLIC', current_schema());
    EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA %I FROM PUBLIC', current_schema());
END $$;
