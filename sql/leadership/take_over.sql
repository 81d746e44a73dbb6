-- $1 leadership id, $2 member id, $3 session id, $4 take-over mode, $5 heartbeat, $6 lease, $7 session timeout, $8 grace,
-- $9 longest wait for the lock (all in ms), $10 may it be entered afterwards.
-- Columns: outcome (taken, early, busy, reserved, paused, missing), epoch, milliseconds to wait, member that holds or held it.
-- Never retried in the same session: after an unclear answer the lock may be held.
SELECT t.outcome, t.epoch, t.wait_ms, t.holder
  FROM take_over($1::integer, $2::integer, $3::uuid, $4::text, $5::integer, $6::integer, $7::integer, $8::integer, $9::integer,
                 $10::boolean) t
