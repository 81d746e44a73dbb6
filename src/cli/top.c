/*
 * top.c - `pgkeeper top`: leaders, contenders, jobs, checkpoints, blobs and events of one cluster, live.
 *
 * A frame is made in memory, cut to the width and height of the terminal, and written at once. The terminal is put back
 * however the command ends, but for SIGKILL. While the database is away the last frame stays, with a line that says so.
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "cli_statements.h"
#include "output.h"
#include "stores.h"
#include "verbs.h"

#define DEFAULT_INTERVAL_MS 1000
#define SHORTEST_INTERVAL_MS 100
#define DEFAULT_COLUMNS 80
#define DEFAULT_ROWS 24
#define ONCE_ROWS 200 /* of a frame for scripts: nothing is cut */
#define WIDE_COLUMNS 120
#define FRAME_HEAD 3

const char help_top[] =
    "usage: pgkeeper top [--once] [--interval D] [--columns N] [--rows N]\n"
    "\n"
    "Shows the cluster of --cluster live: the verdict of `pgkeeper status`, leaders\n"
    "with the age of their lease, contenders, jobs, checkpoints, blobs, events. The\n"
    "age is the time since the last heartbeat; to see that of other roles' sessions\n"
    "takes GRANT pg_read_all_stats. q or ^C ends it, any other key renews it at once.\n"
    "While the database is away it says so, and goes on when it is back.\n"
    "\n"
    "  --once        print one frame, without terminal codes, and end\n"
    "  --interval D  how often (default 1s, at least 100ms)\n"
    "  --columns N   as if the terminal were so wide; from 120 on there is more to\n"
    "                see. Default: the terminal's, else COLUMNS, else 80\n"
    "  --rows N      as if it were so high\n";

struct section {
    const char *title;
    const char *sql;
    int narrow; /* columns shown on a narrow terminal; all on a wide one */
    int share;  /* of the rows that are free */
};

static const struct section sections[] = {
    {"LEADERS", sql_top_leaders, 7, 3}, {"CONTENDERS", sql_top_contenders, 5, 3},
    {"JOBS", sql_top_jobs, 5, 3},       {"CHECKPOINTS", sql_top_checkpoints, 5, 2},
    {"BLOBS", sql_top_blobs, 4, 2},     {"EVENTS", sql_top_events, 5, 3},
};
#define SECTION_COUNT (sizeof sections / sizeof sections[0])

struct top {
    struct cli *cli;
    struct db db;
    bool connected;
    char trouble[PGK_ERROR_MESSAGE_SIZE]; /* why the database is away */
    char *body;                           /* of the last frame that there was an answer to */
    size_t body_size;
    int columns, rows; /* as given; 0: the terminal's */
    int interval_ms;
    bool once;
};

/* ------------------------------------------------------------------ the terminal */

static struct termios terminal_before;
static volatile sig_atomic_t terminal_changed;
static volatile sig_atomic_t ended;

static void terminal_restore(void)
{
    static const char leave[] = "\033[?25h\033[?1049l";
    if (terminal_changed) {
        terminal_changed = 0;
        tcsetattr(STDIN_FILENO, TCSANOW, &terminal_before);
        ssize_t written = write(STDOUT_FILENO, leave, sizeof leave - 1);
        (void)written;
    }
}

static void on_signal(int number)
{
    (void)number;
    ended = 1;
}

static void on_resize(int number)
{
    (void)number; /* it ends the wait */
}

static bool terminal_take(void)
{
    static const char enter[] = "\033[?1049h\033[?25l";
    const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    struct sigaction action = {.sa_handler = on_signal};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        sigaction(ends[i], &action, NULL);
    }
    action.sa_handler = on_resize;
    sigaction(SIGWINCH, &action, NULL);
    if (!isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &terminal_before) != 0) {
        return false;
    }
    struct termios raw = terminal_before;
    raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 0;
    terminal_changed = 1;
    atexit(terminal_restore);
    tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    ssize_t written = write(STDOUT_FILENO, enter, sizeof enter - 1);
    (void)written;
    return true;
}

