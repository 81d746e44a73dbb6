/*
 * metrics.c - `pgkeeper metrics`: the state of all clusters as OpenMetrics text.
 *
 * Names, units and types by the OpenMetrics rules: base units, the unit at the end of the name, counters sampled with
 * _total, samples of a family together, "# EOF" at the end. Reads only.
 */
#include <stdio.h>
#include <string.h>

#include "cli_statements.h"
#include "output.h"
#include "stores.h"
#include "verbs.h"

const char help_metrics[] =
    "usage: pgkeeper metrics\n"
    "\n"
    "Prints the state of all clusters of the schema as OpenMetrics text: leaders,\n"
    "take-overs, standbys, pauses, what is stored, the server. For a cron job that\n"
    "writes a file for node_exporter's textfile collector, or a small web server of\n"
    "your own. Without a connection it prints pgkeeper_up 0, and the exit code is 3;\n"
    "6 without a schema.\n"
    "\n"
    "pgkeeper_leader_silence_seconds needs a role that may see other roles' sessions\n"
    "(GRANT pg_read_all_stats).\n";

struct family {
    const char *name; /* without pgkeeper_ */
    const char *type;
    const char *unit; /* the last part of the name, or NULL */
    const char *help;
    const char
        *label; /* one more label, as it is printed, or NULL: then this row begins a family */
};

/* Columns of sql/metrics/groups.sql after its two labels; of clusters.sql after its one; of server.sql. */
static const struct family groups[] = {
    {"group_led", "gauge", NULL, "1 while the group has a leader that may act.", NULL},
    {"group_lost", "gauge", NULL,
     "1 while its leader is gone without having given up, and nobody has taken over.", NULL},
    {"take_overs", "counter", NULL, "Take-overs of the group so far, of its epoch.", NULL},
    {"leader_tenure_seconds", "gauge", "seconds", "How long its leader has led.", NULL},
    {"standbys", "gauge", NULL, "Live contenders that wait.", NULL},
    {"leader_silence_seconds", "gauge", "seconds", "Since its leader's last heartbeat.", NULL},
    {"leader_lease_seconds", "gauge", "seconds", "How long it believes without one.", NULL},
};
static const struct family clusters[] = {
    {"elections_paused", "gauge", NULL, "1 while the elections are paused.", NULL},
    {"job_graphs", "gauge", NULL, "Job graphs stored.", NULL},
    {"job_graph_size_bytes", "gauge", "bytes", "Their size.", NULL},
    {"jobs", "gauge", NULL, "Jobs in the registry.", "status=\"running\""},
    {"jobs", "gauge", NULL, "", "status=\"done\""},
    {"job_results", "gauge", NULL, "Results of jobs that ended.", "state=\"dirty\""},
    {"job_results", "gauge", NULL, "", "state=\"clean\""},
    {"checkpoints", "gauge", NULL, "Checkpoints and savepoints.", "state=\"completed\""},
    {"checkpoints", "gauge", NULL, "", "state=\"discarding\""},
    {"checkpoints", "gauge", NULL, "", "state=\"retained\""},
    {"checkpoint_metadata_size_bytes", "gauge", "bytes", "Size of their metadata.", NULL},
    {"blobs", "gauge", NULL, "Blobs stored.", NULL},
    {"blob_size_bytes", "gauge", "bytes", "Their size.", NULL},
};
static const struct family server[] = {
    {"schema_version", "gauge", NULL, "Version of the schema.", NULL},
    {"server_in_recovery", "gauge", NULL, "1 when the server is a standby.", NULL},
    {"server_read_only", "gauge", NULL, "1 when transactions are read-only by default.", NULL},
    {"notification_queue_ratio", "gauge", "ratio", "Share of the server's queue in use.", NULL},
    {"connections_free", "gauge", NULL, "Connections left for ordinary roles.", NULL},
    {"server_start_timestamp_seconds", "gauge", "seconds", "When the server was started.", NULL},
};

static void print_family(const struct family *family)
{
    printf("# TYPE pgkeeper_%s %s\n", family->name, family->type);
    if (family->unit != NULL) {
        printf("# UNIT pgkeeper_%s %s\n", family->name, family->unit);
    }
    printf("# HELP pgkeeper_%s %s\n", family->name, family->help);
}

static void print_label_value(const char *text)
{
    putchar('"');
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '\n') {
            fputs("\\n", stdout);
            continue;
        }
        if (*p == '"' || *p == '\\') {
            putchar('\\');
        }
        putchar(*p);
    }
    putchar('"');
}

static void print_labels(const PGresult *rows, int row, int labels, const char *more)
{
    static const char *const names[] = {"cluster", "group"};
    if (labels == 0 && more == NULL) {
        return;
    }
    putchar('{');
    for (int i = 0; i < labels; i++) {
        printf("%s%s=", i > 0 ? "," : "", names[i]);
        print_label_value(db_text(rows, row, i));
    }
    printf("%s%s}", more != NULL ? "," : "", more != NULL ? more : "");
}

static void print_samples(const struct family *family, const PGresult *rows, int labels, int column)
{
    for (int row = 0; row < PQntuples(rows); row++) {
        if (!PQgetisnull(rows, row, column)) {
            printf("pgkeeper_%s%s", family->name,
                   strcmp(family->type, "counter") == 0 ? "_total" : "");
            print_labels(rows, row, labels, family->label);
            printf(" %s\n", db_text(rows, row, column));
        }
    }
}

static void print_families(const struct family *families, size_t count, const PGresult *rows,
                           int labels)
{
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || strcmp(families[i].name, families[i - 1].name) != 0) {
            print_family(&families[i]);
        }
        print_samples(&families[i], rows, labels, labels + (int)i);
    }
}

static void print_up(bool up)
{
    printf("# TYPE pgkeeper_up gauge\n# HELP pgkeeper_up 1 when the schema could be read.\n"
           "pgkeeper_up %d\n",
           up ? 1 : 0);
    printf("# TYPE pgkeeper_build info\n# HELP pgkeeper_build The command that printed this.\n"
           "pgkeeper_build_info{version=\"%s\"} 1\n",
           CLI_VERSION);
}

int cmd_metrics(struct cli *cli, int argc, char **argv)
{
    const struct wanted wanted = {"no arguments; it prints all clusters", 0, 0};
    int code = parse_action(cli, argc, argv, NULL, 0, &wanted, NULL);
    if (code != CLI_OK) {
        return code;
    }
    if (cli->format_given) {
        return usage_error(cli, "prints OpenMetrics text, there is no --format");
    }
    cli->probes = true;
    struct db db;
    DB_RESULT *by_group = NULL, *by_cluster = NULL, *of_server = NULL;
    code = db_open_for(&db, cli, SCHEMA_OF_OPERATIONS);
    if (code == CLI_OK) {
        code = db_query(&db, sql_metrics_groups, 0, NULL, &by_group);
    }
    if (code == CLI_OK) {
        code = db_query(&db, sql_metrics_clusters, 0, NULL, &by_cluster);
    }
    if (code == CLI_OK) {
        code = db_query(&db, sql_metrics_server, 0, NULL, &of_server);
    }
    db_close(&db);
    print_up(code == CLI_OK);
    if (code == CLI_OK) {
        print_families(groups, sizeof groups / sizeof groups[0], by_group, 2);
        print_families(clusters, sizeof clusters / sizeof clusters[0], by_cluster, 1);
        print_families(server, sizeof server / sizeof server[0], of_server, 0);
    }
    puts("# EOF");
    return code;
}
