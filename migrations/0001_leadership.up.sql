-- 0001_leadership: members, leadership, leader records, their history and audit.
--
-- Run by `pgkeeper migrate up` (or the script that `pgkeeper migrate sql` prints) in one transaction,
-- with search_path set to pgkeeper's schema and then pg_temp. Nothing outside that schema is touched.
--
-- Three rules shape the functions below; docs/election.md has the reasons:
--   * Advisory locks have two-integer keys: the class is the OID of a table of this schema, the object
--     an id of that table. member: the process is alive. leadership: the group is led. leader: the
--     fence, shared by writers of a tenure and exclusive for whoever changes the epoch.
--   * The fence is VOLATILE, and takes its lock and reads the epoch in two statements.
--   * Who needs several takes them in one order: the lock of the group, the row of leadership, the fence, all else. An
--     UPDATE by hand, which has the row before a trigger takes the fence, knows no other.

CREATE TABLE schema_meta (
    singleton         boolean PRIMARY KEY DEFAULT true,
    schema_version    integer NOT NULL,
    min_client_schema integer NOT NULL,
    CONSTRAINT schema_meta_has_one_row CHECK (singleton),
    CONSTRAINT schema_meta_versions_are_positive CHECK (schema_version > 0 AND min_client_schema > 0)
);
COMMENT ON TABLE schema_meta IS 'One row: the version of this schema and the oldest client that may use it.';
COMMENT ON COLUMN schema_meta.singleton IS 'Always true: keeps the table to one row.';
COMMENT ON COLUMN schema_meta.schema_version IS 'Number of the newest migration applied.';
COMMENT ON COLUMN schema_meta.min_client_schema IS 'A client must have been built for at least this schema version; older ones refuse to start.';
INSERT INTO schema_meta (schema_version, min_client_schema) VALUES (1, 1);

CREATE TABLE schema_history (
    version     integer PRIMARY KEY,
    name        text NOT NULL,
    sha256      text NOT NULL,
    applied_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    applied_by  text NOT NULL DEFAULT session_user,
    duration_ms integer NOT NULL,
    client_version text NOT NULL,
    CONSTRAINT schema_history_sha256_is_hex CHECK (sha256 ~ '^[0-9a-f]{64}$')
);
COMMENT ON TABLE schema_history IS 'Migrations applied to this schema, one row each, written in the transaction of the migration.';
COMMENT ON COLUMN schema_history.version IS 'Number of the migration: NNNN of its file name.';
COMMENT ON COLUMN schema_history.name IS 'Name of the migration, from its file name.';
COMMENT ON COLUMN schema_history.sha256 IS 'SHA-256 of the file that was run, 64 hex digits; pgkeeper migrate verify compares it.';
COMMENT ON COLUMN schema_history.applied_at IS 'When it was applied, by the clock of this server.';
COMMENT ON COLUMN schema_history.applied_by IS 'Role that was logged in.';
COMMENT ON COLUMN schema_history.duration_ms IS 'How long it took, in milliseconds.';
COMMENT ON COLUMN schema_history.client_version IS 'Version of the pgkeeper command that applied it.';

CREATE TABLE member (
    id             integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    incarnation    uuid NOT NULL CONSTRAINT member_incarnation_is_unique UNIQUE,
    cluster_id     text NOT NULL,
    name           text NOT NULL,
    group_names    text[] NOT NULL DEFAULT '{}',
    backend_pid    integer NOT NULL,
    client_version text NOT NULL,
    joined_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT member_cluster_id_is_1_to_200_bytes CHECK (octet_length(cluster_id) BETWEEN 1 AND 200),
    CONSTRAINT member_name_is_1_to_200_bytes CHECK (octet_length(name) BETWEEN 1 AND 200)
);
CREATE INDEX member_by_cluster ON member (cluster_id);
COMMENT ON TABLE member IS 'Processes that contend for leadership, one row per incarnation. Alive means: its advisory lock (class: this table''s OID, object: id) is held; see stat_contenders. Rows of the dead are removed after a day.';
COMMENT ON COLUMN member.id IS 'Object of the member''s advisory lock.';
COMMENT ON COLUMN member.incarnation IS 'Random id of one run of one process; never reused.';
COMMENT ON COLUMN member.cluster_id IS 'high-availability.cluster-id of the process.';
COMMENT ON COLUMN member.name IS 'What people call it: member.name of its configuration, by default host:pid.';
COMMENT ON COLUMN member.group_names IS 'Groups that it contends for.';
COMMENT ON COLUMN member.backend_pid IS 'Server process of its lock session, as in pg_stat_activity.pid.';
COMMENT ON COLUMN member.client_version IS 'Version of libpgkeeper in that process.';
COMMENT ON COLUMN member.joined_at IS 'When its present lock session joined.';

CREATE TABLE leadership (
    id                 integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    cluster_id         text NOT NULL,
    group_name         text NOT NULL,
    epoch              bigint NOT NULL DEFAULT 0,
    session_id         uuid,
    member_id          integer,
    taken_at           timestamptz,
    granted_at         timestamptz,
    released_at        timestamptz,
    take_over_mode     text,
    heartbeat_ms       integer,
    lease_ms           integer,
    session_timeout_ms integer,
    grace_ms           integer,
    handover_to        integer,
    handover_from      integer,
    handover_until     timestamptz,
    handover_by        text,
    CONSTRAINT leadership_group_is_unique UNIQUE (cluster_id, group_name),
    CONSTRAINT leadership_cluster_id_is_1_to_200_bytes CHECK (octet_length(cluster_id) BETWEEN 1 AND 200),
    CONSTRAINT leadership_group_name_is_1_to_200_bytes CHECK (octet_length(group_name) BETWEEN 1 AND 200),
    CONSTRAINT leadership_epoch_is_not_negative CHECK (epoch >= 0),
    CONSTRAINT leadership_take_over_mode_is_known CHECK (take_over_mode IN ('immediate', 'exclusive')),
    CONSTRAINT leadership_tenure_is_whole CHECK (
        (session_id IS NULL) = (member_id IS NULL) AND (session_id IS NULL) = (taken_at IS NULL))
);
COMMENT ON TABLE leadership IS 'One row per cluster id and group: its epoch and its latest tenure. Led means: its advisory lock (class: this table''s OID, object: id) is held; see stat_leaders, because a row alone still stands after a crash. Rows are kept for ever, so that epochs never start again.';
COMMENT ON COLUMN leadership.id IS 'Object of the group''s advisory lock and of its fence; first argument of fence().';
COMMENT ON COLUMN leadership.cluster_id IS 'high-availability.cluster-id of its masters.';
COMMENT ON COLUMN leadership.group_name IS 'Unit of leadership: master when a process leads all its components, else the component''s name.';
COMMENT ON COLUMN leadership.epoch IS 'Fencing token: timeline * 2^40 + counter; rises with every tenure, never falls. epoch_text() shows it as timeline.counter. The next one may be in use for a moment before it stands here: see tenure.';
COMMENT ON COLUMN leadership.session_id IS 'Random id of the latest tenure.';
COMMENT ON COLUMN leadership.member_id IS 'Who took it: member.id. No foreign key: rows of dead members may go.';
COMMENT ON COLUMN leadership.taken_at IS 'When the epoch was raised.';
COMMENT ON COLUMN leadership.granted_at IS 'When the tenure counts: taken_at plus the grace that had to be waited.';
COMMENT ON COLUMN leadership.released_at IS 'When its leader gave it up cleanly; empty: still led, or lost uncleanly.';
COMMENT ON COLUMN leadership.take_over_mode IS 'immediate: granted at once; exclusive: granted after the grace unless the former leader released cleanly.';
COMMENT ON COLUMN leadership.heartbeat_ms IS 'Leader''s heartbeat interval, milliseconds.';
COMMENT ON COLUMN leadership.lease_ms IS 'How long the leader believes after its last acknowledged heartbeat was sent, milliseconds.';
COMMENT ON COLUMN leadership.session_timeout_ms IS 'After this much silence the server ends the leader''s session, milliseconds.';
COMMENT ON COLUMN leadership.grace_ms IS 'What an exclusive successor waits after an unclean end, milliseconds; the longest since the last clean one.';
COMMENT ON COLUMN leadership.handover_to IS 'Member for whom the group is reserved until handover_until; empty: anybody but handover_from.';
COMMENT ON COLUMN leadership.handover_from IS 'Member that was asked to give up, or gave up, and stands back until handover_until.';
COMMENT ON COLUMN leadership.handover_until IS 'End of a hand-over that is under way.';
COMMENT ON COLUMN leadership.handover_by IS 'Role that asked for the hand-over; empty: the leader itself.';

CREATE TABLE election_pause (
    cluster_id text PRIMARY KEY,
    reason     text,
    paused_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    paused_by  text NOT NULL DEFAULT session_user,
    CONSTRAINT election_pause_cluster_id_is_1_to_200_bytes CHECK (octet_length(cluster_id) BETWEEN 1 AND 200),
    CONSTRAINT election_pause_reason_is_1_to_1000_bytes CHECK (octet_length(reason) BETWEEN 1 AND 1000)
);
COMMENT ON TABLE election_pause IS 'Clusters whose elections are paused, one row each: take_over() answers paused, whoever leads goes on leading.';
COMMENT ON COLUMN election_pause.cluster_id IS 'high-availability.cluster-id of its masters.';
COMMENT ON COLUMN election_pause.reason IS 'Why, in words.';
COMMENT ON COLUMN election_pause.paused_at IS 'Since when.';
COMMENT ON COLUMN election_pause.paused_by IS 'Role that paused them.';

