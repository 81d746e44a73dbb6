-- 0003_blobs: the blob store. Bytes are large objects, one per blob; a row of blob points to each.
--
-- Run as 0001 was: one transaction, search_path set to pgkeeper's schema and then pg_temp.
--
-- Rules, for which docs/blobs.md has the reasons:
--   * Objects belong to the owner of this schema; only the functions here make, write, read and unlink them, so that every
--     master's role can read and remove what another stored. A comment on each object says that it is pgkeeper's.
--   * An object is pointed to by one row: of blob, or of blob_loose while it is written and when it is on its way out. Row
--     and object come and go in the same transaction.
--   * An object that a row of blob points to never changes: to replace a blob is to point to another object.
--   * Who writes a loose object holds a shared advisory lock on it (class: OID of blob_loose, object: loid) in every
--     transaction that touches it; who throws it away takes that lock exclusively. Pages written to an object that is gone
--     would stay for ever.
--   * Who changes several blobs locks their rows in the order of job and key: two of them cannot wait for each other.
--   * The fence comes last: unlinking a large object takes seconds, and a take-over must not wait for that.

CREATE DOMAIN blob_key AS text COLLATE "C"
    CONSTRAINT blob_key_is_type_sha1_and_random CHECK (VALUE ~ '^[pt]-[0-9a-f]{40}-[0-9a-f]{32}$');
COMMENT ON DOMAIN blob_key IS 'Key of a blob: p (permanent) or t (transient), SHA-1 of the content, random part.';

CREATE TABLE blob (
    loid       oid PRIMARY KEY,
    cluster_id cluster_name NOT NULL,
    job_id     uuid,
    blob_key   blob_key NOT NULL,
    size       bigint NOT NULL,
    sha1       bytea NOT NULL,
    sha256     digest NOT NULL,
    op_id      uuid NOT NULL,
    epoch      bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT blob_size_is_0_bytes_to_4_tib CHECK (size BETWEEN 0 AND 4398046511103),
    CONSTRAINT blob_sha1_is_20_bytes CHECK (octet_length(sha1) = 20)
);
-- No job is a job of its own here.
CREATE UNIQUE INDEX blob_key_is_there_once_per_job ON blob (cluster_id, (coalesce(job_id::text, '')), blob_key);
CREATE INDEX blob_by_job ON blob (cluster_id, job_id) WHERE job_id IS NOT NULL;
COMMENT ON TABLE blob IS 'Blobs: one row each, pointing to its bytes. A row that is deleted, by whomever, takes its large object with it.';
COMMENT ON COLUMN blob.loid IS 'Large object with the bytes.';
COMMENT ON COLUMN blob.cluster_id IS 'high-availability.cluster-id of its masters.';
COMMENT ON COLUMN blob.job_id IS 'Job that it belongs to; empty: none.';
COMMENT ON COLUMN blob.blob_key IS 'Its key: p or t, SHA-1, random part.';
COMMENT ON COLUMN blob.size IS 'Bytes.';
COMMENT ON COLUMN blob.sha1 IS 'SHA-1 of the bytes, computed by the client while it sent them; a reader compares it, and the one in the key.';
COMMENT ON COLUMN blob.sha256 IS 'SHA-256 of the bytes, computed likewise; a difference makes the blob CORRUPT.';
COMMENT ON COLUMN blob.op_id IS 'Id of the write that made the row what it is.';
COMMENT ON COLUMN blob.epoch IS 'Epoch of the writer; 0: without a fence, or by hand.';
COMMENT ON COLUMN blob.created_at IS 'When it was stored.';
COMMENT ON COLUMN blob.updated_at IS 'When the row was written last.';

CREATE TABLE blob_loose (
    loid        oid PRIMARY KEY,
    cluster_id  cluster_name,
    state       text NOT NULL DEFAULT 'writing',
    op_id       uuid NOT NULL UNIQUE DEFAULT gen_random_uuid(),
    bound       boolean NOT NULL DEFAULT true,
    backend_pid integer NOT NULL DEFAULT pg_backend_pid(),
    started_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    touched_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    size        bigint,
    CONSTRAINT blob_loose_state_is_known CHECK (state IN ('writing', 'removed'))
);
COMMENT ON TABLE blob_loose IS 'Large objects of the blob store that no blob points to: not yet (writing) or no longer (removed). Not readable by anybody. What a dead writer left, and what is removed, is unlinked by the next put, clean-up or purge.';
COMMENT ON COLUMN blob_loose.loid IS 'Large object; object of the advisory lock of who writes it.';
COMMENT ON COLUMN blob_loose.cluster_id IS 'high-availability.cluster-id of the writer; empty: the row of its blob was lost.';
COMMENT ON COLUMN blob_loose.state IS 'writing, or removed: its blob is gone and it is to be unlinked.';
COMMENT ON COLUMN blob_loose.op_id IS 'Its writer knows it by this; of a removed one, any.';
COMMENT ON COLUMN blob_loose.bound IS 'Does the writer''s session hold the lock all the time? False through a transaction pooler: then the writer is dead when touched_at is ten minutes old.';
COMMENT ON COLUMN blob_loose.backend_pid IS 'Server process that began it.';
COMMENT ON COLUMN blob_loose.started_at IS 'When it was begun, or removed.';
COMMENT ON COLUMN blob_loose.touched_at IS 'When it was written to last, at least to the minute; only when not bound.';
COMMENT ON COLUMN blob_loose.size IS 'Of a large one that blob_sweep() shortens step by step: bytes that are left; empty: it has not looked at it yet.';

-- ---------------------------------------------------------------------------------------------
-- Objects. What is not granted to anybody is for the functions below.

CREATE FUNCTION blob_mark() RETURNS text
LANGUAGE sql STABLE SET search_path FROM CURRENT
AS $$ SELECT 'pgkeeper blob, schema ' || current_schema() $$;
COMMENT ON FUNCTION blob_mark() IS 'The comment on each large object of this schema''s blob store.';

CREATE FUNCTION blob_object_new(content bytea DEFAULT NULL) RETURNS oid
LANGUAGE plpgsql VOLATILE SET search_path FROM CURRENT
AS $$
DECLARE
    loid oid := lo_create(0);
BEGIN
    EXECUTE format('COMMENT ON LARGE OBJECT %s IS %L', loid, blob_mark());
    IF content IS NOT NULL THEN
        PERFORM lo_put(loid, 0, content);
    END IF;
    RETURN loid;
END $$;
COMMENT ON FUNCTION blob_object_new(bytea) IS 'Makes a marked large object, with its content if given.';

CREATE FUNCTION blob_object_unlink(loid oid) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path FROM CURRENT
AS $$
BEGIN
    PERFORM lo_unlink(loid);
    RETURN true;
