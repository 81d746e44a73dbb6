-- Version of the schema, and whether its history is whole. $1 newest version that this command knows. Read only.
SELECT CASE WHEN m.schema_version > $1::integer THEN 'warn' WHEN m.schema_version < $1::integer THEN 'warn'
            WHEN h.applied <> m.schema_version THEN 'fail' ELSE 'ok' END AS state,
       format('version %s of %s, admits clients of %s and newer; %s migrations in schema_history', m.schema_version, $1::integer,
              m.min_client_schema, h.applied) AS evidence,
       CASE WHEN m.schema_version > $1::integer THEN 'this command is older than the schema: upgrade it'
            WHEN m.schema_version < $1::integer THEN 'run: pgkeeper migrate up'
            WHEN h.applied <> m.schema_version THEN 'somebody changed schema_history or schema_meta: pgkeeper migrate verify' END AS cure
  FROM schema_meta m CROSS JOIN (SELECT count(*) AS applied FROM stat_schema) h
