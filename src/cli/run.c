/*
 * run.c - `pgkeeper run`: runs a command only while this process leads. Options, configuration, opening and
 * closing; the events are in run_loop.c, the process that ends CMD in time in run_guard*.c.
 *
 * The guard is forked before the library has made a thread or a connection, so it shares neither.
 */
#include "run.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "verbs.h"

#define KEY_PROFILE "high-availability.postgres.profile"
#define KEY_LEASE "high-availability.postgres.lease"
#define KEY_HEARTBEAT "high-availability.postgres.heartbeat"
#define KEY_GRACE "high-availability.postgres.grace"
#define KEY_CONNECT_TIMEOUT "high-availability.postgres.connect-timeout"
#define KEY_MEMBER_NAME "member.name"

#define DEFAULT_COMPONENT "run"
#define DEFAULT_GRACE_MS 2000
#define OPEN_AGAIN_MS 1000
#define CONNECT_LEAST_MS 10
#define LEASE_INTERVAL_MIN_MS 10
#define LEASE_INTERVAL_MAX_MS 100

const char help_run[] =
    "usage: pgkeeper run [OPTION]... -- COMMAND [ARGUMENT]...\n"
    "\n"
    "Runs COMMAND only while this process leads, and ends it, with all that it has\n"
    "started, before another process can. Waits until it leads.\n"
    "\n"
    "      --component NAME   what to lead (default run); one of all that name it\n"
    "                         runs at a time\n"
    "      --address TEXT     address to publish while COMMAND runs (default\n"
    "                         host:pid)\n"
    "      --wait DURATION    give up when not leader by then (default: wait for\n"
    "                         ever)\n"
    "      --once             run COMMAND once, resign and exit with its code\n"
    "                         (default)\n"
    "      --respawn          start COMMAND again when it ends; contend again after a\n"
    "                         loss\n"
    "      --on-lost ACT      when leadership is lost: term (SIGTERM, then SIGKILL;\n"
    "                         default), kill (SIGKILL at once) or ignore (leave it\n"
    "                         running: two may run at a time)\n"
    "      --grace DURATION   from SIGTERM to SIGKILL (default 2s)\n"
    "      --take-over MODE   exclusive (default): after a crash wait until the\n"
    "                         former leader's command is certainly gone; immediate:\n"
    "                         do not wait, two may overlap\n"
    "      --quiet            say nothing on stderr but errors\n"
    "\n"
    "Signals are passed to COMMAND. It finds PGKEEPER_COMPONENT, PGKEEPER_CLUSTER_ID,\n"
    "PGKEEPER_SESSION_ID, PGKEEPER_EPOCH, PGKEEPER_EPOCH_TEXT and\n"
    "PGKEEPER_LEADERSHIP_ID in its environment.\n"
    "\n"
    "exit codes: that of COMMAND (128+n when signal n ended it); 123 leadership lost,\n"
    "124 not leader within --wait, 125 pgkeeper itself failed, 126 COMMAND cannot be\n"
    "executed, 127 not found.\n";

/* ---- Options ---- */

static bool parse_on_lost(const struct cli *cli, const char *text, enum on_lost *ret_on_lost)
{
    static const char *const names[] = {
        [ON_LOST_TERM] = "term", [ON_LOST_KILL] = "kill", [ON_LOST_IGNORE] = "ignore"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(text, names[i]) == 0) {
            *ret_on_lost = (enum on_lost)i;
            return true;
        }
    }
    usage_error(cli, "--on-lost is term, kill or ignore, not \"%s\"", text);
    return false;
}

struct raw_options {
    const char *on_lost;
    const char *take_over;
    bool once;
};

static bool options_agree(struct cli *cli, const struct raw_options *raw,
                          const struct cli_arguments *arguments, struct run_options *options)
{
    if (arguments->positional.count > 0) {
        usage_error(cli, "write -- before the command: pgkeeper run [OPTION]... -- %s ...",
                    arguments->positional.items[0]);
        return false;
    }
    if (arguments->rest_count == 0) {
        usage_error(cli, "no command: pgkeeper run [OPTION]... -- COMMAND [ARGUMENT]...");
        return false;
    }
    if (raw->once && options->respawn) {
        usage_error(cli, "--once and --respawn exclude each other");
        return false;
    }
    if (options->wait_ms == 0) {
        usage_error(cli, "--wait must be above 0: becoming leader takes a moment");
        return false;
    }
    if (options->address != NULL && !address_fits(options->address)) {
        usage_error(cli, "--address takes 1 to %d bytes", PGK_ADDRESS_MAX_BYTES);
        return false;
    }
    options->command = arguments->rest;
    return parse_on_lost(cli, raw->on_lost, &options->on_lost);
}

static bool set_key(const struct cli *cli, const char *key, const char *value)
{
    pgk_error error;

    if (pgk_config_set(cli->config, key, value, &error) != PGK_OK) {
        say(cli, "%s", error.message);
        return false;
    }
    return true;
}