EXCEPTION
    WHEN undefined_object THEN
        RETURN false; -- somebody unlinked it by hand
    WHEN insufficient_privilege THEN
        -- Somebody pointed a row to it by hand: not ours, and no reason to keep everything else from being cleaned up.
        RAISE WARNING 'large object % belongs to another role than "%" and stays', loid, current_user
            USING HINT = 'sql/roles.sql gives those of blobs to the owner of the schema.';
        RETURN false;
END $$;
COMMENT ON FUNCTION blob_object_unlink(oid) IS 'Unlinks a large object; false: it was gone, or is of another owner, and stays.';

CREATE FUNCTION blob_object_size(loid oid) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path FROM CURRENT
AS $$
DECLARE
    fd   integer;
    size bigint;
BEGIN
    fd := lo_open(loid, 262144);   -- INV_READ; here, because what DECLARE raises this block does not catch
    size := lo_lseek64(fd, 0, 2);  -- SEEK_END
    PERFORM lo_close(fd);
    RETURN size;
EXCEPTION WHEN undefined_object OR insufficient_privilege THEN
    RETURN -1;
END $$;
COMMENT ON FUNCTION blob_object_size(oid) IS 'Bytes of a large object; -1: it is not there, or is of another owner.';

CREATE FUNCTION blob_object_cut(loid oid, size bigint) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path FROM CURRENT
AS $$
DECLARE
    fd integer;
BEGIN
    fd := lo_open(loid, 131072); -- INV_WRITE
    PERFORM lo_truncate64(fd, size);
    PERFORM lo_close(fd);
    RETURN true;
EXCEPTION WHEN undefined_object OR insufficient_privilege THEN
    RETURN false;
END $$;
COMMENT ON FUNCTION blob_object_cut(oid, bigint) IS 'Cuts the end of a large object off; false: it is gone, or is of another owner.';

CREATE FUNCTION blob_compress_fast() RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
    IF current_setting('default_toast_compression') <> 'lz4' THEN
        PERFORM set_config('default_toast_compression', 'lz4', true);
    END IF;
EXCEPTION WHEN invalid_parameter_value THEN
    NULL; -- a server built without it
END $$;
COMMENT ON FUNCTION blob_compress_fast() IS 'For this transaction: pages of large objects are compressed by lz4, if the server has it, which gives up sooner on what cannot be compressed.';

-- ---------------------------------------------------------------------------------------------
-- Rows changed by anyone: objects go with them; audit what is done by hand.

CREATE FUNCTION follow_blob() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
AS $$
BEGIN
    -- To unlink more than this takes longer than a statement of the library should: blob_sweep() does it, in steps.
    IF OLD.size > 16777216 AND coalesce(current_setting('pgkeeper.act', true), '') <> '' THEN
        INSERT INTO blob_loose AS x (loid, cluster_id, state) VALUES (OLD.loid, OLD.cluster_id, 'removed')
        ON CONFLICT ON CONSTRAINT blob_loose_pkey DO UPDATE SET state = 'removed' WHERE x.state <> 'removed';
    -- What is too much for one transaction has been entered there before.
    ELSIF NOT EXISTS (SELECT FROM blob_loose x WHERE x.loid = OLD.loid) THEN
        PERFORM blob_object_unlink(OLD.loid);
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION follow_blob() IS 'Trigger: unlinks the large object of a row that went or points to another one now; one of more than 16 MiB, unless by hand, is left to blob_sweep().';
CREATE TRIGGER follow_delete AFTER DELETE ON blob
    FOR EACH ROW EXECUTE FUNCTION follow_blob();
CREATE TRIGGER follow_update AFTER UPDATE OF loid ON blob
    FOR EACH ROW WHEN (NEW.loid <> OLD.loid) EXECUTE FUNCTION follow_blob();

CREATE FUNCTION follow_loose() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM blob b WHERE b.loid = OLD.loid) THEN
        PERFORM pg_advisory_xact_lock(lock_class('blob_loose'), OLD.loid::bigint::bit(32)::integer);
        PERFORM blob_object_unlink(OLD.loid);
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION follow_loose() IS 'Trigger: unlinks a loose large object whose row went, unless a blob points to it now. By hand it waits for a writer that is alive.';
CREATE TRIGGER follow_delete AFTER DELETE ON blob_loose
    FOR EACH ROW EXECUTE FUNCTION follow_loose();

CREATE FUNCTION keep_objects() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
BEGIN
    RAISE EXCEPTION 'TRUNCATE of % would leave its large objects behind', TG_TABLE_NAME
        USING ERRCODE = 'feature_not_supported', HINT = 'DELETE the rows, in batches of some thousand: each object takes a lock.';
END $$;
COMMENT ON FUNCTION keep_objects() IS 'Trigger: rows that point to large objects are deleted one by one.';
CREATE TRIGGER keep_objects BEFORE TRUNCATE ON blob FOR EACH STATEMENT EXECUTE FUNCTION keep_objects();
CREATE TRIGGER keep_objects BEFORE TRUNCATE ON blob_loose FOR EACH STATEMENT EXECUTE FUNCTION keep_objects();

CREATE FUNCTION note_blob_by_hand() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
AS $$
BEGIN
    IF TG_OP <> 'DELETE' THEN
        NEW.op_id := gen_random_uuid();
        NEW.epoch := 0;
        NEW.updated_at := clock_timestamp();
    END IF;
    INSERT INTO event (cluster_id, subject, act, by_hand, detail)
    SELECT changed.cluster_id, changed.blob_key, lower(TG_OP) || ' ' || TG_TABLE_NAME, true,
           jsonb_build_object('old', CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) END,
                              'new', CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) END)
      FROM (SELECT CASE WHEN TG_OP = 'DELETE' THEN OLD.cluster_id ELSE NEW.cluster_id END,
                   CASE WHEN TG_OP = 'DELETE' THEN OLD.blob_key ELSE NEW.blob_key END) AS changed(cluster_id, blob_key);
    IF TG_OP = 'DELETE' THEN RETURN OLD; ELSE RETURN NEW; END IF;
END $$;
COMMENT ON FUNCTION note_blob_by_hand() IS 'Trigger: gives a row of blob that is written by hand a new op_id and epoch 0, and writes the change into event.';
CREATE TRIGGER by_hand_insert BEFORE INSERT ON blob
    FOR EACH ROW WHEN (NEW.op_id IS NULL) EXECUTE FUNCTION note_blob_by_hand();
CREATE TRIGGER by_hand_update BEFORE UPDATE ON blob
    FOR EACH ROW WHEN (NEW.updated_at = OLD.updated_at) EXECUTE FUNCTION note_blob_by_hand();
CREATE TRIGGER by_hand_delete BEFORE DELETE ON blob
    FOR EACH ROW WHEN (coalesce(current_setting('pgkeeper.act', true), '') = '') EXECUTE FUNCTION note_blob_by_hand();

-- ---------------------------------------------------------------------------------------------
-- Putting. leadership_id and epoch NULL: without a fence.

