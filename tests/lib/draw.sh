#!/usr/bin/env bash
# Prints docs/schema.md, drawn from the catalog of a migrated server (PGHOST ...) and from the rules of the library
# (PGK_TEST_DRAW_RULES). `./dev draw` writes the file; tests/cli/drawn.sh compares it.
set -eu
ask() { PGOPTIONS='-c search_path=pgkeeper' psql --no-psqlrc --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1 "$@"; }
tables="SELECT c.oid, c.relname FROM pg_class c WHERE c.relnamespace = 'pgkeeper'::regnamespace AND c.relkind = 'r'"

cat <<'TEXT'
# The schema and the protocol, drawn

Generated: from the catalog of a migrated database, and from the rules of the library given every event in every
state. Do not edit; `./dev draw` writes it, and a test compares. What the tables are for is in [dba.md](dba.md),
what is said to whom in [protocol.md](protocol.md).

## Tables

There are no foreign keys, so that nothing of one store waits for another. The lines below join columns of the same
meaning: `leadership_id`, `member_id`, and `cluster_id` with `job_id`.

```mermaid
erDiagram
TEXT
ask <<SQL
SELECT CASE part WHEN 1 THEN format('    %s {', relname)
                 WHEN 2 THEN format('        %s %s%s', regexp_replace(type, '[^a-z0-9_]+', '_', 'g'), attname, key)
                 ELSE '    }' END
  FROM (SELECT x.relname, 1 AS part, 0 AS attnum, NULL AS type, NULL AS attname, NULL AS key FROM ($tables) x
        UNION ALL
        SELECT x.relname, 2, a.attnum, replace(replace(format_type(a.atttypid, NULL), '[]', '_array'), 'timestamp with time zone', 'timestamptz'), a.attname,
               CASE WHEN a.attnum = ANY (i.indkey) THEN ' PK' ELSE '' END
          FROM ($tables) x JOIN pg_attribute a ON a.attrelid = x.oid AND a.attnum > 0 AND NOT a.attisdropped
          LEFT JOIN pg_index i ON i.indrelid = x.oid AND i.indisprimary
        UNION ALL
        SELECT x.relname, 3, 0, NULL, NULL, NULL FROM ($tables) x) lines
 ORDER BY relname COLLATE "C", part, attnum;
SELECT format('    %s ||--o{ %s : %s', parent.relname, child.relname, a.attname)
  FROM ($tables) child
  JOIN pg_attribute a ON a.attrelid = child.oid AND NOT a.attisdropped
  JOIN ($tables) parent ON a.attname = parent.relname || '_id' AND parent.oid <> child.oid
 ORDER BY parent.relname COLLATE "C", child.relname COLLATE "C";
SELECT format('    job_graph |o--o{ %s : job_id', child.relname)
  FROM ($tables) child
 WHERE child.relname <> 'job_graph' AND EXISTS (SELECT FROM ($tables) g WHERE g.relname = 'job_graph')
   AND 2 = (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = child.oid AND a.attname IN ('cluster_id', 'job_id'))
 ORDER BY child.relname COLLATE "C";
SQL
cat <<'TEXT'
```

| table | its comment |
|---|---|
TEXT
ask --command="SELECT format('| \`%s\` | %s |', x.relname, replace(obj_description(x.oid, 'pg_class'), '|', '/')) FROM ($tables) x ORDER BY x.relname COLLATE \"C\""
cat <<'TEXT'

## Views

What each is made of: views read the tables, and `pg_locks` for what is true right now.

```mermaid
flowchart LR
TEXT
ask <<'SQL'
SELECT DISTINCT format('    %s --> %s', t.relname, v.relname)
  FROM pg_rewrite r
  JOIN pg_class v ON v.oid = r.ev_class AND v.relkind = 'v' AND v.relnamespace = 'pgkeeper'::regnamespace
  JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
  JOIN pg_class t ON t.oid = d.refobjid AND t.oid <> v.oid
 ORDER BY 1;
SQL
cat <<'TEXT'
```

## States of a group in one process

As `src/backend/postgres/rules.c` has them: what happens, and after the slash what the process does about it. A
deadline that has passed makes `pgk_election_has_leadership()` false in any state, at once.

```mermaid
TEXT
"$PGK_TEST_DRAW_RULES"
cat <<'TEXT'
```

## A take-over

```mermaid
sequenceDiagram
    participant A as A, leads
    participant P as PostgreSQL
    participant B as B, waits
    A->>P: take_over: taken, epoch 1.1
    A->>P: confirm(address)
    P-->>B: notify: A leads
    loop every heartbeat
        A->>P: SELECT pg_backend_pid()
    end
    B->>P: take_over(wait 500 ms)
    Note over P,B: waits for the lock, in slices
    A-xP: kill -9
    P->>P: frees the lock of A, B has it: fence, epoch 1.2, records of A emptied, history
    P->>B: taken, epoch 1.2
    B->>P: announce_tenure
    Note over A,P: a late write with epoch 1.1: PK001
```
TEXT
