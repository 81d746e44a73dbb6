-- What this role may do with the schema: lead (as the library does), read, act; and whether anything is open to PUBLIC.
-- Read only.
-- The lists are those of sql/roles.sql.
WITH need (what, kind, name) AS (
    SELECT 'lead', 'function', unnest('{fence,join_member,enroll,withdraw_member,watch_member,take_over,enter_tenure,unentered_tenures,release,announce_tenure,report_end,rehearse,confirm,withdraw,listen,channel,is_held,is_alive,epoch_text,lock_class,may_write,note_write,claim_graphs,live_owners,live_tenures,job_hex,cleanup_job,cleanup_cluster,blob_store,blob_begin,blob_write,blob_publish,blob_publish_all,blob_leave,blob_read,blob_remove,blob_remove_job,blob_sweep,blob_orphans,blob_remove_orphans,blob_compress_fast}'::text[])
    UNION ALL SELECT 'lead', 'table', unnest('{schema_meta,member,leadership,tenure,leader,blob,stat_leaders,stat_contenders,stat_pauses,stat_schema,stat_jobs,stat_results,stat_checkpoints,stat_summary,stat_blobs}'::text[])
    UNION ALL SELECT 'lead', 'written table', unnest('{job_store,job_graph,job_result,job_status,checkpoint,checkpoint_counter}'::text[])
    UNION ALL SELECT 'read', 'function', unnest('{is_held,is_alive,unentered_tenures,epoch_text,listen,channel,live_owners,live_tenures,job_hex,blob_orphans}'::text[])
    UNION ALL SELECT 'read', 'table', unnest('{schema_meta,schema_history,member,leadership,tenure,leader,leader_history,event,stat_leaders,stat_contenders,job_store,job_status,checkpoint_counter,stat_jobs,stat_results,stat_checkpoints,stat_summary,blob,blob_loose,stat_blobs,stat_pauses,stat_schema}'::text[])
    UNION ALL SELECT 'act', 'function', unnest('{request_handover,switchover,kick,pause_elections,resume_elections,purge,find_leadership,cleanup_job,cleanup_cluster,blob_sweep,blob_remove_orphans,blob_verify}'::text[])),
checked AS (
    SELECT n.what, n.name, coalesce(CASE n.kind
               WHEN 'table' THEN has_table_privilege(quote_ident(current_schema()) || '.' || n.name, 'SELECT')
               WHEN 'written table' THEN has_table_privilege(quote_ident(current_schema()) || '.' || n.name, 'INSERT')
                                     AND has_table_privilege(quote_ident(current_schema()) || '.' || n.name, 'DELETE')
               ELSE (SELECT bool_and(has_function_privilege(p.oid, 'EXECUTE')) FROM pg_proc p
                      WHERE p.pronamespace = current_schema()::regnamespace AND p.proname = n.name) END, false) AS may
      FROM need n),
summed AS (
    SELECT c.what, bool_and(c.may) AS all_of, bool_or(c.may) AS any_of, min(c.name) FILTER (WHERE NOT c.may) AS lacking
      FROM checked c GROUP BY c.what),
opened AS (
    SELECT count(*) AS n FROM (
        SELECT FROM pg_class c, aclexplode(c.relacl) a WHERE c.relnamespace = current_schema()::regnamespace AND a.grantee = 0
        UNION ALL
        SELECT FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
         WHERE p.pronamespace = current_schema()::regnamespace AND a.grantee = 0) o)
SELECT CASE WHEN NOT bool_or(s.all_of) THEN 'fail' WHEN max(o.n) > 0 OR bool_or(s.any_of AND NOT s.all_of AND s.what = 'lead' AND NOT r.reads) THEN 'warn'
            ELSE 'ok' END AS state,
       format('role "%s" may ', current_user)
           || coalesce(string_agg(s.what, ', ' ORDER BY s.what) FILTER (WHERE s.all_of), 'neither lead, read nor act')
           || coalesce('; not ' || string_agg(format('%s (lacks %s)', s.what, s.lacking), ', ' ORDER BY s.what) FILTER (WHERE NOT s.all_of), '')
           || CASE WHEN max(o.n) > 0 THEN format('; %s grants to PUBLIC', max(o.n)) ELSE '' END AS evidence,
       CASE WHEN NOT bool_or(s.all_of) THEN 'grant it one of the roles of sql/roles.sql: application, monitor or operator'
            WHEN max(o.n) > 0 THEN 'run sql/roles.sql: it takes from PUBLIC what it has' END AS cure
  FROM summed s CROSS JOIN opened o CROSS JOIN (SELECT bool_or(x.all_of) AS reads FROM summed x WHERE x.what = 'read') r