CREATE FUNCTION blob_place(cluster_id text, job_id uuid, blob_key text, loid oid, size bigint, sha1 bytea, sha256 bytea,
                           op_id uuid, epoch bigint) RETURNS text
LANGUAGE sql VOLATILE SET search_path FROM CURRENT
AS $$
    SELECT set_config('pgkeeper.act', 'blob_place', true);
    INSERT INTO blob AS b (cluster_id, job_id, blob_key, loid, size, sha1, sha256, op_id, epoch)
    VALUES (blob_place.cluster_id, blob_place.job_id, blob_place.blob_key, blob_place.loid, blob_place.size, blob_place.sha1,
            blob_place.sha256, blob_place.op_id, coalesce(blob_place.epoch, 0))
    ON CONFLICT (cluster_id, (coalesce(job_id::text, '')), blob_key) DO UPDATE
       SET loid = EXCLUDED.loid, size = EXCLUDED.size, sha1 = EXCLUDED.sha1, sha256 = EXCLUDED.sha256, op_id = EXCLUDED.op_id,
           epoch = EXCLUDED.epoch, created_at = EXCLUDED.created_at, updated_at = clock_timestamp();
    SELECT set_config('pgkeeper.act', '', true)
$$;
COMMENT ON FUNCTION blob_place(text, uuid, text, oid, bigint, bytea, bytea, uuid, bigint) IS 'Points a blob to an object; that of the blob it replaces is unlinked.';

CREATE FUNCTION blob_store(leadership_id integer, epoch bigint, cluster_id text, job_id uuid, blob_key text, op_id uuid,
                           content bytea, sha1 bytea, sha256 bytea) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
BEGIN
    -- Or it is the repetition of a write whose answer was lost.
    IF NOT EXISTS (SELECT FROM blob b WHERE b.cluster_id = blob_store.cluster_id AND b.blob_key = blob_store.blob_key
                                        AND coalesce(b.job_id::text, '') = coalesce(blob_store.job_id::text, '')
                                        AND b.op_id = blob_store.op_id) THEN
        PERFORM blob_compress_fast();
        PERFORM blob_place(blob_store.cluster_id, blob_store.job_id, blob_store.blob_key, blob_object_new(blob_store.content),
                           octet_length(blob_store.content), blob_store.sha1, blob_store.sha256, blob_store.op_id, blob_store.epoch);
    END IF;
    PERFORM may_write(blob_store.leadership_id, blob_store.epoch, blob_store.cluster_id);
    RETURN EXISTS (SELECT FROM blob_loose);
END $$;
COMMENT ON FUNCTION blob_store(integer, bigint, text, uuid, text, uuid, bytea, bytea, bytea) IS 'Stores a blob that is small enough for one statement, replacing what was there. True: there are loose objects, blob_sweep() is worth a call. Raises PK001 when leadership has passed on.';

CREATE FUNCTION blob_begin(leadership_id integer, epoch bigint, cluster_id text, op_id uuid, bound boolean) RETURNS oid
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
DECLARE
    loid oid;
    key  integer;
BEGIN
    -- Only a look, without the lock: the fence comes last.
    IF blob_begin.leadership_id IS NOT NULL AND NOT EXISTS (
            SELECT FROM tenure t WHERE t.leadership_id = blob_begin.leadership_id AND t.epoch = blob_begin.epoch
                                   AND t.session_id IS NOT NULL AND t.cluster_id = blob_begin.cluster_id) THEN
        PERFORM fence(blob_begin.leadership_id, blob_begin.epoch, blob_begin.cluster_id);
    END IF;
    loid := blob_object_new();
    key := loid::bigint::bit(32)::integer;
    -- Nobody else knows the object yet, so there is nothing to wait for. The transaction's lock first: it ends with an error.
    IF NOT pg_try_advisory_xact_lock_shared(lock_class('blob_loose'), key)
       OR blob_begin.bound AND NOT pg_try_advisory_lock_shared(lock_class('blob_loose'), key) THEN
        RAISE EXCEPTION 'large object % is new, but another session has locked it', loid USING ERRCODE = 'lock_not_available';
    END IF;
    INSERT INTO blob_loose (loid, cluster_id, op_id, bound)
    VALUES (loid, blob_begin.cluster_id, blob_begin.op_id, blob_begin.bound);
    RETURN loid;
END $$;
COMMENT ON FUNCTION blob_begin(integer, bigint, text, uuid, boolean) IS 'Makes a loose object to be written in pieces. bound: this session holds its lock until blob_publish() or blob_leave(). Raises PK001 when leadership has passed on.';

CREATE FUNCTION blob_writing(op_id uuid) RETURNS blob_loose
LANGUAGE plpgsql VOLATILE SET search_path FROM CURRENT
AS $$
DECLARE
    loose blob_loose;
BEGIN
    SELECT x.* INTO loose FROM blob_loose x WHERE x.op_id = blob_writing.op_id AND x.state = 'writing';
    IF FOUND THEN
        PERFORM pg_advisory_xact_lock_shared(lock_class('blob_loose'), loose.loid::bigint::bit(32)::integer);
        IF loose.bound THEN
            RETURN loose;
        END IF;
        -- Nobody but this transaction has it locked: it may have been thrown away meanwhile.
        SELECT x.* INTO loose FROM blob_loose x WHERE x.op_id = blob_writing.op_id AND x.state = 'writing';
    END IF;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no large object is being written by %', blob_writing.op_id
            USING ERRCODE = 'PK004', HINT = 'It was taken for abandoned and removed; put the blob again.';
    END IF;
    RETURN loose;
END $$;
COMMENT ON FUNCTION blob_writing(uuid) IS 'The loose object that is written under an id, locked until the transaction ends. Raises PK004 when there is none.';

CREATE FUNCTION blob_write(op_id uuid, at bigint, piece bytea) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
DECLARE
    loose blob_loose := blob_writing(blob_write.op_id);
BEGIN
    IF NOT loose.bound AND loose.touched_at < clock_timestamp() - interval '1 minute' THEN
        UPDATE blob_loose x SET touched_at = clock_timestamp() WHERE x.loid = loose.loid;
    END IF;
    PERFORM lo_put(loose.loid, blob_write.at, blob_write.piece);
    RETURN true;
END $$;
COMMENT ON FUNCTION blob_write(uuid, bigint, bytea) IS 'Writes a piece of the loose object that was begun under an id. Raises PK004 when it was taken for abandoned.';

CREATE FUNCTION blob_publish(leadership_id integer, epoch bigint, cluster_id text, job_id uuid, blob_key text,
                             write_id uuid, op_id uuid, size bigint, sha1 bytea, sha256 bytea) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
DECLARE
    loose blob_loose := blob_writing(blob_publish.write_id);