-- Unlogged on purpose. A take-over is seen by everybody at its commit, and need not wait for the disk: what a crash of the
-- server would forget it forgets as a whole, by emptying this table, and then no token passes the fence until somebody has
-- taken over again. leadership says durably which epoch is next, so that none is given out twice.
CREATE UNLOGGED TABLE tenure (
    leadership_id      integer PRIMARY KEY,
    cluster_id         text NOT NULL,
    epoch              bigint NOT NULL,
    session_id         uuid,
    member_id          integer NOT NULL,
    taken_at           timestamptz NOT NULL,
    granted_at         timestamptz NOT NULL,
    take_over_mode     text NOT NULL,
    heartbeat_ms       integer NOT NULL,
    lease_ms           integer NOT NULL,
    session_timeout_ms integer NOT NULL,
    grace_ms           integer NOT NULL,
    entered            boolean NOT NULL,
    CONSTRAINT tenure_of_nobody_is_entered CHECK (entered OR session_id IS NOT NULL)
) WITH (fillfactor = 10);
COMMENT ON TABLE tenure IS 'One row per group that has been led: the only epoch that passes the fence now. Unlogged: emptied by a crash of the server and in a promoted standby, where nobody''s epoch passes until the next take-over.';
COMMENT ON COLUMN tenure.leadership_id IS 'leadership.id.';
COMMENT ON COLUMN tenure.cluster_id IS 'As in leadership: here because the fence, which is passed at each write, reads no other row.';
COMMENT ON COLUMN tenure.epoch IS 'Its epoch; that of leadership, or the one after it while not entered.';
COMMENT ON COLUMN tenure.session_id IS 'Random id of the tenure; empty: given up, or ended by hand, so that its epoch passes no more.';
COMMENT ON COLUMN tenure.member_id IS 'Who took it: member.id.';
COMMENT ON COLUMN tenure.taken_at IS 'When the epoch was raised.';
COMMENT ON COLUMN tenure.granted_at IS 'When the tenure counts: taken_at plus the grace that had to be waited.';
COMMENT ON COLUMN tenure.take_over_mode IS 'As in leadership.';
COMMENT ON COLUMN tenure.heartbeat_ms IS 'As in leadership.';
COMMENT ON COLUMN tenure.lease_ms IS 'As in leadership.';
COMMENT ON COLUMN tenure.session_timeout_ms IS 'As in leadership.';
COMMENT ON COLUMN tenure.grace_ms IS 'Grace of its leader''s profile, milliseconds; a longer one that leadership knew of, when this table had been emptied.';
COMMENT ON COLUMN tenure.entered IS 'Has it been entered into leadership and leader_history, which is durable? False for the first millisecond, and when the leader died in it: the successor then enters both.';

CREATE TABLE leader (
    cluster_id   text NOT NULL,
    component    text NOT NULL,
    group_name   text NOT NULL,
    epoch        bigint NOT NULL,
    session_id   uuid,
    address      text,
    confirmed_at timestamptz,
    PRIMARY KEY (cluster_id, component),
    CONSTRAINT leader_cluster_id_is_1_to_200_bytes CHECK (octet_length(cluster_id) BETWEEN 1 AND 200),
    CONSTRAINT leader_component_is_1_to_200_bytes CHECK (octet_length(component) BETWEEN 1 AND 200),
    CONSTRAINT leader_group_name_is_1_to_200_bytes CHECK (octet_length(group_name) BETWEEN 1 AND 200),
    CONSTRAINT leader_address_is_1_to_1024_bytes CHECK (octet_length(address) BETWEEN 1 AND 1024),
    CONSTRAINT leader_record_is_whole CHECK (
        (session_id IS NULL) = (address IS NULL) AND (session_id IS NULL) = (confirmed_at IS NULL))
);
CREATE INDEX leader_by_group ON leader (cluster_id, group_name);
COMMENT ON TABLE leader IS 'One row per cluster id and component: the address that its leader published. Emptied, not deleted, when the leadership passes on. Its OID is also the class of the fence''s advisory locks (object: leadership.id).';
COMMENT ON COLUMN leader.cluster_id IS 'high-availability.cluster-id of its masters.';
COMMENT ON COLUMN leader.component IS 'Name of the component: dispatcher, resource_manager, rest_endpoint, job-<32 hex>, or any other.';
COMMENT ON COLUMN leader.group_name IS 'Group that leads the component: leadership.group_name.';
COMMENT ON COLUMN leader.epoch IS 'Epoch in which the row was written or emptied.';
COMMENT ON COLUMN leader.session_id IS 'Tenure that published the address; empty: no leader.';
COMMENT ON COLUMN leader.address IS 'What clients connect to; opaque here.';
COMMENT ON COLUMN leader.confirmed_at IS 'When it was published.';

CREATE TABLE leader_history (
    leadership_id  integer NOT NULL,
    epoch          bigint NOT NULL,
    cluster_id     text NOT NULL,
    group_name     text NOT NULL,
    session_id     uuid NOT NULL,
    member_id      integer NOT NULL,
    member_name    text NOT NULL,
    take_over_mode text NOT NULL,
    began_at       timestamptz NOT NULL,
    granted_at     timestamptz NOT NULL,
    began_after    text NOT NULL,
    ended_at       timestamptz,
    end_reason     text,
    end_detail     text,
    PRIMARY KEY (leadership_id, epoch),
    CONSTRAINT leader_history_began_after_is_known CHECK (began_after IN ('nobody', 'release', 'loss')),
    CONSTRAINT leader_history_end_reason_is_known CHECK (end_reason IN (
        'resigned', 'switchover', 'abandoned', 'kicked', 'fenced', 'lease_expired', 'terminated',
        'connection_lost', 'server_restarted', 'promoted', 'lost')),
    CONSTRAINT leader_history_end_has_a_reason CHECK (ended_at IS NULL OR end_reason IS NOT NULL)
);
CREATE UNIQUE INDEX leader_history_has_one_open_tenure ON leader_history (leadership_id) WHERE ended_at IS NULL;
COMMENT ON TABLE leader_history IS 'Every tenure of every group: who, when, how it began and how it ended.';
COMMENT ON COLUMN leader_history.leadership_id IS 'leadership.id.';
COMMENT ON COLUMN leader_history.epoch IS 'Epoch of the tenure.';
COMMENT ON COLUMN leader_history.cluster_id IS 'As in leadership.';
COMMENT ON COLUMN leader_history.group_name IS 'As in leadership.';
COMMENT ON COLUMN leader_history.session_id IS 'Random id of the tenure.';
COMMENT ON COLUMN leader_history.member_id IS 'member.id of the leader.';
COMMENT ON COLUMN leader_history.member_name IS 'Its name, kept here because member rows go.';
COMMENT ON COLUMN leader_history.take_over_mode IS 'As in leadership.';
COMMENT ON COLUMN leader_history.began_at IS 'When the epoch was raised.';
COMMENT ON COLUMN leader_history.granted_at IS 'began_at plus the grace that had to be waited.';
COMMENT ON COLUMN leader_history.began_after IS 'nobody: first tenure; release: the former leader resigned; loss: it did not.';
COMMENT ON COLUMN leader_history.ended_at IS 'When it was known to have ended; empty: it lasts, or nobody has noticed yet.';
COMMENT ON COLUMN leader_history.end_reason IS 'resigned, switchover: given up, by itself or on request; abandoned: given up within the grace, before the grant; kicked: by kick(); fenced: the epoch was raised by hand; lease_expired: no heartbeat got through in time (stopped, starved or cut off); terminated: its session was ended by an administrator; connection_lost: its session broke; server_restarted, promoted: the server; lost: the session ended and the process never said why, as after kill -9.';
COMMENT ON COLUMN leader_history.end_detail IS 'More, in words.';

CREATE TABLE event (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at               timestamptz NOT NULL DEFAULT clock_timestamp(),
    cluster_id       text NOT NULL,
    subject          text NOT NULL,
    act              text NOT NULL,
    by_hand          boolean NOT NULL,
    role_name        text NOT NULL DEFAULT session_user,
    application_name text NOT NULL DEFAULT current_setting('application_name'),
    backend_pid      integer NOT NULL DEFAULT pg_backend_pid(),
    detail           jsonb NOT NULL DEFAULT '{}'
);
CREATE INDEX event_by_time ON event (at);
COMMENT ON TABLE event IS 'Audit: who did what, through pgkeeper''s functions or by hand.';
COMMENT ON COLUMN event.id IS 'Number; order of writing, with gaps.';
COMMENT ON COLUMN event.at IS 'When, by the clock of this server.';
COMMENT ON COLUMN event.cluster_id IS 'Cluster that it concerns.';
COMMENT ON COLUMN event.subject IS 'Group or component that it concerns.';
COMMENT ON COLUMN event.act IS 'take_over, release, confirm, withdraw, request_handover, kick; or insert, update, delete by hand, with the table''s name.';
COMMENT ON COLUMN event.by_hand IS 'True: a row was changed by plain SQL, not through pgkeeper''s functions.';
COMMENT ON COLUMN event.role_name IS 'Role that was logged in.';
COMMENT ON COLUMN event.application_name IS 'application_name of the session.';
COMMENT ON COLUMN event.backend_pid IS 'Server process of the session.';
COMMENT ON COLUMN event.detail IS 'More, by act.';

