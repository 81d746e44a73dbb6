/* backend/postgres/statements.c - see statements.h. A test prepares each and compares the counts.
 * */
#include "backend/postgres/statements.h"

#include "statements_sql.h"

const struct statement statements[STMT_COUNT] = {
    [STMT_PROBE] = {"probe", sql_session_probe, 0, 7},
    [STMT_SETUP] = {"setup", sql_session_setup, 8, 16},
    [STMT_USE_SCHEMA] = {"use_schema", sql_session_use_schema, 1, 1},
    [STMT_SCHEMA_VERSION] = {"schema_version", sql_session_schema_version, 0, 2},
    [STMT_SCHEMA_HIDDEN] = {"schema_hidden", sql_session_schema_hidden, 1, 1},
    [STMT_REHEARSE] = {"rehearse", sql_session_rehearse, 0, 1},
    [STMT_HEARTBEAT] = {"heartbeat", sql_leadership_heartbeat, 0, 1},
    [STMT_HEARTBEAT_DURABLE] = {"heartbeat_durable", sql_leadership_heartbeat_durable, 0, 1},
    [STMT_JOIN_MEMBER] = {"join_member", sql_leadership_join_member, 4, 2},
    [STMT_ENROLL] = {"enroll", sql_leadership_enroll, 3, 1},
    [STMT_WITHDRAW_MEMBER] = {"withdraw_member", sql_leadership_withdraw_member, 2, 1},
    [STMT_TAKE_OVER] = {"take_over", sql_leadership_take_over, 9, 4},
    [STMT_RELEASE] = {"release", sql_leadership_release, 6, 1},
    [STMT_ANNOUNCE_TENURE] = {"announce_tenure", sql_leadership_announce_tenure, 3, 1},
    [STMT_REPORT_END] = {"report_end", sql_leadership_report_end, 5, 1},
    [STMT_CONFIRM] = {"confirm", sql_leadership_confirm, 5, 1},
    [STMT_WITHDRAW] = {"withdraw", sql_leadership_withdraw, 4, 1},
    [STMT_CANCEL] = {"cancel", sql_session_cancel, 1, 1},
    [STMT_WATCH_MEMBER] = {"watch_member", sql_leadership_watch_member, 2, 1},
    [STMT_LISTEN] = {"listen", sql_retrieval_listen, 1, 1},
    [STMT_READ] = {"read", sql_retrieval_read, 4, 9},
};
