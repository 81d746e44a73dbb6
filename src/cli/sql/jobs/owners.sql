-- Leaders that own the graph of a job right now, in words; NULL: none. $1 cluster id, $2 job id. Read only.
SELECT string_agg(format('the leader of group "%s", epoch %s', l.group_name, epoch_text(o.epoch)), ' and ' ORDER BY l.id)
  FROM job_store o JOIN leadership l ON l.id = o.leadership_id
 WHERE o.store_id = ANY (live_owners($1::text, $2::uuid))