-- ---------------------------------------------------------------------------------------------
-- Small helpers.

CREATE FUNCTION lock_class(relation regclass) RETURNS integer
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
AS $$ SELECT relation::oid::bigint::bit(32)::integer $$;
COMMENT ON FUNCTION lock_class(regclass) IS 'First key of advisory locks on rows of a table: its OID as a signed integer. pg_locks.classid shows the OID itself.';

CREATE FUNCTION epoch_text(epoch bigint) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE -- not STRICT: that would keep it from being inlined
AS $$ SELECT (epoch >> 40)::text || '.' || (epoch & ((1::bigint << 40) - 1))::text $$;
COMMENT ON FUNCTION epoch_text(bigint) IS 'An epoch for people: timeline.counter.';

-- Not md5(): servers in FIPS mode refuse it.
CREATE FUNCTION channel(cluster_id text) RETURNS text
LANGUAGE plpgsql STABLE STRICT SET search_path FROM CURRENT -- plpgsql: called in every take-over, and five times as fast
AS $$
BEGIN
    RETURN 'pgkeeper_' || 'leadership'::regclass::oid || '_' || left(encode(sha256(convert_to(cluster_id, 'UTF8')), 'hex'), 16);
END $$;
COMMENT ON FUNCTION channel(text) IS 'Notification channel of a cluster in this schema, under 63 bytes. A notification is only a hint to read again.';

-- A function, because a server in recovery refuses to read an unlogged table, and the views are to be had there too.
CREATE FUNCTION unentered_tenures() RETURNS SETOF tenure
LANGUAGE plpgsql STABLE ROWS 10 SET search_path FROM CURRENT
AS $$
BEGIN
    IF NOT pg_is_in_recovery() THEN
        RETURN QUERY SELECT t.* FROM tenure t WHERE NOT t.entered;
    END IF;
END $$;
COMMENT ON FUNCTION unentered_tenures() IS 'Tenures that have begun and are not entered into leadership yet, so that the views show who leads. None in a standby.';

CREATE FUNCTION is_held(leadership_id integer) RETURNS boolean
LANGUAGE sql VOLATILE STRICT SET search_path FROM CURRENT
AS $$
    -- By a stranger it may be, too: anybody who may connect can take any advisory lock.
    SELECT EXISTS (
        SELECT FROM leadership l
          JOIN member m ON m.id = coalesce((SELECT t.member_id FROM unentered_tenures() t WHERE t.leadership_id = l.id), l.member_id)
          JOIN pg_locks k ON k.pid = m.backend_pid
         WHERE l.id = is_held.leadership_id AND k.locktype = 'advisory' AND k.granted AND k.objsubid = 2
           AND k.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
           AND k.classid = 'leadership'::regclass AND k.objid = l.id::oid)
$$;
COMMENT ON FUNCTION is_held(integer) IS 'Is the lock of this group held by the member that took it, that is: does it have a leader right now?';

CREATE FUNCTION is_alive(member_id integer) RETURNS boolean
LANGUAGE sql VOLATILE STRICT SET search_path FROM CURRENT
AS $$
    SELECT EXISTS (
        SELECT FROM member m JOIN pg_locks k ON k.pid = m.backend_pid
         WHERE m.id = is_alive.member_id AND k.locktype = 'advisory' AND k.granted AND k.objsubid = 2 AND k.mode = 'ExclusiveLock'
           AND k.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
           AND k.classid = 'member'::regclass AND k.objid = m.id::oid)
$$;
COMMENT ON FUNCTION is_alive(integer) IS 'Does this member''s session hold its lock, that is: is the process connected right now?';

-- ---------------------------------------------------------------------------------------------
-- Rows changed by anyone: guard, notify, audit. Functions of this schema say what they do in the setting pgkeeper.act
-- around their writes; empty means: by hand. They call set_config() rather than have a SET clause, because only a
-- superuser may make functions with a SET clause for a setting of our own; an error undoes it with the writes.

CREATE FUNCTION be_durable() RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
    IF current_setting('synchronous_commit') = 'off' THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
END $$;
COMMENT ON FUNCTION be_durable() IS 'Has this transaction''s commit wait for the disk. An epoch in leadership that others see must not be forgotten by a crash: the one after it may be given out on its strength.';

CREATE FUNCTION guard_tenure() RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
    RAISE EXCEPTION 'tenure of leadership %: its group is fixed and the epoch never falls (% to %)',
        OLD.leadership_id, OLD.epoch, NEW.epoch
        USING ERRCODE = 'check_violation', HINT = 'To fence the present leader raise leadership.epoch.';
END $$;
COMMENT ON FUNCTION guard_tenure() IS 'Trigger: an epoch that has passed on never passes the fence again.';
CREATE TRIGGER guard_row AFTER UPDATE ON tenure
    FOR EACH ROW WHEN (NEW.epoch < OLD.epoch OR NEW.leadership_id <> OLD.leadership_id OR NEW.cluster_id <> OLD.cluster_id)
    EXECUTE FUNCTION guard_tenure();

CREATE FUNCTION guard_leadership() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
AS $$
DECLARE
    acting CONSTANT text := coalesce(current_setting('pgkeeper.act', true), '');
BEGIN
    IF TG_OP <> 'UPDATE' THEN
        RAISE EXCEPTION 'rows of leadership cannot be deleted: epochs would start again and old tokens would pass the fence'
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'To end a tenure use kick(); to drop everything run pgkeeper migrate down.';
    END IF;
    IF (NEW.id, NEW.cluster_id, NEW.group_name) IS DISTINCT FROM (OLD.id, OLD.cluster_id, OLD.group_name)
       OR NEW.epoch < OLD.epoch THEN
        RAISE EXCEPTION 'leadership % (%): id, cluster_id and group_name are fixed and the epoch never falls (% to %)',
            OLD.id, OLD.group_name, OLD.epoch, NEW.epoch
            USING ERRCODE = 'check_violation', HINT = 'Raise the epoch to fence the present leader.';
    END IF;
    IF (NEW.epoch, NEW.session_id, NEW.released_at) IS DISTINCT FROM (OLD.epoch, OLD.session_id, OLD.released_at) THEN
        -- Whoever changes the epoch waits for the fenced writes of the old one, also by hand.
        PERFORM pg_advisory_xact_lock(lock_class('leader'), NEW.id);
        PERFORM be_durable();
        UPDATE tenure t SET epoch = greatest(t.epoch, NEW.epoch), session_id = NULL, entered = true WHERE t.leadership_id = NEW.id;
    END IF;
    IF NEW.epoch <> OLD.epoch THEN
        PERFORM set_config('pgkeeper.act', 'fence', true);
        UPDATE leader_history h
           SET end_reason = coalesce(h.end_reason, 'fenced'),
               end_detail = coalesce(h.end_detail, format('epoch raised by hand by %s', session_user))
         WHERE h.leadership_id = NEW.id AND h.ended_at IS NULL;
        PERFORM set_config('pgkeeper.act', acting, true);
    END IF;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION guard_leadership() IS 'Trigger: epochs rise only, every change of one takes the fence, rows stay.';
-- AFTER, because a BEFORE trigger locks the row on its own account; the functions below keep these rules by themselves.
CREATE TRIGGER guard_row AFTER UPDATE OR DELETE ON leadership
    FOR EACH ROW WHEN (coalesce(current_setting('pgkeeper.act', true), '') NOT IN ('take_over', 'release', 'request_handover'))
    EXECUTE FUNCTION guard_leadership();
CREATE TRIGGER guard_table BEFORE TRUNCATE ON leadership
    FOR EACH STATEMENT EXECUTE FUNCTION guard_leadership();

CREATE FUNCTION announce(cluster_id text, what text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path FROM CURRENT
AS $$
BEGIN
    PERFORM pg_notify(channel(cluster_id), what);
END $$;
COMMENT ON FUNCTION announce(text, text) IS 'Notifies the channel of a cluster, when this transaction commits. what: the table that changed; or released and a leadership.id, which lets standbys try before they read.';

CREATE FUNCTION announce_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT
AS $$
DECLARE
    changed record;
    subject text;
BEGIN
    IF TG_OP = 'DELETE' THEN changed := OLD; ELSE changed := NEW; END IF;
    PERFORM announce(changed.cluster_id, TG_TABLE_NAME);
    subject := coalesce(to_jsonb(changed) ->> CASE TG_TABLE_NAME WHEN 'leader' THEN 'component' ELSE 'group_name' END,
                        changed.cluster_id);
    INSERT INTO event (cluster_id, subject, act, by_hand, detail)
    VALUES (changed.cluster_id, subject, lower(TG_OP) || ' ' || TG_TABLE_NAME, true,
            jsonb_build_object('old', CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) END,
                               'new', CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) END));
    RETURN NULL;
END $$;
COMMENT ON FUNCTION announce_change() IS 'Trigger: announces a change made by hand and writes it into event.';
CREATE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE ON leader
    FOR EACH ROW WHEN (coalesce(current_setting('pgkeeper.act', true), '') = '') EXECUTE FUNCTION announce_change();
CREATE TRIGGER announce AFTER UPDATE ON leadership
    FOR EACH ROW WHEN (coalesce(current_setting('pgkeeper.act', true), '') = '') EXECUTE FUNCTION announce_change();
