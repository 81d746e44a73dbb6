/*
 * backend/postgres/statements.h - the one table of SQL statements; nothing else of the backend
 * names SQL. The texts are the files of sql/, one statement each, embedded at build.
 */
#ifndef PGK_POSTGRES_STATEMENTS_H
#define PGK_POSTGRES_STATEMENTS_H

enum statement_id {
    STMT_PROBE,
    STMT_SETUP,
    STMT_USE_SCHEMA,
    STMT_SCHEMA_VERSION,
    STMT_SCHEMA_HIDDEN,
    STMT_REHEARSE,
    STMT_HEARTBEAT,
    STMT_HEARTBEAT_DURABLE,
    STMT_JOIN_MEMBER,
    STMT_ENROLL,
    STMT_WITHDRAW_MEMBER,
    STMT_TAKE_OVER,
    STMT_RELEASE,
    STMT_ANNOUNCE_TENURE,
    STMT_REPORT_END,
    STMT_CONFIRM,
    STMT_WITHDRAW,
    STMT_CANCEL,
    STMT_WATCH_MEMBER,
    STMT_LISTEN,
    STMT_READ,
    STMT_COUNT
};

#define STATEMENT_MAX_PARAMS 9

struct statement {
    const char *name; /* of the prepared statement, and in messages */
    const char *text;
    int params;
    int columns;
};

extern const struct statement statements[STMT_COUNT];

#endif
