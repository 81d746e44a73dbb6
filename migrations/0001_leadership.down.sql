-- Undoes 0001_leadership. Drops exactly what it made; fails if somebody's own objects depend on them.
DROP VIEW stat_contenders, stat_leaders;
DROP FUNCTION unentered_tenures(), kick(text, text), request_handover(text, text, integer, integer), find_leadership(text, text),
    listen(text), withdraw(integer, bigint, uuid, text), confirm(integer, bigint, uuid, text, text), rehearse(),
    report_end(integer, bigint, uuid, text, text), release(integer, bigint, uuid, text, boolean, integer),
    clear_fence(integer), announce_tenure(integer, bigint, text),
    take_over(integer, integer, uuid, text, integer, integer, integer, integer, integer, boolean), enter_tenure(integer, bigint),
    await_leadership(integer, integer), watch_member(integer, integer), withdraw_member(integer, text), enroll(integer, text, text),
    join_member(uuid, text, text, text), fence(integer, bigint, text);
DROP TABLE event, leader_history, leader, election_pause, tenure, leadership, member, schema_history, schema_meta;
DROP FUNCTION announce_change(), announce(text, text), guard_leadership(), guard_tenure(), be_durable(), is_alive(integer), is_held(integer), channel(text),
    epoch_text(bigint), lock_class(regclass);