/* The arguments must live as long as the options. */
static bool take_options(struct cli *cli, int argc, char **argv, struct cli_arguments *arguments,
                         struct run_options *options)
{
    struct raw_options raw = {.on_lost = "term", .take_over = "exclusive"};
    const struct cli_option known[] = {
        {"--component", OPTION_TEXT, &options->component},
        {"--address", OPTION_TEXT, &options->address},
        {"--wait", OPTION_DURATION_MS, &options->wait_ms},
        {"--once", OPTION_FLAG, &raw.once},
        {"--respawn", OPTION_FLAG, &options->respawn},
        {"--on-lost", OPTION_TEXT, &raw.on_lost},
        {"--grace", OPTION_DURATION_MS, &options->grace_ms},
        {"--take-over", OPTION_TEXT, &raw.take_over},
        {"--quiet", OPTION_FLAG, &options->quiet},
    };

    *options = (struct run_options){
        .component = DEFAULT_COMPONENT, .wait_ms = -1, .grace_ms = DEFAULT_GRACE_MS};
    return parse_options(cli, argc, argv, known, sizeof(known) / sizeof(known[0]), arguments) ==
               CLI_OK &&
           options_agree(cli, &raw, arguments, options) &&
           set_key(cli, "leader-election.take-over", raw.take_over);
}

/* ---- Configuration ---- */

/* The library has checked the value; what it takes, parse_duration_ms takes too. */
static int key_ms(const struct cli *cli, const char *key)
{
    int ms = 0;

    return parse_duration_ms(config_value(cli, key), &ms) ? ms : INT_MAX;
}

static bool set_key_ms(const struct cli *cli, const char *key, int64_t ms)
{
    char text[32];

    snprintf(text, sizeof(text), "%" PRId64 " ms", ms);
    return set_key(cli, key, text);
}

/* Whether a person has chosen the grace: it differs from that of the profile. */
static bool grace_is_chosen(const struct cli *cli)
{
    pgk_config *plain;
    bool same = false;

    if (pgk_config_new(&plain, NULL) != PGK_OK) {
        return true;
    }
    if (pgk_config_set(plain, KEY_PROFILE, config_value(cli, KEY_PROFILE), NULL) == PGK_OK) {
        same = strcmp(pgk_config_get(plain, KEY_GRACE), config_value(cli, KEY_GRACE)) == 0;
    }
    pgk_config_free(plain);
    return !same;
}

/*
 * A successor is granted at the earliest `grace` after the last heartbeat that was acknowledged; the lease ends
 * `lease` after it, and whatever is left of COMMAND `--grace` and a margin later. So the
 * configured grace must cover all three.
 */
static bool fit_grace(const struct cli *cli, const struct run_options *options)
{
    int lease_ms = key_ms(cli, KEY_LEASE);
    int end_ms = options->on_lost == ON_LOST_KILL ? 0 : options->grace_ms;
    int64_t needed_ms = (int64_t)lease_ms + end_ms + RUN_MARGIN_MS;

    if (options->on_lost == ON_LOST_IGNORE || key_ms(cli, KEY_GRACE) >= needed_ms) {
        return true;
    }
    if (grace_is_chosen(cli)) {
        say(cli,
            "%s is %s, but ending the command in time takes %" PRId64
            " ms: lease %d ms, --grace %d ms, margin %d ms; raise it, or lower --grace",
            KEY_GRACE, config_value(cli, KEY_GRACE), needed_ms, lease_ms, end_ms, RUN_MARGIN_MS);
        return false;
    }
    return set_key_ms(cli, KEY_GRACE, needed_ms);
}

/* Each component is a group of its own: commands with different names do not wait for each other. */
static bool configure(const struct cli *cli, const struct run_options *options)
{
    pgk_error error;

    if (!set_key(cli, "leader-election.scope", "component") ||
        !set_key(cli, "dispatch", "manual") || !fit_grace(cli, options)) {
        return false;
    }
    /* The key has a least value; a shorter wait is kept by the loop. */
    int connect_ms = options->wait_ms > CONNECT_LEAST_MS ? options->wait_ms : CONNECT_LEAST_MS;
    if (options->wait_ms > 0 && connect_ms < key_ms(cli, KEY_CONNECT_TIMEOUT) &&
        !set_key_ms(cli, KEY_CONNECT_TIMEOUT, connect_ms)) {
        return false;
    }
    if (pgk_config_check(cli->config, &error) != PGK_OK) {
        say(cli, "%s", error.message);
        return false;
    }
    return true;
}

static void choose_address(struct run *run)
{
    const char *address = run->options.address;

    snprintf(run->address, sizeof(run->address), "%s",
             address != NULL ? address : config_value(run->cli, KEY_MEMBER_NAME));
}

/* ---- Opening and closing ---- */

