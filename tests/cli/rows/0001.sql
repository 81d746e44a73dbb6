-- Rows for the tables of 0001, as a version 1 in use holds them: a leader that was killed, one that resigned.
INSERT INTO member (incarnation, cluster_id, name, group_names, backend_pid, client_version) VALUES
    ('00000000-0000-0000-0000-00000000000a', '/default', 'alder', '{master,other}', 1, '0.1.0'),
    ('00000000-0000-0000-0000-00000000000b', '/default', 'birch', '{master}', 2, '0.1.0');
INSERT INTO leadership (cluster_id, group_name, epoch, session_id, member_id, taken_at, granted_at, take_over_mode,
                        heartbeat_ms, lease_ms, session_timeout_ms, grace_ms) VALUES
    ('/default', 'master', (1::bigint << 40) + 41, '00000000-0000-0000-0000-000000000051', 2, now(), now(), 'immediate',
     300, 1000, 1500, 1050);
INSERT INTO leadership (cluster_id, group_name, epoch, session_id, member_id, taken_at, granted_at, released_at, take_over_mode)
VALUES ('/default', 'other', (1::bigint << 40) + 7, '00000000-0000-0000-0000-000000000052', 1, now(), now(), now(), 'exclusive');
INSERT INTO tenure (leadership_id, cluster_id, epoch, session_id, member_id, taken_at, granted_at, take_over_mode, heartbeat_ms, lease_ms,
                    session_timeout_ms, grace_ms, entered)
SELECT l.id, l.cluster_id, l.epoch, CASE WHEN l.released_at IS NULL THEN l.session_id END, l.member_id, l.taken_at, l.granted_at,
       l.take_over_mode, 300, 1000, 1500, 1050, true FROM leadership l;
INSERT INTO leader (cluster_id, component, group_name, epoch, session_id, address, confirmed_at) VALUES
    ('/default', 'dispatcher', 'master', (1::bigint << 40) + 41, '00000000-0000-0000-0000-000000000051', 'birch:1', now());
INSERT INTO leader_history (leadership_id, epoch, cluster_id, group_name, session_id, member_id, member_name, take_over_mode,
                            began_at, granted_at, began_after, ended_at, end_reason)
SELECT 1, (1::bigint << 40) + 40, '/default', 'master', '00000000-0000-0000-0000-000000000050'::uuid, 1, 'alder',
       'immediate', now() - interval '1 hour', now() - interval '1 hour', 'nobody', now(), 'lost'
UNION ALL
SELECT 1, (1::bigint << 40) + 41, '/default', 'master', '00000000-0000-0000-0000-000000000051', 2, 'birch', 'immediate',
       now(), now(), 'loss', NULL, NULL;
SELECT to_regclass('election_pause') IS NOT NULL AS pauses \gset
\if :pauses
INSERT INTO election_pause (cluster_id, reason) VALUES ('/other', 'moving house');
\endif
