-- Large objects of the blobs: of one owner, and there at all. Read only.
WITH owner AS (SELECT c.relowner AS oid FROM pg_class c WHERE c.oid = to_regclass('blob')),
bad AS (
    SELECT count(*) FILTER (WHERE m.oid IS NULL) AS missing,
           count(*) FILTER (WHERE m.lomowner <> (SELECT o.oid FROM owner o)) AS foreign_owned, count(*) AS all_of
      FROM stat_blobs b LEFT JOIN pg_largeobject_metadata m ON m.oid = b.loid)
SELECT CASE WHEN b.missing > 0 OR b.foreign_owned > 0 THEN 'fail'
            WHEN current_setting('lo_compat_privileges')::boolean THEN 'warn' ELSE 'ok' END AS state,
       format('%s blobs; %s without their large object, %s of another owner; lo_compat_privileges %s', b.all_of, b.missing,
              b.foreign_owned, current_setting('lo_compat_privileges')) AS evidence,
       CASE WHEN b.missing > 0 THEN 'restore the large objects (pg_dump --blobs), or remove the rows'
            WHEN b.foreign_owned > 0 THEN 'run sql/roles.sql: it gives them to the owner of the schema'
            WHEN current_setting('lo_compat_privileges')::boolean
            THEN 'set lo_compat_privileges = off: anybody may read and write all large objects' END AS cure
  FROM bad b