static bool start_guard(struct run *run)
{
    static struct run_guard_options options; /* borrowed by the guard for its life */

    options = (struct run_guard_options){
        .on_lost = run->options.on_lost,
        .grace_ns = run->options.grace_ms * RUN_NS_PER_MS,
        .command = run->options.command,
        .component = run->options.component,
        .cluster_id = config_value(run->cli, CLI_KEY_CLUSTER),
    };
    int error = run_guard_new(&options, &run->guard);
    if (error == ENOSYS) {
        say(run->cli, "cannot see processes in /proc, and so not end all of a command's");
    } else if (error != 0) {
        say(run->cli, "cannot start the guard process: %s", strerror(error));
    }
    return error == 0;
}

/* Tries until the database is there, as long as --wait allows and the fault is one that passes. Signals still
 * end this process as they always do: nothing runs yet. */
static bool open_handle(struct run *run)
{
    pgk_error error;

    for (;;) {
        if (pgk_ha_open(run->cli->config, &run->ha, &error) == PGK_OK) {
            return true;
        }
        if ((error.flags & PGK_ERROR_RETRYABLE) == 0) {
            say(run->cli, "%s", error.message);
            run_finish(run, RUN_EXIT_OWN_FAILURE);
            return false;
        }
        int64_t left_ns = run->give_up_at_ns - boottime_ns();
        if (left_ns <= 0) {
            say(run->cli, "not the leader of %s within --wait: %s", run->options.component,
                error.message);
            run_finish(run, RUN_EXIT_NOT_ACQUIRED);
            return false;
        }
        if (run->fault.status != error.status) {
            run_tell(run, "%s; trying again", error.message);
        }
        run->fault = error;
        wait_ms(left_ns < OPEN_AGAIN_MS * RUN_NS_PER_MS ? (int)(left_ns / RUN_NS_PER_MS) + 1
                                                        : OPEN_AGAIN_MS);
    }
}

static bool take_over_signals(struct run *run)
{
    static const int numbers[] = {SIGTERM, SIGINT,  SIGHUP,   SIGQUIT, SIGUSR1,
                                  SIGUSR2, SIGCONT, SIGWINCH, SIGCHLD};
    struct sigaction before;
    sigset_t set;

    signal(SIGPIPE, SIG_IGN); /* who reads our words may go away; CMD has it as it was */
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        /* What a caller ignores on purpose, as nohup does, would come all the same by a descriptor. */
        if (sigaction(numbers[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN) {
            sigaddset(&set, numbers[i]);
        }
    }
    sigprocmask(SIG_BLOCK, &set, NULL);
    run->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (run->signals < 0) {
        say(run->cli, "signalfd: %s", strerror(errno));
    }
    return run->signals >= 0;
}

static bool make_election(struct run *run)
{
    pgk_error error;

    if (pgk_ha_election(run->ha, run->options.component, &run->election, &error) != PGK_OK) {
        say(run->cli, "%s", error.message);
        return false;
    }
    int interval_ms = key_ms(run->cli, KEY_HEARTBEAT) / 3;
    if (interval_ms < LEASE_INTERVAL_MIN_MS) {
        interval_ms = LEASE_INTERVAL_MIN_MS;
    } else if (interval_ms > LEASE_INTERVAL_MAX_MS) {
        interval_ms = LEASE_INTERVAL_MAX_MS;
    }
    int failure = run_lease_new(run->election, run->guard, interval_ms, &run->lease);
    if (failure != 0) {
        say(run->cli, "cannot start a thread: %s", strerror(failure));
    }
    return failure == 0;
}

/* The guard first: nothing of COMMAND may live when the lock is given up. */
static void close_all(struct run *run)
{
    pgk_error error;

    run_lease_free(run->lease);
    run_guard_free(run->guard);
    run->active = false;
    if (run->ha != NULL && pgk_ha_close(run->ha, &error) != PGK_OK) {
        run_tell(run, "%s", error.message);
    }
    pgk_election_free(run->election);
    pgk_ha_free(run->ha);
    if (run->signals >= 0) {
        close(run->signals);
    }
}

int cmd_run(struct cli *cli, int argc, char **argv)
{
    struct cli_arguments arguments = {0};
    struct run run = {.cli = cli,
                      .signals = -1,
                      .overdue_ns = RUN_NEVER,
                      .publish_at_ns = RUN_NEVER,
                      .give_up_at_ns = RUN_NEVER,
                      .exit_code = RUN_EXIT_OWN_FAILURE};

    if (take_options(cli, argc, argv, &arguments, &run.options) && configure(cli, &run.options)) {
        if (run.options.wait_ms > 0) {
            run.give_up_at_ns = boottime_ns() + run.options.wait_ms * RUN_NS_PER_MS;
        }
        choose_address(&run);
        if (start_guard(&run) && open_handle(&run) && take_over_signals(&run) &&
            make_election(&run)) {
            run_loop(&run);
        }
        run.finished = true;
        close_all(&run);
    }
    arguments_free(&arguments);
    return run.exit_code;
}