CREATE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE ON election_pause
    FOR EACH ROW WHEN (coalesce(current_setting('pgkeeper.act', true), '') = '') EXECUTE FUNCTION announce_change();

-- ---------------------------------------------------------------------------------------------
-- The fence: what every write of a leader, the library's or the application's own, passes.

CREATE FUNCTION fence(leadership_id integer, epoch bigint, cluster_id text DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
DECLARE
    theirs text;
BEGIN
    IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
        RAISE EXCEPTION 'fence() needs READ COMMITTED, this transaction is %: its snapshot may be older than a take-over',
            upper(current_setting('transaction_isolation'))
            USING ERRCODE = 'feature_not_supported', HINT = 'BEGIN ISOLATION LEVEL READ COMMITTED';
    END IF;
    PERFORM pg_advisory_xact_lock_shared(lock_class('leader'), fence.leadership_id);
    -- A statement of its own: its snapshot is taken after the lock was.
    PERFORM FROM tenure t
      WHERE t.leadership_id = fence.leadership_id AND t.epoch = fence.epoch AND t.session_id IS NOT NULL
        AND (fence.cluster_id IS NULL OR t.cluster_id = fence.cluster_id);
    IF NOT FOUND THEN
        SELECT l.cluster_id INTO theirs FROM leadership l WHERE l.id = fence.leadership_id;
        IF theirs <> fence.cluster_id THEN
            RAISE EXCEPTION 'fenced: leadership % is of cluster id "%", not of "%"', fence.leadership_id, theirs, fence.cluster_id
                USING ERRCODE = 'PK001', HINT = 'A token is good for what belongs to the cluster id in which it was granted.';
        END IF;
        RAISE EXCEPTION 'fenced: epoch % of leadership % has passed on', epoch_text(fence.epoch), fence.leadership_id
            USING ERRCODE = 'PK001', HINT = 'Another leader may have taken over: stop, and wait to be granted again.';
    END IF;
    RETURN true;
END $$;
COMMENT ON FUNCTION fence(integer, bigint, text) IS 'True while this epoch leads, and keeps a successor from taking over before the transaction ends; else raises SQLSTATE PK001, also when cluster_id is given and the leadership is of another one. Call it in the transaction of the write, READ COMMITTED; after streaming data, just before COMMIT.';

-- ---------------------------------------------------------------------------------------------
-- Contending. Called by the library on a session of its own.

CREATE FUNCTION join_member(incarnation uuid, cluster_id text, name text, client_version text)
RETURNS TABLE (member_id integer, locked boolean)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
BEGIN
    INSERT INTO member AS m (incarnation, cluster_id, name, backend_pid, client_version)
    VALUES (join_member.incarnation, join_member.cluster_id, join_member.name, pg_backend_pid(), join_member.client_version)
    ON CONFLICT ON CONSTRAINT member_incarnation_is_unique DO UPDATE
       SET backend_pid = EXCLUDED.backend_pid, joined_at = clock_timestamp(), group_names = '{}'
    RETURNING m.id INTO member_id;
    -- After a restart of the server all join at once: what another one is busy with is left to it.
    PERFORM set_config('pgkeeper.act', 'join', true);
    DELETE FROM member WHERE id IN (
        SELECT m.id FROM member m
         WHERE m.cluster_id = join_member.cluster_id AND m.joined_at < clock_timestamp() - interval '1 day'
           AND NOT is_alive(m.id)
           FOR UPDATE SKIP LOCKED);
    PERFORM set_config('pgkeeper.act', '', true);
    locked := pg_try_advisory_lock(lock_class('member'), member_id);
    RETURN NEXT;
END $$;
COMMENT ON FUNCTION join_member(uuid, text, text, text) IS 'Enters or renews a member row and takes its lock for this session; locked is false while an earlier session of the same process still holds it.';

CREATE FUNCTION enroll(member_id integer, cluster_id text, group_name text) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
DECLARE
    leadership_id integer;
BEGIN
    UPDATE member m SET group_names = m.group_names || enroll.group_name
     WHERE m.id = enroll.member_id AND NOT enroll.group_name = ANY (m.group_names);
    INSERT INTO leadership AS l (cluster_id, group_name)
    SELECT enroll.cluster_id, enroll.group_name
     WHERE NOT EXISTS (SELECT FROM leadership o
                        WHERE o.cluster_id = enroll.cluster_id AND o.group_name = enroll.group_name)
    ON CONFLICT ON CONSTRAINT leadership_group_is_unique DO NOTHING;
    SELECT l.id INTO STRICT leadership_id FROM leadership l
     WHERE l.cluster_id = enroll.cluster_id AND l.group_name = enroll.group_name;
    RETURN leadership_id;
END $$;
COMMENT ON FUNCTION enroll(integer, text, text) IS 'Notes that a member contends for a group and returns the group''s leadership.id, making the row if need be.';

CREATE FUNCTION withdraw_member(member_id integer, group_name text) RETURNS void
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
    UPDATE member m SET group_names = array_remove(m.group_names, withdraw_member.group_name)
     WHERE m.id = withdraw_member.member_id;
$$;
COMMENT ON FUNCTION withdraw_member(integer, text) IS 'Notes that a member no longer contends for a group.';

CREATE FUNCTION watch_member(member_id integer, slice_ms integer) RETURNS boolean
LANGUAGE plpgsql VOLATILE SET search_path FROM CURRENT
AS $$
BEGIN
    PERFORM set_config('lock_timeout', slice_ms::text, true);
    -- A transaction-level lock: one that "timed out" is never held after all. Shared: all who wait are told at once.
    PERFORM pg_advisory_xact_lock_shared(lock_class('member'), member_id);
    RETURN true;
EXCEPTION WHEN lock_not_available THEN
    RETURN false;
END $$;
COMMENT ON FUNCTION watch_member(integer, integer) IS 'Waits at most slice_ms for a member''s process to be gone; true: it is. The slice bounds how long the wait holds back VACUUM.';

CREATE FUNCTION await_leadership(leadership_id integer, slice_ms integer) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path FROM CURRENT SET lock_timeout = 0
AS $$
BEGIN
    PERFORM set_config('lock_timeout', slice_ms::text, true); -- until this function ends
    -- A transaction-level lock: one that "timed out" is never held after all.
    PERFORM pg_advisory_xact_lock(lock_class('leadership'), leadership_id);
END $$;
COMMENT ON FUNCTION await_leadership(integer, integer) IS 'Takes the lock of a group for this transaction, waiting at most slice_ms; then SQLSTATE 55P03. The slice bounds how long the wait holds back VACUUM.';

CREATE FUNCTION enter_tenure(leadership_id integer, epoch bigint) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
#variable_conflict use_column
DECLARE
    l leadership;
    t tenure;
BEGIN
    SELECT * INTO l FROM leadership x WHERE x.id = enter_tenure.leadership_id FOR UPDATE;
    SELECT * INTO t FROM tenure x WHERE x.leadership_id = enter_tenure.leadership_id;
    IF t.epoch IS DISTINCT FROM enter_tenure.epoch OR t.session_id IS NULL THEN
        RAISE EXCEPTION 'fenced: epoch % of leadership % has passed on', epoch_text(enter_tenure.epoch), enter_tenure.leadership_id
            USING ERRCODE = 'PK001';
    END IF;
    IF t.entered THEN
        RETURN pg_backend_pid();
    END IF;
    PERFORM be_durable();
    PERFORM set_config('pgkeeper.act', 'take_over', true);
    UPDATE leadership x
       SET epoch = t.epoch, session_id = t.session_id, member_id = t.member_id,
           taken_at = t.taken_at, granted_at = t.granted_at, released_at = NULL,
           take_over_mode = t.take_over_mode, heartbeat_ms = t.heartbeat_ms, lease_ms = t.lease_ms,
           session_timeout_ms = t.session_timeout_ms,
           -- Until a clean end the longest grace counts: the leader before the last one may still believe.
           grace_ms = greatest(t.grace_ms, (extract(epoch FROM t.granted_at - t.taken_at) * 1000)::integer,
                               CASE WHEN l.released_at IS NULL THEN l.grace_ms END),
           handover_to = NULL, handover_from = NULL, handover_until = NULL, handover_by = NULL
     WHERE x.id = l.id;
    UPDATE leader r
       SET epoch = t.epoch, session_id = NULL, address = NULL, confirmed_at = NULL
     WHERE r.cluster_id = l.cluster_id AND r.group_name = l.group_name;
    -- The latest tenure is the one that may be open. Its leader may be reporting its end at this very moment, from a
    -- session without our lock.
    UPDATE leader_history h
       SET ended_at = t.taken_at,
           end_reason = CASE
               WHEN h.end_reason IS NOT NULL THEN h.end_reason
               WHEN t.epoch >> 40 > l.epoch >> 40 THEN 'promoted'
               WHEN pg_postmaster_start_time() > h.began_at THEN 'server_restarted'
               ELSE 'lost' END
     WHERE h.leadership_id = l.id AND (h.ended_at IS NULL OR h.ended_at > t.taken_at)
       AND h.epoch = (SELECT max(x.epoch) FROM leader_history x WHERE x.leadership_id = l.id);
    INSERT INTO leader_history (leadership_id, epoch, cluster_id, group_name, session_id, member_id, member_name,
                                take_over_mode, began_at, granted_at, began_after)
    VALUES (l.id, t.epoch, l.cluster_id, l.group_name, t.session_id, t.member_id,
            coalesce((SELECT m.name FROM member m WHERE m.id = t.member_id), t.member_id::text),
            t.take_over_mode, t.taken_at, t.granted_at,
            CASE WHEN l.session_id IS NULL THEN 'nobody'
                 WHEN l.released_at IS NULL THEN 'loss' ELSE 'release' END);
    UPDATE tenure x SET entered = true WHERE x.leadership_id = l.id;
    PERFORM set_config('pgkeeper.act', '', true);
    RETURN pg_backend_pid();
END $$;
COMMENT ON FUNCTION enter_tenure(integer, bigint) IS 'Enters a tenure that take_over() began into leadership and leader_history, durably, closes the former one and empties its leader records. Returns the backend pid, as a heartbeat does; raises PK001 when leadership has passed on. Safe to repeat.';

CREATE FUNCTION take_over(
    leadership_id integer, member_id integer, session_id uuid, take_over_mode text,
    heartbeat_ms integer, lease_ms integer, session_timeout_ms integer, grace_ms integer, slice_ms integer DEFAULT 0,
    early boolean DEFAULT false)
RETURNS TABLE (outcome text, epoch bigint, wait_ms integer, holder integer)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
#variable_conflict use_column
DECLARE
    class    CONSTANT integer := lock_class('leadership');
    timeline CONSTANT bigint := ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint; -- fails in recovery
    free     boolean := false;
    locked   boolean := false; -- the group's row is
    hasty    boolean;
    before   record;
    moment   timestamptz;
BEGIN
    -- Everything that can be is done before the lock is free: from then on the group has no leader.
    LOOP
        SELECT l.id, l.cluster_id, l.epoch, l.session_id, l.member_id, l.released_at, l.grace_ms,
               l.handover_to, l.handover_from, l.handover_until, t.epoch AS present, t.entered, p.cluster_id IS NOT NULL AS paused INTO before
          FROM leadership l LEFT JOIN tenure t ON t.leadership_id = l.id LEFT JOIN election_pause p ON p.cluster_id = l.cluster_id
         WHERE l.id = take_over.leadership_id;
        holder := before.member_id;
        epoch := before.epoch;
        IF before.id IS NULL THEN
            outcome := 'missing';
        ELSIF before.paused THEN
            outcome := 'paused'; wait_ms := 1000;
        ELSIF before.entered IS NOT FALSE AND before.handover_until > clock_timestamp() AND (
                  (before.handover_to IS NULL AND before.handover_from = take_over.member_id)
               OR (before.handover_to <> take_over.member_id AND is_alive(before.handover_to))) THEN
            outcome := 'reserved';
            -- Asked again before the end: the one it is reserved for may be gone by then.
            wait_ms := ceil(extract(epoch FROM
                least(before.handover_until, clock_timestamp() + interval '1 s') - clock_timestamp()) * 1000);
        END IF;
        -- Early, that is before it is durable: only on the epoch next to one that is, and only where nobody's grace depends on it.
        hasty := coalesce(take_over.early AND take_over.take_over_mode = 'immediate' AND before.entered AND before.present = before.epoch
                          AND timeline <= before.epoch >> 40 AND take_over.grace_ms <= before.grace_ms, false);
        EXIT WHEN free OR outcome IS NOT NULL;
        BEGIN
            IF take_over.slice_ms > 0 THEN
                PERFORM await_leadership(take_over.leadership_id, take_over.slice_ms);
                free := true;
            ELSE
                free := pg_try_advisory_xact_lock(class, take_over.leadership_id);
            END IF;
            IF free AND NOT hasty THEN
                PERFORM FROM leadership l WHERE l.id = take_over.leadership_id FOR UPDATE; -- to be written: before the fence
                locked := true;
            END IF;
            IF free AND NOT pg_try_advisory_xact_lock(lock_class('leader'), take_over.leadership_id) THEN
                PERFORM clear_fence(take_over.leadership_id); -- waits for a release that is being committed, too
            END IF;
        EXCEPTION WHEN lock_not_available OR query_canceled THEN
            free := false; -- what was locked in this block is not any more
            locked := false;
        END;
        IF NOT free THEN
            outcome := 'busy';
            -- Who leads may have changed while we waited.
            SELECT l.member_id, l.epoch INTO holder, epoch FROM leadership l WHERE l.id = take_over.leadership_id;
        END IF;
        EXIT WHEN NOT free;
    END LOOP;
    IF outcome IS NULL AND NOT hasty AND NOT locked THEN
        outcome := 'busy'; -- somebody led meanwhile; another try takes the row before the fence
    END IF;
    IF outcome IS NOT NULL THEN
        RETURN NEXT; RETURN; -- the locks of this transaction end with it
    END IF;
    -- From here on an error makes the library close the session, which frees the lock.
    IF NOT pg_try_advisory_lock(class, take_over.leadership_id) THEN
        RAISE EXCEPTION 'the lock of leadership % is held by another session although this transaction holds it', before.id;
    END IF;
    IF NOT before.entered THEN -- its leader died too soon
        PERFORM enter_tenure(before.id, before.present);
        SELECT l.*, l.epoch AS present INTO before FROM leadership l WHERE l.id = take_over.leadership_id;
        holder := before.member_id;
    END IF;
    epoch := greatest(before.epoch, before.present); -- they differ where somebody has raised that of tenure by hand
    -- After a crash of the server the next epoch may have been given out, to one who led without a trace.
    epoch := ((greatest(timeline, epoch >> 40) << 40) | (epoch & ((1::bigint << 40) - 1)))
             + CASE WHEN before.present IS NULL AND before.epoch > 0 THEN 2 ELSE 1 END;
    wait_ms := CASE WHEN take_over.take_over_mode = 'exclusive' AND before.epoch > 0
                         AND (before.released_at IS NULL OR before.present IS NULL)
                    THEN greatest(take_over.grace_ms, before.grace_ms) ELSE 0 END;
    outcome := CASE WHEN hasty THEN 'early' ELSE 'taken' END;
    moment := clock_timestamp();
    UPDATE tenure t
       SET epoch = take_over.epoch, session_id = take_over.session_id, member_id = take_over.member_id, taken_at = moment,
           granted_at = moment + take_over.wait_ms * interval '1 ms', take_over_mode = take_over.take_over_mode,
           heartbeat_ms = take_over.heartbeat_ms, lease_ms = take_over.lease_ms,
           session_timeout_ms = take_over.session_timeout_ms, grace_ms = take_over.grace_ms, entered = false
     WHERE t.leadership_id = before.id;
    IF NOT FOUND THEN -- who led without a trace may still believe, whatever the row says of a clean end
        INSERT INTO tenure VALUES (before.id, before.cluster_id, take_over.epoch, take_over.session_id, take_over.member_id,
            moment, moment + take_over.wait_ms * interval '1 ms', take_over.take_over_mode, take_over.heartbeat_ms, take_over.lease_ms,
            take_over.session_timeout_ms, greatest(take_over.grace_ms, before.grace_ms), false);
    END IF;
    IF NOT hasty THEN
        PERFORM enter_tenure(before.id, epoch);
    END IF;
    RETURN NEXT;
END $$;
COMMENT ON FUNCTION take_over(integer, integer, uuid, text, integer, integer, integer, integer, integer, boolean) IS 'Takes the lock of a group for this session, waiting at most slice_ms for it, and raises the epoch that passes the fence. outcome: taken (holder led before; the tenure is entered, see enter_tenure()); early (taken, but not entered: call enter_tenure() next; only if early was asked for, immediate mode); busy (holder leads); reserved (a hand-over to somebody else is under way for wait_ms); paused (elections are: ask again after wait_ms); missing. taken with wait_ms > 0: grant only after that. announce_tenure() is to follow.';

CREATE FUNCTION announce_tenure(leadership_id integer, epoch bigint, act text) RETURNS integer
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
#variable_conflict use_column
DECLARE
    h leader_history;
BEGIN
    IF act NOT IN ('take_over', 'release') OR act IS NULL THEN
        RAISE EXCEPTION 'act % is not take_over or release', quote_nullable(act) USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- A lease hangs on this session: a hint and an audit row are not worth a wait for the disk or a standby. What the
    -- caller has written in the same transaction may be.
    IF pg_current_xact_id_if_assigned() IS NULL THEN
        PERFORM set_config('synchronous_commit', 'off', true);
    END IF;
    SELECT * INTO h FROM leader_history x WHERE x.leadership_id = announce_tenure.leadership_id AND x.epoch = announce_tenure.epoch;
    IF h.epoch IS NOT NULL THEN
        -- Standbys that read "released" try the lock before they read anything.
        PERFORM announce(h.cluster_id, CASE act WHEN 'release' THEN 'released ' || h.leadership_id ELSE 'leadership' END);
        INSERT INTO event (cluster_id, subject, act, by_hand, detail)
        VALUES (h.cluster_id, h.group_name, act, false, jsonb_strip_nulls(jsonb_build_object(
                   'epoch', epoch_text(h.epoch), 'member_id', h.member_id,
                   'wait_ms', (extract(epoch FROM h.granted_at - h.began_at) * 1000)::integer, 'reason', h.end_reason)));
    END IF;
    RETURN pg_backend_pid();
END $$;
COMMENT ON FUNCTION announce_tenure(integer, bigint, text) IS 'Tells everybody of a take_over or release that has been committed, and enters it into event: apart from it, so that nobody waits for that; not durable at once. Returns the backend pid, as a heartbeat does.';

CREATE FUNCTION clear_fence(leadership_id integer) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
DECLARE
    holder  record;
    refused text; -- of the last session that we may not end
BEGIN
    PERFORM pg_advisory_xact_lock(lock_class('leader'), leadership_id);
EXCEPTION WHEN lock_not_available THEN
    -- A stopped leader must not hold up its successor: its open transactions end, unwritten.
    FOR holder IN
        SELECT k.pid, a.usename FROM pg_locks k LEFT JOIN pg_stat_activity a ON a.pid = k.pid
         WHERE k.locktype = 'advisory' AND k.granted AND k.objsubid = 2 AND k.pid <> pg_backend_pid()
           AND k.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
           AND k.classid = 'leader'::regclass AND k.objid = clear_fence.leadership_id::oid
    LOOP
        BEGIN
            PERFORM pg_terminate_backend(holder.pid);
        EXCEPTION WHEN insufficient_privilege THEN
            refused := format('session %s of role "%s" holds up the take-over with an open fenced transaction, and role "%s", the owner of clear_fence(), may not end it: as a superuser SELECT pg_terminate_backend(%s)',
                              holder.pid, holder.usename, current_user, holder.pid);
        END;
    END LOOP;
    -- It may end by itself: a later try finds out.
    IF refused IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'object_in_use', MESSAGE = refused;
    END IF;
    PERFORM pg_advisory_xact_lock(lock_class('leader'), leadership_id);
END $$;
COMMENT ON FUNCTION clear_fence(integer) IS 'Takes a group''s fence exclusively; after one lock_timeout it ends the sessions that hold it. SQLSTATE 55006: the owner of this function may not end one of them.';

CREATE FUNCTION release(leadership_id integer, epoch bigint, session_id uuid, reason text, granted boolean, stand_back_ms integer)
RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
#variable_conflict use_column
DECLARE
    l       leadership;
    alone   CONSTANT boolean := pg_current_xact_id_if_assigned() IS NULL;
    outcome text := 'done';
BEGIN
    SELECT * INTO l FROM leadership x WHERE x.id = release.leadership_id FOR UPDATE;
    -- Fenced writes in flight end first; later ones are refused.
    PERFORM pg_advisory_xact_lock(lock_class('leader'), release.leadership_id);
    IF EXISTS (SELECT FROM tenure t WHERE t.leadership_id = release.leadership_id AND t.epoch = release.epoch AND NOT t.entered) THEN
        PERFORM enter_tenure(release.leadership_id, release.epoch);
        SELECT * INTO l FROM leadership x WHERE x.id = release.leadership_id;
    ELSIF alone THEN
        -- A crash may forget a release: the successor then takes it for a loss. Not so what the caller has written before.
        PERFORM set_config('synchronous_commit', 'off', true);
    END IF;
    IF l.epoch IS DISTINCT FROM release.epoch OR l.session_id IS DISTINCT FROM release.session_id
       OR l.released_at IS NOT NULL THEN
        outcome := 'fenced';
    ELSE
        PERFORM set_config('pgkeeper.act', 'release', true);
        -- Only a leader that had been granted may spare its successor the grace.
        UPDATE leadership x
           SET released_at = CASE WHEN release.granted THEN clock_timestamp() END,
               handover_to = CASE WHEN x.handover_until > clock_timestamp() THEN x.handover_to END,
               handover_from = x.member_id,
               handover_until = CASE WHEN x.handover_until > clock_timestamp() THEN x.handover_until
                                     ELSE clock_timestamp() + release.stand_back_ms * interval '1 ms' END
         WHERE x.id = l.id;
        UPDATE tenure t SET session_id = NULL WHERE t.leadership_id = l.id AND t.epoch = l.epoch;
        UPDATE leader r SET session_id = NULL, address = NULL, confirmed_at = NULL
         WHERE r.cluster_id = l.cluster_id AND r.group_name = l.group_name AND r.session_id = release.session_id;
        UPDATE leader_history h
           SET ended_at = clock_timestamp(),
               end_reason = CASE WHEN release.granted THEN release.reason ELSE 'abandoned' END
         WHERE h.leadership_id = l.id AND h.ended_at IS NULL;
        PERFORM set_config('pgkeeper.act', '', true);
    END IF;
    -- Frees the lock at once; a successor waits for this transaction at the row.
    PERFORM pg_advisory_unlock(lock_class('leadership'), release.leadership_id);
    RETURN outcome;
END $$;
COMMENT ON FUNCTION release(integer, bigint, uuid, text, boolean, integer) IS 'Ends a tenure cleanly: marks it released, empties its records, frees the lock. granted false: given up within the grace, so a successor waits its own in full. done, or fenced when the tenure had ended. announce_tenure() is to follow.';

CREATE FUNCTION report_end(leadership_id integer, epoch bigint, session_id uuid, reason text, detail text) RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
BEGIN
    PERFORM set_config('pgkeeper.act', 'report_end', true);
    UPDATE leader_history h
       SET ended_at = coalesce(h.ended_at, clock_timestamp()),
           -- To a session a shutdown looks like pg_terminate_backend(); the server that is here now knows better.
           end_reason = CASE
               WHEN coalesce(h.end_reason, 'lost') <> 'lost' THEN h.end_reason
               WHEN report_end.reason NOT IN ('terminated', 'connection_lost') THEN report_end.reason
               WHEN ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint > h.epoch >> 40
                   THEN 'promoted'
               WHEN pg_postmaster_start_time() BETWEEN h.began_at AND coalesce(h.ended_at, 'infinity')
                   THEN 'server_restarted'
               ELSE report_end.reason END,
           end_detail = coalesce(h.end_detail, report_end.detail)
     WHERE h.leadership_id = report_end.leadership_id AND h.epoch = report_end.epoch
       AND h.session_id = report_end.session_id;
    PERFORM set_config('pgkeeper.act', '', true);
END $$;
COMMENT ON FUNCTION report_end(integer, bigint, uuid, text, text) IS 'A former leader that is connected again says why its tenure ended, where its successor could only write lost.';

CREATE FUNCTION rehearse() RETURNS void
LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
DECLARE
    scratch integer := -pg_backend_pid(); -- nobody else's, and no number of the sequence is used up
BEGIN
    -- Plans and caches are per session: a take-over that must take a millisecond is played once beforehand.
    PERFORM set_config('pgkeeper.act', 'take_over', true);
    INSERT INTO leadership (id, cluster_id, group_name) OVERRIDING SYSTEM VALUE
    VALUES (scratch, 'rehearsal', gen_random_uuid()::text);
    INSERT INTO leader (cluster_id, component, group_name, epoch)
    SELECT cluster_id, group_name, group_name, 0 FROM leadership WHERE id = scratch;
    PERFORM take_over(scratch, 0, gen_random_uuid(), 'exclusive', 1, 1, 1, 1);
    PERFORM release(scratch, t.epoch, t.session_id, 'resigned', true, 0) FROM tenure t WHERE t.leadership_id = scratch;
    PERFORM take_over(scratch, 0, gen_random_uuid(), 'immediate', 1, 1, 1, 1, 1, true);
    PERFORM enter_tenure(scratch, t.epoch) FROM tenure t WHERE t.leadership_id = scratch;
    PERFORM pg_advisory_unlock(lock_class('leadership'), scratch);
    RAISE EXCEPTION 'rehearsed' USING ERRCODE = 'PK000';
EXCEPTION WHEN SQLSTATE 'PK000' THEN
    NULL; -- all undone
END $$;
COMMENT ON FUNCTION rehearse() IS 'Plays a take-over and a release on a scratch row and undoes them, so that the first real one in this session is fast.';

-- ---------------------------------------------------------------------------------------------
-- Leader records.

CREATE FUNCTION confirm(leadership_id integer, epoch bigint, session_id uuid, component text, address text) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
#variable_conflict use_column
DECLARE
    l leadership;
    r leader;
BEGIN
    -- An address stands under a tenure that everybody can read of.
    PERFORM enter_tenure(t.leadership_id, t.epoch) FROM tenure t
      WHERE t.leadership_id = confirm.leadership_id AND t.epoch = confirm.epoch AND NOT t.entered;
    PERFORM fence(confirm.leadership_id, confirm.epoch);
    SELECT * INTO STRICT l FROM leadership x WHERE x.id = confirm.leadership_id;
    IF l.session_id IS DISTINCT FROM confirm.session_id THEN
        RAISE EXCEPTION 'fenced: session % no longer leads %', confirm.session_id, l.group_name USING ERRCODE = 'PK001';
    END IF;
    SELECT * INTO r FROM leader x WHERE x.cluster_id = l.cluster_id AND x.component = confirm.component FOR UPDATE;
    IF r.group_name <> l.group_name AND r.address IS NOT NULL AND EXISTS (
           SELECT FROM leadership o WHERE o.cluster_id = l.cluster_id AND o.group_name = r.group_name
                                      AND o.session_id = r.session_id AND is_held(o.id)) THEN
        RETURN 'conflict';
    END IF;
    IF (r.group_name, r.epoch, r.session_id, r.address) = (l.group_name, l.epoch, l.session_id, confirm.address) THEN
        RETURN 'unchanged';
    END IF;
    PERFORM set_config('pgkeeper.act', 'confirm', true);
    INSERT INTO leader AS x (cluster_id, component, group_name, epoch, session_id, address, confirmed_at)
    VALUES (l.cluster_id, confirm.component, l.group_name, l.epoch, l.session_id, confirm.address, clock_timestamp())
    ON CONFLICT (cluster_id, component) DO UPDATE
       SET group_name = EXCLUDED.group_name, epoch = EXCLUDED.epoch, session_id = EXCLUDED.session_id,
           address = EXCLUDED.address, confirmed_at = EXCLUDED.confirmed_at;
    PERFORM set_config('pgkeeper.act', '', true);
    PERFORM announce(l.cluster_id, 'leader');
    INSERT INTO event (cluster_id, subject, act, by_hand, detail)
    VALUES (l.cluster_id, confirm.component, 'confirm', false,
            jsonb_build_object('epoch', epoch_text(l.epoch), 'address', confirm.address));
    RETURN 'done';
END $$;
COMMENT ON FUNCTION confirm(integer, bigint, uuid, text, text) IS 'Publishes a component''s address under the fence. done; unchanged; conflict: another live group publishes this component. Raises PK001 when leadership has passed on.';

CREATE FUNCTION withdraw(leadership_id integer, epoch bigint, session_id uuid, component text) RETURNS text
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
#variable_conflict use_column
DECLARE
    cluster text;
BEGIN
    PERFORM fence(withdraw.leadership_id, withdraw.epoch);
    PERFORM set_config('pgkeeper.act', 'withdraw', true);
    UPDATE leader r SET session_id = NULL, address = NULL, confirmed_at = NULL
      FROM leadership l
     WHERE l.id = withdraw.leadership_id AND r.cluster_id = l.cluster_id
       AND r.component = withdraw.component AND r.session_id = withdraw.session_id
    RETURNING r.cluster_id INTO cluster;
    PERFORM set_config('pgkeeper.act', '', true);
    IF cluster IS NULL THEN
        RETURN 'unchanged';
    END IF;
    PERFORM announce(cluster, 'leader');
    INSERT INTO event (cluster_id, subject, act, by_hand)
    VALUES (cluster, withdraw.component, 'withdraw', false);
    RETURN 'done';
END $$;
COMMENT ON FUNCTION withdraw(integer, bigint, uuid, text) IS 'Empties the record of one component whose contender left while its group goes on leading.';

CREATE FUNCTION listen(cluster_id text) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path FROM CURRENT
AS $$ BEGIN EXECUTE format('LISTEN %I', channel(cluster_id)); END $$;
COMMENT ON FUNCTION listen(text) IS 'LISTEN on the channel of a cluster. Read the state after it, not before.';

-- ---------------------------------------------------------------------------------------------
-- Acts of an operator. `what` is a component or a group.

CREATE FUNCTION find_leadership(cluster_id text, what text) RETURNS leadership
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path FROM CURRENT
AS $$
DECLARE
    l leadership;
BEGIN
    SELECT x.* INTO l FROM leadership x
      LEFT JOIN leader r ON r.cluster_id = x.cluster_id AND r.group_name = x.group_name
                        AND r.component = find_leadership.what
     WHERE x.cluster_id = find_leadership.cluster_id
       AND (r.component IS NOT NULL OR x.group_name = find_leadership.what)
     ORDER BY r.component IS NULL LIMIT 1;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'cluster "%" has no component or group "%"', find_leadership.cluster_id, find_leadership.what
            USING ERRCODE = 'PK002', HINT = 'SELECT cluster_id, group_name, component FROM stat_leaders';
    END IF;
    RETURN l;
END $$;
COMMENT ON FUNCTION find_leadership(text, text) IS 'The leadership row of a component, or of a group of that name; raises PK002 when there is none.';

CREATE FUNCTION request_handover(cluster_id text, what text, to_member integer DEFAULT NULL, window_ms integer DEFAULT 10000)
RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
#variable_conflict use_column
DECLARE
    l leadership := find_leadership(request_handover.cluster_id, request_handover.what);
BEGIN
    PERFORM enter_tenure(t.leadership_id, t.epoch) FROM tenure t WHERE t.leadership_id = l.id AND NOT t.entered;
    SELECT * INTO l FROM leadership x WHERE x.id = l.id;
    IF NOT is_held(l.id) OR l.released_at IS NOT NULL THEN
        RAISE EXCEPTION 'group "%" has no leader that could hand over', l.group_name USING ERRCODE = 'PK002';
    END IF;
    IF EXISTS (SELECT FROM election_pause p WHERE p.cluster_id = l.cluster_id) THEN
        RAISE EXCEPTION 'elections of cluster "%" are paused: nobody could take over from the leader of group "%"',
            l.cluster_id, l.group_name USING ERRCODE = 'PK003', HINT = 'resume them first: pgkeeper resume';
    END IF;
    IF request_handover.to_member = l.member_id THEN
        RAISE EXCEPTION 'member % leads group "%" already', request_handover.to_member, l.group_name USING ERRCODE = 'PK003';
    END IF;
    IF request_handover.to_member IS NOT NULL AND NOT EXISTS (
           SELECT FROM member m WHERE m.id = request_handover.to_member AND m.cluster_id = l.cluster_id
                                  AND l.group_name = ANY (m.group_names) AND is_alive(m.id)) THEN
        RAISE EXCEPTION 'member % is not a live contender of group "%"', request_handover.to_member, l.group_name
            USING ERRCODE = 'PK002', HINT = 'SELECT * FROM stat_contenders';
    END IF;
    PERFORM set_config('pgkeeper.act', 'request_handover', true);
    UPDATE leadership x
       SET handover_to = request_handover.to_member, handover_from = x.member_id, handover_by = session_user,
           handover_until = clock_timestamp() + request_handover.window_ms * interval '1 ms'
     WHERE x.id = l.id AND x.epoch = l.epoch AND x.released_at IS NULL;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'the leader of group "%" has changed meanwhile', l.group_name USING ERRCODE = 'PK003';
    END IF;
    PERFORM set_config('pgkeeper.act', '', true);
    PERFORM announce(l.cluster_id, 'leadership');
    INSERT INTO event (cluster_id, subject, act, by_hand, detail)
    VALUES (l.cluster_id, l.group_name, 'request_handover', false,
            jsonb_build_object('epoch', epoch_text(l.epoch), 'from', l.member_id, 'to', request_handover.to_member));
    RETURN l.epoch;
END $$;
COMMENT ON FUNCTION request_handover(text, text, integer, integer) IS 'Asks the leader of a component or group to resign, in favour of a member or of anybody else; others stand back for window_ms. Returns the epoch that is to end: done when a larger one leads.';

CREATE FUNCTION kick(cluster_id text, what text) RETURNS boolean
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path FROM CURRENT
AS $$
#variable_conflict use_column
DECLARE
    l      leadership := find_leadership(kick.cluster_id, kick.what);
    holder integer;
BEGIN
    SELECT k.pid INTO holder FROM pg_locks k
     WHERE k.locktype = 'advisory' AND k.granted AND k.objsubid = 2
       AND k.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
       AND k.classid = 'leadership'::regclass AND k.objid = l.id::oid;
    -- Nobody can take over before this is committed.
    IF holder IS NULL AND NOT pg_try_advisory_xact_lock(lock_class('leadership'), l.id) THEN
        RETURN false;
    END IF;
    PERFORM enter_tenure(t.leadership_id, t.epoch) FROM tenure t WHERE t.leadership_id = l.id AND NOT t.entered;
    SELECT * INTO l FROM leadership x WHERE x.id = l.id;
    IF holder IS NULL AND (l.session_id IS NULL OR l.released_at IS NOT NULL) THEN
        RETURN false;
    END IF;
    PERFORM set_config('pgkeeper.act', 'kick', true);
    IF holder IS NULL THEN
        -- Lost: given up in its place. Its process may live, cut off: without a row in tenure an exclusive successor waits the grace.
        UPDATE leadership x SET released_at = clock_timestamp() WHERE x.id = l.id;
        DELETE FROM tenure t WHERE t.leadership_id = l.id;
        UPDATE leader r SET session_id = NULL, address = NULL, confirmed_at = NULL
         WHERE r.cluster_id = l.cluster_id AND r.group_name = l.group_name;
        PERFORM announce(l.cluster_id, 'released ' || l.id);
    END IF;
    UPDATE leader_history h
       SET end_reason = 'kicked', end_detail = format('by %s', session_user),
           ended_at = CASE WHEN holder IS NULL THEN clock_timestamp() END
     WHERE h.leadership_id = l.id AND h.ended_at IS NULL;
    PERFORM set_config('pgkeeper.act', '', true);
    INSERT INTO event (cluster_id, subject, act, by_hand, detail)
    VALUES (l.cluster_id, l.group_name, 'kick', false,
            jsonb_build_object('epoch', epoch_text(l.epoch), 'pid', holder));
    RETURN holder IS NULL OR pg_terminate_backend(holder);
EXCEPTION WHEN insufficient_privilege THEN
    RAISE EXCEPTION 'role "%", the owner of kick(), may not end session % of group "%": %', current_user, holder, l.group_name, SQLERRM
        USING ERRCODE = 'insufficient_privilege', HINT = format('as a superuser: SELECT pg_terminate_backend(%s)', holder);
END $$;
COMMENT ON FUNCTION kick(text, text) IS 'Ends the session that leads a component or group, whoever holds it; a tenure that is lost is closed, so that the group counts as given up. False when nobody leads and nothing is lost. The leader''s process lives on and contends again. Needs the owner of this function to be a member of the leader''s role or of pg_signal_backend.';

-- ---------------------------------------------------------------------------------------------
-- Views for people.

CREATE VIEW stat_leaders AS
-- As is_held(), but looked up once for all groups.
WITH held AS MATERIALIZED (
    SELECT k.objid, k.pid FROM pg_locks k
     WHERE k.locktype = 'advisory' AND k.granted AND k.objsubid = 2
       AND k.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
       AND k.classid = 'leadership'::regclass),
-- The present tenure of each group, entered or not. One that is not has neither published nor been asked anything.
present AS (
    SELECT l.id, l.cluster_id, l.group_name, l.epoch, l.session_id, l.member_id, l.granted_at, l.released_at, l.take_over_mode,
           l.heartbeat_ms, l.lease_ms, l.session_timeout_ms, l.grace_ms, l.handover_to, l.handover_until, true AS entered
      FROM leadership l WHERE NOT EXISTS (SELECT FROM unentered_tenures() t WHERE t.leadership_id = l.id)
    UNION ALL
    -- All named, or the view would read otherwise once it has been dumped and restored.
    SELECT l.id, l.cluster_id, l.group_name, t.epoch, t.session_id, t.member_id, t.granted_at, NULL AS released_at, t.take_over_mode,
           t.heartbeat_ms, t.lease_ms, t.session_timeout_ms, greatest(t.grace_ms, l.grace_ms) AS grace_ms,
           NULL AS handover_to, NULL AS handover_until, false AS entered
      FROM leadership l JOIN unentered_tenures() t ON t.leadership_id = l.id)
SELECT led.cluster_id, led.group_name, r.component, CASE WHEN l.entered THEN r.address END AS address,
       CASE WHEN l.session_id IS NULL THEN 'never led'
            WHEN l.released_at IS NOT NULL THEN 'released'
            WHEN NOT lock.held THEN 'lost'
            WHEN l.granted_at > clock_timestamp() THEN 'in grace'
            WHEN r.component IS NOT NULL AND (r.address IS NULL OR NOT l.entered) THEN 'unconfirmed'
            ELSE 'leading' END AS state,
       lock.held AS lock_held,
       epoch_text(l.epoch) AS epoch_text, l.epoch, l.session_id, l.member_id, m.name AS member_name,
       l.take_over_mode, l.granted_at, CASE WHEN l.entered THEN r.confirmed_at END AS confirmed_at, l.released_at,
       l.heartbeat_ms, l.lease_ms, l.session_timeout_ms, l.grace_ms,
       CASE WHEN l.handover_until > clock_timestamp() THEN l.handover_to END AS handover_to,
       CASE WHEN l.handover_until > clock_timestamp() THEN l.handover_until END AS handover_until,
       p.paused_at, p.paused_by, p.reason AS pause_reason
  -- A full join, of which the left one is kept, because it is never a nested loop: that is what the planner takes for tables
  -- that it believes to be empty, and 10,000 groups took 5 s. coalesce() hides from it that a left join would do.
  FROM present l
  FULL JOIN leader r USING (cluster_id, group_name) AS led
  LEFT JOIN member m ON m.id = l.member_id
 CROSS JOIN LATERAL (SELECT (l.id::oid, coalesce(m.backend_pid, 0)) IN (SELECT h.objid, h.pid FROM held h) AS held) lock
  LEFT JOIN election_pause p ON p.cluster_id = l.cluster_id
 WHERE coalesce(l.id, 0) > 0;
COMMENT ON VIEW stat_leaders IS 'Who leads what right now: one row per group and component, with the lock looked up, so that it is true after a crash too.';
COMMENT ON COLUMN stat_leaders.cluster_id IS 'Cluster id.';
COMMENT ON COLUMN stat_leaders.group_name IS 'Group: the unit of leadership.';
COMMENT ON COLUMN stat_leaders.component IS 'Component of that group; empty when none has been published yet.';
COMMENT ON COLUMN stat_leaders.address IS 'Address that the leader published.';
COMMENT ON COLUMN stat_leaders.state IS 'leading; unconfirmed: leads, address not published yet; in grace: took over, waits before it may act; released: given up cleanly; lost: the leader''s session ended and nobody has taken over; never led.';
COMMENT ON COLUMN stat_leaders.lock_held IS 'Is the group''s advisory lock held by that member? By anybody else nobody leads.';
COMMENT ON COLUMN stat_leaders.epoch_text IS 'Epoch as timeline.counter.';
COMMENT ON COLUMN stat_leaders.epoch IS 'Epoch as a number: second argument of fence().';
COMMENT ON COLUMN stat_leaders.session_id IS 'Random id of the tenure.';
COMMENT ON COLUMN stat_leaders.member_id IS 'member.id of the latest leader.';
COMMENT ON COLUMN stat_leaders.member_name IS 'Its name.';
COMMENT ON COLUMN stat_leaders.take_over_mode IS 'immediate or exclusive.';
COMMENT ON COLUMN stat_leaders.granted_at IS 'When the tenure began to count.';
COMMENT ON COLUMN stat_leaders.confirmed_at IS 'When the address was published.';
COMMENT ON COLUMN stat_leaders.released_at IS 'When the leadership was given up cleanly.';
COMMENT ON COLUMN stat_leaders.heartbeat_ms IS 'Leader''s heartbeat interval, milliseconds.';
COMMENT ON COLUMN stat_leaders.lease_ms IS 'Leader''s lease, milliseconds.';
COMMENT ON COLUMN stat_leaders.session_timeout_ms IS 'Silence after which the server ends the leader''s session, milliseconds.';
COMMENT ON COLUMN stat_leaders.grace_ms IS 'What an exclusive successor waits after an unclean end, milliseconds.';
COMMENT ON COLUMN stat_leaders.handover_to IS 'Member for whom a hand-over is under way.';
COMMENT ON COLUMN stat_leaders.handover_until IS 'End of that hand-over''s window.';
COMMENT ON COLUMN stat_leaders.paused_at IS 'Since when the elections of the cluster are paused; empty: they are not.';
COMMENT ON COLUMN stat_leaders.paused_by IS 'Role that paused them.';
COMMENT ON COLUMN stat_leaders.pause_reason IS 'Why, in words.';

CREATE VIEW stat_contenders AS
-- As is_held() and is_alive(), but looked up once for all.
WITH held AS MATERIALIZED (
    SELECT k.classid, k.objid, k.mode, k.pid FROM pg_locks k
     WHERE k.locktype = 'advisory' AND k.granted AND k.objsubid = 2
       AND k.database = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())
       AND k.classid IN ('leadership'::regclass, 'member'::regclass))
