-- Has everything written so far reach the disk: a commit that has written something does. Safe to repeat.
SELECT pg_logical_emit_message(true, 'pgkeeper', '')