BEGIN
    IF blob_object_size(loose.loid) <> blob_publish.size THEN
        RAISE EXCEPTION 'large object % has % bytes, not %', loose.loid, blob_object_size(loose.loid), blob_publish.size
            USING ERRCODE = 'data_corrupted';
    END IF;
    PERFORM blob_place(blob_publish.cluster_id, blob_publish.job_id, blob_publish.blob_key, loose.loid, blob_publish.size,
                       blob_publish.sha1, blob_publish.sha256, blob_publish.op_id, blob_publish.epoch);
    DELETE FROM blob_loose x WHERE x.loid = loose.loid; -- follow_loose() sees the blob
    PERFORM set_config('synchronous_commit', 'on', true);
    IF blob_publish.leadership_id IS NOT NULL THEN
        PERFORM may_write(blob_publish.leadership_id, blob_publish.epoch, blob_publish.cluster_id);
    END IF;
    IF loose.bound AND loose.backend_pid = pg_backend_pid() THEN
        -- That of the transaction stays.
        PERFORM pg_advisory_unlock_shared(lock_class('blob_loose'), loose.loid::bigint::bit(32)::integer);
    END IF;
    RETURN EXISTS (SELECT FROM blob_loose);
END $$;
COMMENT ON FUNCTION blob_publish(integer, bigint, text, uuid, text, uuid, uuid, bigint, bytea, bytea) IS 'Makes the loose object that was begun under write_id a blob, replacing what was there; the transaction commits durably, whatever was set. True: there are loose objects, blob_sweep() is worth a call. Raises PK001 when leadership has passed on, PK004 when the object was taken for abandoned.';

CREATE FUNCTION blob_publish_all(cluster_id text, job_id uuid, blob_keys text[], write_ids uuid[], op_id uuid, epoch bigint,
                                 sizes bigint[], sha1s bytea[], sha256s bytea[]) RETURNS boolean
LANGUAGE sql VOLATILE SET search_path FROM CURRENT
AS $$
    SELECT coalesce(bool_or(blob_publish(NULL, blob_publish_all.epoch, blob_publish_all.cluster_id, blob_publish_all.job_id, x.blob_key, x.write_id,
                                         blob_publish_all.op_id, x.size, x.sha1, x.sha256)), false)
      FROM (SELECT * FROM unnest(blob_keys, write_ids, sizes, sha1s, sha256s) AS u(blob_key, write_id, size, sha1, sha256)
             ORDER BY u.blob_key COLLATE "C" OFFSET 0) x -- whatever the caller's order: see the rules
$$;
COMMENT ON FUNCTION blob_publish_all(text, uuid, text[], uuid[], uuid, bigint, bigint[], bytea[], bytea[]) IS 'blob_publish() for blobs that are stored with a graph, whose statement is fenced.';

CREATE FUNCTION blob_leave(op_id uuid) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
DECLARE
    loose blob_loose;
    key   integer;
BEGIN
    SELECT x.* INTO loose FROM blob_loose x WHERE x.op_id = blob_leave.op_id AND x.state = 'writing';
    key := loose.loid::bigint::bit(32)::integer;
    IF loose.bound AND loose.backend_pid = pg_backend_pid() THEN
        PERFORM pg_advisory_unlock_shared(lock_class('blob_loose'), key);
    END IF;
    IF pg_try_advisory_xact_lock(lock_class('blob_loose'), key) THEN
        DELETE FROM blob_loose x WHERE x.op_id = blob_leave.op_id AND x.state = 'writing';
        RETURN FOUND;
    END IF;
    RETURN false;
END $$;
COMMENT ON FUNCTION blob_leave(uuid) IS 'The writer of a loose object gives it up: its lock is freed and the object unlinked. False: there is none.';

-- ---------------------------------------------------------------------------------------------
-- Reading.

-- STABLE: all pieces that one statement reads are of one snapshot, that of the statement.
CREATE FUNCTION blob_read(loid oid, op_id uuid, at bigint, length integer) RETURNS bytea
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
BEGIN
    PERFORM FROM blob b WHERE b.loid = blob_read.loid AND b.op_id = blob_read.op_id;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    RETURN lo_get(blob_read.loid, blob_read.at, blob_read.length);
END $$;
COMMENT ON FUNCTION blob_read(oid, uuid, bigint, integer) IS 'A piece of a blob, as long as it points to that object by that write; else NULL. Shorter at the end of the object. SQLSTATE 42704: the object is missing.';

-- ---------------------------------------------------------------------------------------------
-- Removing. leadership_id and epoch NULL: without a fence.

CREATE FUNCTION blob_remove(leadership_id integer, epoch bigint, cluster_id text, job_id uuid, blob_key text)
RETURNS TABLE (removed bigint, loose boolean)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('pgkeeper.act', 'blob_remove', true);
    DELETE FROM blob b
     WHERE b.cluster_id = blob_remove.cluster_id AND b.blob_key = blob_remove.blob_key
       AND coalesce(b.job_id::text, '') = coalesce(blob_remove.job_id::text, '');
    GET DIAGNOSTICS removed = ROW_COUNT;
    PERFORM set_config('pgkeeper.act', '', true);
    PERFORM may_write(blob_remove.leadership_id, blob_remove.epoch, blob_remove.cluster_id);
    loose := EXISTS (SELECT FROM blob_loose);
    RETURN NEXT;
END $$;
COMMENT ON FUNCTION blob_remove(integer, bigint, text, uuid, text) IS 'Removes a blob and its object. loose: there are loose objects, blob_sweep() is worth a call.';

CREATE FUNCTION blob_remove_job(leadership_id integer, epoch bigint, cluster_id text, job_id uuid, batch integer DEFAULT 500)
RETURNS TABLE (removed bigint, more boolean)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
#variable_conflict use_column
BEGIN
    PERFORM set_config('pgkeeper.act', 'blob_remove_job', true);
    INSERT INTO blob_loose (loid, cluster_id, state)
    SELECT b.loid, b.cluster_id, 'removed' FROM blob b
     WHERE b.cluster_id = blob_remove_job.cluster_id AND coalesce(b.job_id::text, '') = coalesce(blob_remove_job.job_id::text, '')
     ORDER BY b.blob_key LIMIT blob_remove_job.batch FOR UPDATE
        ON CONFLICT ON CONSTRAINT blob_loose_pkey DO UPDATE SET state = 'removed'; -- somebody's row, put in by hand
    DELETE FROM blob b USING blob_loose x WHERE b.loid = x.loid AND x.state = 'removed'
       AND b.cluster_id = blob_remove_job.cluster_id AND coalesce(b.job_id::text, '') = coalesce(blob_remove_job.job_id::text, '');
    GET DIAGNOSTICS removed = ROW_COUNT;
    more := EXISTS (SELECT FROM blob b WHERE b.cluster_id = blob_remove_job.cluster_id
                                         AND coalesce(b.job_id::text, '') = coalesce(blob_remove_job.job_id::text, ''));
    PERFORM set_config('pgkeeper.act', '', true);
    PERFORM may_write(blob_remove_job.leadership_id, blob_remove_job.epoch, blob_remove_job.cluster_id);
    RETURN NEXT;
