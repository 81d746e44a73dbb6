-- Removes the history row of a migration that was undone. $1 version. Safe to repeat.
DELETE FROM schema_history WHERE version = $1::integer
