-- $1 member id, $2 group that it no longer contends for. Safe to retry.
SELECT withdraw_member($1::integer, $2::text)
