-- $1 member id, $2 longest wait in ms. Column: is the member's process gone? Safe to retry.
SELECT watch_member($1::integer, $2::integer)