END $$;
COMMENT ON FUNCTION blob_remove_job(integer, bigint, text, uuid, integer) IS 'Removes one batch of the blobs of a job (NULL: of no job); call it until more is false, then blob_sweep(), which unlinks their objects.';

CREATE FUNCTION blob_sweep_one(loid oid, size bigint, limit_bytes bigint) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path FROM CURRENT
AS $$
DECLARE
    there bigint := coalesce(size, blob_object_size(loid));
    -- A row for a blob that is there is somebody's mistake: only the row goes.
    is_blob boolean := EXISTS (SELECT FROM blob b WHERE b.loid = blob_sweep_one.loid);
BEGIN
    IF is_blob OR there <= limit_bytes THEN
        DELETE FROM blob_loose x WHERE x.loid = blob_sweep_one.loid;
        RETURN CASE WHEN is_blob THEN 0 ELSE greatest(there, 0) END;
    END IF;
    -- Of one whose size was not known only that, so that small ones are not kept waiting. Whoever writes it still is told.
    IF size IS NOT NULL THEN
        there := there - limit_bytes;
        there := there - there % 2048; -- whole pages
        IF NOT blob_object_cut(loid, there) THEN
            there := 0; -- somebody unlinked it by hand; the next one removes the row
        END IF;
    END IF;
    UPDATE blob_loose x SET state = 'removed', size = there WHERE x.loid = blob_sweep_one.loid;
    RETURN -1;
END $$;
COMMENT ON FUNCTION blob_sweep_one(oid, bigint, bigint) IS 'For blob_sweep(): unlinks a loose object that nobody writes to, or cuts so many bytes off a larger one. Bytes that it had; -1: there is more of it.';

CREATE FUNCTION blob_sweep(batch integer DEFAULT 500, bytes bigint DEFAULT 1073741824) RETURNS TABLE (removed bigint, more boolean)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
DECLARE
    loose record;
    left_bytes bigint := greatest(blob_sweep.bytes, 2048);
    half_bytes bigint := left_bytes / 2;
    gone bigint;
BEGIN
    removed := 0;
    more := false;
    FOR loose IN
        -- Small ones first, and those of which nobody knows yet how small.
        SELECT x.loid, x.size FROM blob_loose x
         WHERE x.state = 'removed' OR x.bound OR x.touched_at < clock_timestamp() - interval '10 minutes'
         ORDER BY coalesce(x.size, 0), x.loid FOR UPDATE SKIP LOCKED
    LOOP
        CONTINUE WHEN NOT pg_try_advisory_xact_lock(lock_class('blob_loose'), loose.loid::bigint::bit(32)::integer);
        -- A step costs a look at all that was cut off before: none for a rest of bytes.
        IF removed >= batch OR left_bytes < half_bytes AND loose.size > left_bytes THEN
            more := true;
            EXIT;
        END IF;
        gone := blob_sweep_one(loose.loid, loose.size, left_bytes);
        more := more OR gone < 0;
        EXIT WHEN gone < 0 AND loose.size IS NOT NULL;
        left_bytes := left_bytes - greatest(gone, 0);
        removed := removed + (gone >= 0)::integer;
    END LOOP;
    RETURN NEXT;
END $$;
COMMENT ON FUNCTION blob_sweep(integer, bigint) IS 'Unlinks one batch of loose objects: of writers that have died, and of blobs that were removed. At most so many, and so many bytes: of a larger one, when no smaller one is left, so many are cut off. Call it until more is false.';

CREATE FUNCTION blob_orphans() RETURNS TABLE (loid oid, size bigint, unfinished boolean, started_at timestamptz)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT x.loid, blob_object_size(x.loid), true, x.started_at
      FROM blob_loose x
     WHERE x.state = 'removed'
        OR CASE WHEN x.bound THEN NOT EXISTS (
                    SELECT FROM pg_locks k
                     WHERE k.locktype = 'advisory' AND k.granted AND k.objsubid = 2
                       AND k.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
                       AND k.classid = 'blob_loose'::regclass AND k.objid = x.loid)
                ELSE x.touched_at < clock_timestamp() - interval '10 minutes' END
    UNION ALL
    SELECT o.oid, blob_object_size(o.oid), false, NULL
      FROM pg_largeobject_metadata o
      JOIN pg_description d ON d.classoid = 'pg_largeobject'::regclass AND d.objoid = o.oid AND d.objsubid = 0
     WHERE d.description = blob_mark()
       AND NOT EXISTS (SELECT FROM blob b WHERE b.loid = o.oid)
       AND NOT EXISTS (SELECT FROM blob_loose x WHERE x.loid = o.oid)
     ORDER BY 1;
END $$;
COMMENT ON FUNCTION blob_orphans() IS 'Large objects of this schema''s blob store that no blob points to: left by a writer that has died or by a removal that was cut short (unfinished), or with their row lost. Not what is being written.';

CREATE FUNCTION blob_remove_orphans(batch integer DEFAULT 500, bytes bigint DEFAULT 1073741824)
RETURNS TABLE (removed bigint, more boolean)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
#variable_conflict use_column
BEGIN
    -- Without a row: they get one, and go as the others do; one more than now. Those of other owners stay, with a warning.
    INSERT INTO blob_loose (loid, state)
    SELECT o.loid, 'removed' FROM blob_orphans() o
     WHERE NOT o.unfinished AND (o.size >= 0 OR blob_object_unlink(o.loid)) LIMIT batch + 1
        ON CONFLICT DO NOTHING;
    RETURN QUERY SELECT s.removed, s.more FROM blob_sweep(batch, bytes) s;
END $$;
COMMENT ON FUNCTION blob_remove_orphans(integer, bigint) IS 'Unlinks one batch of what blob_orphans() finds, as blob_sweep() does; call it until more is false.';

-- ---------------------------------------------------------------------------------------------
-- Cleaning up takes the blobs along: after what points to them, and their objects after them.

ALTER FUNCTION cleanup_job(integer, bigint, text, uuid, uuid) RENAME TO cleanup_job_rows;
ALTER FUNCTION cleanup_cluster(integer, bigint, text, integer) RENAME TO cleanup_cluster_rows;
COMMENT ON FUNCTION cleanup_job_rows(integer, bigint, text, uuid, uuid) IS 'cleanup_job(), but for the blobs.';
COMMENT ON FUNCTION cleanup_cluster_rows(integer, bigint, text, integer) IS 'cleanup_cluster(), but for the blobs.';

CREATE FUNCTION cleanup_job(leadership_id integer, epoch bigint, cluster_id text, job_id uuid, store_id uuid DEFAULT NULL)
RETURNS TABLE (removed bigint, dropped bigint, loose boolean)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
#variable_conflict use_column
DECLARE
    n bigint;
    bytes numeric;
