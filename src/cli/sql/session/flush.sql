-- Has everything written so far reach the disk of this server: a commit that has written something does. Safe to repeat.
SELECT set_config('synchronous_commit', 'local', true), pg_logical_emit_message(true, 'pgkeeper', '')