SELECT sought.cluster_id, sought.group_name, m.id AS member_id, m.name AS member_name,
       CASE WHEN NOT lock.alive THEN 'gone'
            WHEN CASE WHEN t.epoch IS NULL THEN l.member_id = m.id AND l.released_at IS NULL ELSE t.member_id = m.id END
                 AND (l.id::oid, m.backend_pid) IN (SELECT h.objid, h.pid FROM held h WHERE h.classid = 'leadership'::regclass) THEN
                CASE WHEN coalesce(t.granted_at, l.granted_at) > clock_timestamp() THEN 'in grace' ELSE 'leader' END
            ELSE 'standby' END AS state,
       lock.alive, m.backend_pid, m.client_version, m.joined_at, m.incarnation
  -- A full join for the reason given at stat_leaders.
  FROM (SELECT x.id, x.cluster_id, g.group_name, x.name, x.backend_pid, x.client_version, x.joined_at, x.incarnation
          FROM member x CROSS JOIN LATERAL unnest(x.group_names) AS g(group_name)) m
  FULL JOIN leadership l USING (cluster_id, group_name) AS sought
 CROSS JOIN LATERAL (SELECT (m.id::oid, m.backend_pid) IN (
       SELECT h.objid, h.pid FROM held h WHERE h.classid = 'member'::regclass AND h.mode = 'ExclusiveLock') AS alive) lock
  LEFT JOIN unentered_tenures() t ON t.leadership_id = l.id
 WHERE coalesce(m.id, 0) > 0;