BEGIN
    SELECT c.removed, c.dropped INTO removed, dropped
      FROM cleanup_job_rows(cleanup_job.leadership_id, cleanup_job.epoch, cleanup_job.cluster_id, cleanup_job.job_id,
                            cleanup_job.store_id) c;
    IF cleanup_job.job_id IS NOT NULL THEN
        SELECT count(*), coalesce(sum(f.size), 0) INTO n, bytes
          FROM (SELECT b.size FROM blob b WHERE b.cluster_id = cleanup_job.cluster_id AND b.job_id = cleanup_job.job_id
                 ORDER BY b.blob_key FOR UPDATE) f;
        IF n <= 100 AND bytes <= 16777216 THEN
            -- So little does not take long: the trigger unlinks the objects at once.
            PERFORM set_config('pgkeeper.act', 'cleanup_job', true);
            DELETE FROM blob b WHERE b.cluster_id = cleanup_job.cluster_id AND b.job_id = cleanup_job.job_id;
            GET DIAGNOSTICS n = ROW_COUNT;
            PERFORM set_config('pgkeeper.act', '', true);
        ELSE
            SELECT b.removed INTO n
              FROM blob_remove_job(cleanup_job.leadership_id, cleanup_job.epoch, cleanup_job.cluster_id, cleanup_job.job_id, NULL) b;
        END IF;
        removed := removed + n;
        IF n > 0 THEN
            INSERT INTO event (cluster_id, subject, act, by_hand, detail)
            VALUES (cleanup_job.cluster_id, job_hex(cleanup_job.job_id), 'cleanup_job', false, jsonb_build_object('blobs', n));
        END IF;
    END IF;
    loose := EXISTS (SELECT FROM blob_loose);
    RETURN NEXT;
END $$;
COMMENT ON FUNCTION cleanup_job(integer, bigint, text, uuid, uuid) IS 'Removes every trace of a job but its result. Rows removed, and how many checkpoints among them were still discarding. The bytes of its blobs go too when they are at most 16 MiB in 100 blobs; else with blob_sweep(). loose: there are loose objects, blob_sweep() is worth a call. leadership_id and epoch NULL: without a fence. store_id: the store that is not to be told.';

CREATE FUNCTION cleanup_cluster(leadership_id integer, epoch bigint, cluster_id text, batch integer DEFAULT 1000)
RETURNS TABLE (removed bigint, more boolean)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
#variable_conflict use_column
DECLARE
    n bigint;
BEGIN
    SELECT c.removed, c.more INTO removed, more
      FROM cleanup_cluster_rows(cleanup_cluster.leadership_id, cleanup_cluster.epoch, cleanup_cluster.cluster_id, batch) c;
    IF NOT more THEN
        PERFORM set_config('pgkeeper.act', 'cleanup_cluster', true);
        WITH gone AS (
            SELECT b.loid FROM blob b WHERE b.cluster_id = cleanup_cluster.cluster_id
             ORDER BY coalesce(b.job_id::text, ''), b.blob_key LIMIT greatest(batch - removed, 1) FOR UPDATE),
        loose AS (
            INSERT INTO blob_loose (loid, cluster_id, state)
            SELECT g.loid, cleanup_cluster.cluster_id, 'removed' FROM gone g
                ON CONFLICT ON CONSTRAINT blob_loose_pkey DO UPDATE SET state = 'removed' RETURNING loid)
        SELECT count(*) INTO n FROM loose;
        DELETE FROM blob b USING blob_loose x
         WHERE b.loid = x.loid AND x.state = 'removed' AND b.cluster_id = cleanup_cluster.cluster_id;
        removed := removed + n;
        more := EXISTS (SELECT FROM blob b WHERE b.cluster_id = cleanup_cluster.cluster_id);
        PERFORM set_config('pgkeeper.act', '', true);
        IF n > 0 THEN
            INSERT INTO event (cluster_id, subject, act, by_hand, detail)
            VALUES (cleanup_cluster.cluster_id, cleanup_cluster.cluster_id, 'cleanup_cluster', false,
                    jsonb_build_object('blobs', n, 'more', more));
        END IF;
    END IF;
    RETURN NEXT;
END $$;
COMMENT ON FUNCTION cleanup_cluster(integer, bigint, text, integer) IS 'Removes one batch of all that is stored under a cluster id, in a safe order; call it until more is false; while others write, that may not come. The bytes of its blobs go with blob_sweep(). Epochs, history and audit stay. leadership_id and epoch NULL: without a fence.';

-- ---------------------------------------------------------------------------------------------
-- Views for people.

CREATE VIEW stat_blobs AS
SELECT b.cluster_id, job_hex(b.job_id) AS job, b.job_id, b.blob_key,
       CASE left(b.blob_key, 1) WHEN 'p' THEN 'permanent' ELSE 'transient' END AS type,
       b.size, pg_size_pretty(b.size) AS size_text, encode(b.sha256, 'hex') AS sha256, b.loid,
       epoch_text(b.epoch) AS epoch_text, b.created_at
  FROM blob b;
COMMENT ON VIEW stat_blobs IS 'Blobs, one row each.';
COMMENT ON COLUMN stat_blobs.cluster_id IS 'Cluster id.';
COMMENT ON COLUMN stat_blobs.job IS 'Job as tools write it: 32 hex digits; empty: none.';
COMMENT ON COLUMN stat_blobs.job_id IS 'Job; empty: none.';
COMMENT ON COLUMN stat_blobs.blob_key IS 'Its key.';
COMMENT ON COLUMN stat_blobs.type IS 'permanent or transient.';
COMMENT ON COLUMN stat_blobs.size IS 'Bytes.';
COMMENT ON COLUMN stat_blobs.size_text IS 'The same for people.';
COMMENT ON COLUMN stat_blobs.sha256 IS 'SHA-256 of the content, as sha256sum prints it.';
COMMENT ON COLUMN stat_blobs.loid IS 'Large object with the bytes.';
COMMENT ON COLUMN stat_blobs.epoch_text IS 'Epoch in which it was written, as timeline.counter; 0.0: without a fence, or by hand.';
COMMENT ON COLUMN stat_blobs.created_at IS 'When it was stored.';

CREATE VIEW stat_jobs AS
-- As live_owners(), but looked up once for all jobs.
WITH live AS MATERIALIZED (
    SELECT o.cluster_id, o.store_id, o.claims, o.claim_id
      FROM job_store o JOIN live_tenures() l ON l.leadership_id = o.leadership_id AND l.epoch = o.epoch)