static void terminal_size(const struct top *top, int *ret_columns, int *ret_rows)
{
    struct winsize size = {0};
    const char *columns = getenv("COLUMNS");
    *ret_columns = DEFAULT_COLUMNS;
    *ret_rows = top->once ? ONCE_ROWS : DEFAULT_ROWS;
    if (isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
        *ret_columns = size.ws_col;
        *ret_rows = top->once ? ONCE_ROWS : size.ws_row;
    } else if (columns != NULL && (!parse_number(columns, ret_columns) || *ret_columns < 1)) {
        *ret_columns = DEFAULT_COLUMNS;
    }
    *ret_columns = top->columns > 0 ? top->columns : *ret_columns;
    *ret_rows = top->rows > 0 ? top->rows : *ret_rows;
}

/* True: go on. A key or a signal ends the wait. */
static bool wait_for_key(int ms)
{
    struct pollfd keys = {.fd = STDIN_FILENO, .events = POLLIN};
    char key = 0;
    if (poll(&keys, terminal_changed ? 1 : 0, ms) > 0 && read(STDIN_FILENO, &key, 1) <= 0) {
        return false; /* the terminal is gone */
    }
    return !ended && key != 'q' && key != 'Q' && key != 3;
}

/* ------------------------------------------------------------------ a frame */

/* The rows of a table that fit, its heading among them. */
static void put_table(FILE *out, const PGresult *rows, int table_columns, int height)
{
    char *text = NULL;
    size_t size = 0;
    FILE *memory = open_memstream(&text, &size);
    if (memory == NULL) {
        return;
    }
    output_rows(memory, FORMAT_TABLE, rows, table_columns);
    fclose(memory);
    const char *line = text;
    for (int i = 0; i < height && line != NULL && *line != '\0'; i++) {
        size_t length = strcspn(line, "\n");
        fwrite(line, 1, length, out);
        fputc('\n', out);
        line += length + (line[length] == '\n' ? 1 : 0);
    }
    free(text);
}

static void put_heading(FILE *out, const PGresult *state)
{
    static const char *const levels[] = {"OK", "WARNING", "CRITICAL"};
    fprintf(out, "%s: %s\n", levels[db_int(state, 0, 1)], db_text(state, 0, 2));
    fprintf(out, "%s groups, %s led; %s members; %s graphs, %s running; %s checkpoints; %s blobs\n",
            db_text(state, 0, 3), db_text(state, 0, 4), db_text(state, 0, 7), db_text(state, 0, 12),
            db_text(state, 0, 14), db_text(state, 0, 18), db_text(state, 0, 22));
}

static bool is_away(const struct top *top)
{
    return PQstatus(top->db.conn) != CONNECTION_OK;
}

/* False: the database is away. A section that this role may not see says so. */
static bool put_section(struct top *top, FILE *out, const struct section *section, int height,
                        bool wide)
{
    const char *values[] = {db_cluster(&top->db)};
    DB_RESULT *rows = NULL;
    pgk_error error;
    pgk_status status = db_try(&top->db, section->sql, 1, values, &rows, &error);
    if (status != PGK_OK && (status == PGK_ERR_CONNECTION || is_away(top))) {
        snprintf(top->trouble, sizeof top->trouble, "%s", error.message);
        return false;
    }
    fprintf(out, "\n%s\n", section->title);
    if (status != PGK_OK) {
        fprintf(out, "%s\n", error.message);
    } else if (PQntuples(rows) == 0) {
        fputs("none\n", out);
    } else {
        put_table(out, rows, wide ? 0 : section->narrow, height);
    }
    return true;
}

/* What all statements of a frame say; the last frame stays when one of them fails for want of a connection. */
static bool read_frame(struct top *top, int columns, int rows)
{
    const char *values[] = {db_cluster(&top->db), "1"};
    DB_RESULT *state = NULL;
    pgk_error error;
    char *body = NULL;
    size_t size = 0;
    if (db_try(&top->db, sql_status_state, 2, values, &state, &error) != PGK_OK) {
        snprintf(top->trouble, sizeof top->trouble, "%s", error.message);
        return false;
    }
    FILE *out = open_memstream(&body, &size);
    if (out == NULL) {
        return false;
    }
    put_heading(out, state);
    bool read = true;
    int shares = 0;
    for (size_t i = 0; i < SECTION_COUNT; i++) {
        shares += sections[i].share;
    }
    /* Each section has a blank line and its title besides its rows. */
    int room = rows - FRAME_HEAD - 2 * (int)SECTION_COUNT;
    for (size_t i = 0; i < SECTION_COUNT && read; i++) {
        int height = room * sections[i].share / shares;
        read =
            put_section(top, out, &sections[i], height > 2 ? height : 2, columns >= WIDE_COLUMNS);
    }
    fclose(out);
    if (!read) {
        free(body);
        return false;
    }
    free(top->body);
    top->body = body;
    top->body_size = size;
    return true;
}