COMMENT ON VIEW stat_contenders IS 'Who contends for what: one row per member and group; state and alive are looked up in the locks.';
COMMENT ON COLUMN stat_contenders.cluster_id IS 'Cluster id.';
COMMENT ON COLUMN stat_contenders.group_name IS 'Group contended for.';
COMMENT ON COLUMN stat_contenders.member_id IS 'member.id: what switchover --to and request_handover() take.';
COMMENT ON COLUMN stat_contenders.member_name IS 'Name of the process.';
COMMENT ON COLUMN stat_contenders.state IS 'leader; in grace: took over, waits before it may act; standby; gone: not connected.';
COMMENT ON COLUMN stat_contenders.alive IS 'Is the member''s advisory lock held by its session?';
COMMENT ON COLUMN stat_contenders.backend_pid IS 'Server process of its lock session.';
COMMENT ON COLUMN stat_contenders.client_version IS 'Version of its libpgkeeper.';
COMMENT ON COLUMN stat_contenders.joined_at IS 'When its present lock session joined.';
COMMENT ON COLUMN stat_contenders.incarnation IS 'Random id of this run of the process.';

-- Nothing for PUBLIC; sql/roles.sql grants to roles of the shop's own naming.
DO $$
BEGIN
    EXECUTE format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA %I FROM PUBLIC', current_schema());
    EXECUTE format('REVOKE ALL ON ALL TABLES IN SCHEMA %I FROM PUBLIC', current_schema());
END $$;