SELECT cluster_id, job_hex(job_id) AS job, job_id,
       coalesce(rest.status, 'PENDING') AS status, rest.result_state, rest.result_status,
       g.graph_bytes, g.requirements_bytes, g.version, epoch_text(g.epoch) AS epoch_text, g.created_at, g.updated_at,
       CASE WHEN g.version IS NOT NULL THEN ARRAY(
            SELECT o.store_id FROM live o
             WHERE o.cluster_id = g.cluster_id
               AND (o.store_id = ANY (g.owners)
                    OR (pg_visible_in_snapshot(g.created_in, o.claims) AND NOT o.claim_id = ANY (g.disowned)
                        AND rest.result_state IS NULL))) END AS live_owners,
       coalesce(rest.checkpoints, 0) AS checkpoints, coalesce(rest.discarding, 0) AS discarding,
       coalesce(rest.retained, 0) AS retained, rest.latest_checkpoint, coalesce(rest.next_id, 1) AS next_checkpoint_id,
       coalesce(rest.blobs, 0) AS blobs, coalesce(rest.blob_bytes, 0)::bigint AS blob_bytes
  -- Two sides, joined once. A full join is never a nested loop, which is what the planner takes for tables that it believes to
  -- be empty: 10,000 jobs took 13 s. A WHERE on the columns of USING reaches each table, so that one job is had from the
  -- primary keys. Text: that does not work for a domain.
  -- CASE keeps the planner from carrying the graphs themselves to the end to measure them there.
  FROM (SELECT x.cluster_id::text AS cluster_id, x.job_id, CASE WHEN x.graph IS NOT NULL THEN octet_length(x.graph) END AS graph_bytes,
               CASE WHEN x.requirements IS NOT NULL THEN octet_length(x.requirements) END AS requirements_bytes,
               x.version, x.epoch, x.created_at, x.updated_at, x.created_in, x.owners, x.disowned
          FROM job_graph x) g
  -- All else in one pass, also what there is one of: max() only picks it. No WHERE in a branch: it would no longer be read in
  -- the order of its key. Sizes as float8, whose sum is exact up to 8 PiB, is no numeric, and so takes a third of the time.
  FULL JOIN (
        SELECT x.cluster_id, x.job_id, max(x.status) AS status,
               max(x.result_state) AS result_state, max(x.result_status) AS result_status,
               count(*) FILTER (WHERE x.state = 'completed') AS checkpoints,
               count(*) FILTER (WHERE x.state = 'discarding') AS discarding,
               count(*) FILTER (WHERE x.state = 'retained') AS retained,
               max(x.checkpoint_id) FILTER (WHERE x.state = 'completed') AS latest_checkpoint,
               max(x.next_id) AS next_id, count(x.size) AS blobs, sum(x.size) AS blob_bytes
          FROM (SELECT s.cluster_id::text AS cluster_id, s.job_id, s.status,
                       NULL::text AS result_state, NULL::text AS result_status,
                       NULL::text AS state, NULL::bigint AS checkpoint_id, NULL::bigint AS next_id, NULL::float8 AS size
                  FROM job_status s
                UNION ALL
                SELECT r.cluster_id::text AS cluster_id, r.job_id, NULL::text AS status,
                       r.state AS result_state, r.status AS result_status,
                       NULL::text AS state, NULL::bigint AS checkpoint_id, NULL::bigint AS next_id, NULL::float8 AS size
                  FROM job_result r
                UNION ALL
                SELECT c.cluster_id::text AS cluster_id, c.job_id, NULL::text AS status,
                       NULL::text AS result_state, NULL::text AS result_status,
                       c.state, c.checkpoint_id, NULL::bigint AS next_id, NULL::float8 AS size
                  FROM checkpoint c
                UNION ALL
                SELECT n.cluster_id::text AS cluster_id, n.job_id, NULL::text AS status,
                       NULL::text AS result_state, NULL::text AS result_status,
                       NULL::text AS state, NULL::bigint AS checkpoint_id, n.next_id, NULL::float8 AS size
                  FROM checkpoint_counter n
                UNION ALL
                SELECT b.cluster_id::text AS cluster_id, b.job_id, NULL::text AS status,
                       NULL::text AS result_state, NULL::text AS result_status,
                       NULL::text AS state, NULL::bigint AS checkpoint_id, NULL::bigint AS next_id, b.size::float8 AS size
                  FROM blob b) x
         WHERE x.job_id IS NOT NULL GROUP BY x.cluster_id, x.job_id) rest USING (cluster_id, job_id);
COMMENT ON VIEW stat_jobs IS 'One row per job of which anything is stored.';
COMMENT ON COLUMN stat_jobs.cluster_id IS 'Cluster id.';
COMMENT ON COLUMN stat_jobs.job IS 'Job as tools write it: 32 hex digits.';
COMMENT ON COLUMN stat_jobs.job_id IS 'Job.';
COMMENT ON COLUMN stat_jobs.status IS 'In the registry: PENDING, RUNNING or DONE.';
COMMENT ON COLUMN stat_jobs.result_state IS 'Its result: dirty or clean; empty: none.';
COMMENT ON COLUMN stat_jobs.result_status IS 'How it ended: FINISHED, FAILED, CANCELED, UNKNOWN.';
COMMENT ON COLUMN stat_jobs.graph_bytes IS 'Size of its graph; empty: it has none.';
COMMENT ON COLUMN stat_jobs.requirements_bytes IS 'Size of its resource requirements; empty: it has none.';
COMMENT ON COLUMN stat_jobs.version IS 'Version of its graph.';
COMMENT ON COLUMN stat_jobs.epoch_text IS 'Epoch in which the graph was written, as timeline.counter; 0.0: without a fence, or by hand.';
COMMENT ON COLUMN stat_jobs.created_at IS 'When the graph was stored first.';
COMMENT ON COLUMN stat_jobs.updated_at IS 'When the graph or its requirements were written last.';
COMMENT ON COLUMN stat_jobs.live_owners IS 'Stores that own the graph and whose tenure leads: job_store.store_id.';
COMMENT ON COLUMN stat_jobs.checkpoints IS 'Completed checkpoints and savepoints in its list.';
COMMENT ON COLUMN stat_jobs.discarding IS 'Checkpoints whose external data is still to be removed.';
COMMENT ON COLUMN stat_jobs.retained IS 'Checkpoints and savepoints that left the list and whose external data stays.';
COMMENT ON COLUMN stat_jobs.latest_checkpoint IS 'Largest id in the list.';
COMMENT ON COLUMN stat_jobs.next_checkpoint_id IS 'What the counter issues next.';
COMMENT ON COLUMN stat_jobs.blobs IS 'Its blobs.';
COMMENT ON COLUMN stat_jobs.blob_bytes IS 'Their size in all.';