static void write_frame(const struct top *top, int columns, int rows)
{
    char *frame = NULL;
    char head[PGK_ERROR_MESSAGE_SIZE + 128];
    size_t size = 0;
    char clock[16];
    time_t now = time(NULL);
    struct tm parts;
    FILE *out = open_memstream(&frame, &size);
    if (out == NULL) {
        return;
    }
    strftime(clock, sizeof clock, "%H:%M:%S", gmtime_r(&now, &parts));
    const char *end = terminal_changed ? "\033[K\n" : "\n";
    fputs(terminal_changed ? "\033[H" : "", out);
    if (top->connected) {
        snprintf(head, sizeof head, "pgkeeper top  %s UTC  cluster %s", clock,
                 db_cluster(&top->db));
    } else {
        snprintf(head, sizeof head, "pgkeeper top  %s UTC  DATABASE AWAY: %s", clock, top->trouble);
    }
    output_clipped(out, head, strlen(head), columns);
    fputs(end, out);
    const char *line = top->body != NULL ? top->body : "";
    for (int row = 1; row < rows - 1 && *line != '\0'; row++) {
        size_t length = strcspn(line, "\n");
        output_clipped(out, line, length, columns);
        fputs(end, out);
        line += length + (line[length] == '\n' ? 1 : 0);
    }
    fputs(terminal_changed ? "\033[J" : "", out);
    fclose(out);
    fwrite(frame, 1, size, stdout);
    fflush(stdout);
    free(frame);
}

/* ------------------------------------------------------------------ over and over */

static void reconnect(struct top *top)
{
    PQreset(top->db.conn);
    if (is_away(top)) {
        const char *message = PQerrorMessage(top->db.conn);
        snprintf(top->trouble, sizeof top->trouble, "%.*s", (int)strcspn(message, "\n"), message);
    } else {
        top->connected = db_enter(&top->db) == CLI_OK;
    }
}

static int show(struct top *top)
{
    int columns, rows;
    do {
        terminal_size(top, &columns, &rows);
        if (!top->connected) {
            reconnect(top);
        }
        top->connected = top->connected && read_frame(top, columns, rows);
        write_frame(top, columns, rows);
        if (top->once) {
            return top->connected ? CLI_OK : CLI_NO_CONNECTION;
        }
    } while (!ferror(stdout) && wait_for_key(top->interval_ms));
    return CLI_OK;
}

int cmd_top(struct cli *cli, int argc, char **argv)
{
    struct top top = {.cli = cli, .interval_ms = DEFAULT_INTERVAL_MS};
    const struct cli_option options[] = {{"--once", OPTION_FLAG, &top.once},
                                         {"--interval", OPTION_DURATION_MS, &top.interval_ms},
                                         {"--columns", OPTION_NUMBER, &top.columns},
                                         {"--rows", OPTION_NUMBER, &top.rows}};
    const struct wanted wanted = {"no arguments; --cluster names the cluster", 0, 0};
    int code = parse_action(cli, argc, argv, options, 4, &wanted, NULL);
    if (code == CLI_OK && top.interval_ms < SHORTEST_INTERVAL_MS) {
        code = usage_error(cli, "--interval is at least %d ms", SHORTEST_INTERVAL_MS);
    }
    if (code != CLI_OK) {
        return code;
    }
    code = db_open_for(&top.db, cli, SCHEMA_OF_OPERATIONS);
    if (code == CLI_OK) {
        top.connected = true;
        if (!top.once) {
            terminal_take();
        }
        code = show(&top);
        terminal_restore();
    }
    db_close(&top.db);
    free(top.body);
    return code;
}