CREATE VIEW stat_summary AS
-- Each table is read once: every part has one row per cluster, and max() only picks it.
SELECT part.cluster_id,
       coalesce(max(part.graphs), 0) AS graphs, coalesce(max(part.graph_bytes), 0) AS graph_bytes,
       coalesce(max(part.running), 0) AS running, coalesce(max(part.done), 0) AS done,
       coalesce(max(part.dirty), 0) AS dirty_results, coalesce(max(part.clean), 0) AS clean_results,
       coalesce(max(part.completed), 0) AS checkpoints, coalesce(max(part.discarding), 0) AS discarding,
       coalesce(max(part.retained), 0) AS retained, coalesce(max(part.metadata_bytes), 0) AS metadata_bytes,
       coalesce(max(part.stores), 0) AS stores,
       coalesce(max(part.blobs), 0) AS blobs, coalesce(max(part.blob_bytes), 0) AS blob_bytes
  FROM (SELECT l.cluster_id, NULL::bigint AS graphs, NULL::bigint AS graph_bytes, NULL::bigint AS running,
               NULL::bigint AS done, NULL::bigint AS dirty, NULL::bigint AS clean,
               NULL::bigint AS completed, NULL::bigint AS discarding, NULL::bigint AS retained,
               NULL::bigint AS metadata_bytes, NULL::bigint AS stores,
               NULL::bigint AS blobs, NULL::bigint AS blob_bytes
          FROM leadership l GROUP BY l.cluster_id
        UNION ALL
        SELECT g.cluster_id, count(*) AS graphs, sum(octet_length(g.graph)) AS graph_bytes, NULL::bigint AS running,
               NULL::bigint AS done, NULL::bigint AS dirty, NULL::bigint AS clean,
               NULL::bigint AS completed, NULL::bigint AS discarding, NULL::bigint AS retained,
               NULL::bigint AS metadata_bytes, NULL::bigint AS stores,
               NULL::bigint AS blobs, NULL::bigint AS blob_bytes
          FROM job_graph g GROUP BY g.cluster_id
        UNION ALL
        SELECT s.cluster_id, NULL::bigint AS graphs, NULL::bigint AS graph_bytes,
               count(*) FILTER (WHERE s.status = 'RUNNING') AS running,
               count(*) FILTER (WHERE s.status = 'DONE') AS done, NULL::bigint AS dirty,
               NULL::bigint AS clean, NULL::bigint AS completed, NULL::bigint AS discarding,
               NULL::bigint AS retained, NULL::bigint AS metadata_bytes, NULL::bigint AS stores,
               NULL::bigint AS blobs, NULL::bigint AS blob_bytes
          FROM job_status s GROUP BY s.cluster_id
        UNION ALL
        SELECT r.cluster_id, NULL::bigint AS graphs, NULL::bigint AS graph_bytes, NULL::bigint AS running,
               NULL::bigint AS done, count(*) FILTER (WHERE r.state = 'dirty') AS dirty,
               count(*) FILTER (WHERE r.state = 'clean') AS clean, NULL::bigint AS completed,
               NULL::bigint AS discarding, NULL::bigint AS retained, NULL::bigint AS metadata_bytes,
               NULL::bigint AS stores,
               NULL::bigint AS blobs, NULL::bigint AS blob_bytes
          FROM job_result r GROUP BY r.cluster_id
        UNION ALL
        SELECT c.cluster_id, NULL::bigint AS graphs, NULL::bigint AS graph_bytes, NULL::bigint AS running,
               NULL::bigint AS done, NULL::bigint AS dirty, NULL::bigint AS clean,
               count(*) FILTER (WHERE c.state = 'completed') AS completed,
               count(*) FILTER (WHERE c.state = 'discarding') AS discarding,
               count(*) FILTER (WHERE c.state = 'retained') AS retained,
               sum(octet_length(c.metadata)) AS metadata_bytes, NULL::bigint AS stores,
               NULL::bigint AS blobs, NULL::bigint AS blob_bytes
          FROM checkpoint c GROUP BY c.cluster_id
        UNION ALL
        SELECT n.cluster_id, NULL::bigint AS graphs, NULL::bigint AS graph_bytes, NULL::bigint AS running,
               NULL::bigint AS done, NULL::bigint AS dirty, NULL::bigint AS clean,
               NULL::bigint AS completed, NULL::bigint AS discarding, NULL::bigint AS retained,
               NULL::bigint AS metadata_bytes, NULL::bigint AS stores,
               NULL::bigint AS blobs, NULL::bigint AS blob_bytes
          FROM checkpoint_counter n GROUP BY n.cluster_id
        UNION ALL
        SELECT o.cluster_id, NULL::bigint AS graphs, NULL::bigint AS graph_bytes, NULL::bigint AS running,
               NULL::bigint AS done, NULL::bigint AS dirty, NULL::bigint AS clean,
               NULL::bigint AS completed, NULL::bigint AS discarding, NULL::bigint AS retained,
               NULL::bigint AS metadata_bytes, count(*) AS stores,
               NULL::bigint AS blobs, NULL::bigint AS blob_bytes
          FROM job_store o GROUP BY o.cluster_id
        UNION ALL
        SELECT b.cluster_id, NULL::bigint AS graphs, NULL::bigint AS graph_bytes, NULL::bigint AS running,
               NULL::bigint AS done, NULL::bigint AS dirty, NULL::bigint AS clean,
               NULL::bigint AS completed, NULL::bigint AS discarding, NULL::bigint AS retained,
               NULL::bigint AS metadata_bytes, NULL::bigint AS stores,
               count(*) AS blobs, sum(b.size)::bigint AS blob_bytes
          FROM blob b GROUP BY b.cluster_id) part
 GROUP BY part.cluster_id;
COMMENT ON VIEW stat_summary IS 'How much is stored: one row per cluster id.';
COMMENT ON COLUMN stat_summary.cluster_id IS 'Cluster id.';
COMMENT ON COLUMN stat_summary.graphs IS 'Job graphs.';
COMMENT ON COLUMN stat_summary.graph_bytes IS 'Their size in all.';
COMMENT ON COLUMN stat_summary.running IS 'Jobs that are RUNNING in the registry.';
COMMENT ON COLUMN stat_summary.done IS 'Jobs that are DONE in the registry.';
COMMENT ON COLUMN stat_summary.dirty_results IS 'Ended jobs that are still to be cleaned up.';
COMMENT ON COLUMN stat_summary.clean_results IS 'Ended jobs kept until their retention is over.';
COMMENT ON COLUMN stat_summary.checkpoints IS 'Completed checkpoints and savepoints.';
COMMENT ON COLUMN stat_summary.discarding IS 'Checkpoints whose external data is still to be removed.';
COMMENT ON COLUMN stat_summary.retained IS 'Checkpoints and savepoints that left their list and whose external data stays.';
COMMENT ON COLUMN stat_summary.metadata_bytes IS 'Size of all metadata stored here.';
COMMENT ON COLUMN stat_summary.stores IS 'Job graph stores that are started, live or not.';
COMMENT ON COLUMN stat_summary.blobs IS 'Blobs, of jobs and of none.';
COMMENT ON COLUMN stat_summary.blob_bytes IS 'Their size in all.';

UPDATE schema_meta SET schema_version = 3;
COMMENT ON COLUMN event.subject IS 'Group, component, job or blob that it concerns; of cleanup_cluster the cluster.';

DO $$
BEGIN
    EXECUTE format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA %I FROM PUBLIC', current_schema());
    EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA %I FROM PUBLIC', current_schema());
END $$;
