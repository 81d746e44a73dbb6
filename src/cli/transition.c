/*
 * transition.c - prints changes of leadership line by line, and waits for the next one or a signal.
 *
 * The time in a line is this machine's, for people; nothing is decided by it.
 */
#include "transition.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "output.h"

static void format_time(char *out, size_t size)
{
    struct timespec now;
    struct tm utc;
    char seconds[32];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(out, size, "%s.%03dZ", seconds, (int)(now.tv_nsec / 1000000));
}

static void format_epoch(char *out, size_t size, int64_t epoch)
{
    snprintf(out, size, "%lld.%lld", (long long)(epoch >> 40),
             (long long)(epoch & ((INT64_C(1) << 40) - 1)));
}

static void json_text(const char *key, const char *value)
{
    printf(", \"%s\": ", key);
    if (value != NULL) {
        output_json_string(stdout, value);
    } else {
        fputs("null", stdout);
    }
}

static void print_json(const struct transition *t, const char *at, const char *session,
                       const char *epoch)
{
    printf("{\"at\": \"%s\"", at);
    if (t->event != NULL) {
        json_text("event", t->event);
    }
    json_text("component", t->component);
    if (t->error != NULL) {
        json_text("status", pgk_status_name(t->error->status));
        json_text("sqlstate", t->error->sqlstate[0] != '\0' ? t->error->sqlstate : NULL);
        json_text("message", t->error->message);
    } else {
        json_text("address", t->address);
        json_text("session_id", session);
        if (epoch != NULL) {
            printf(", \"epoch\": %lld", (long long)t->epoch);
        } else {
            fputs(", \"epoch\": null", stdout);
        }
        json_text("epoch_text", epoch);
    }
    puts("}");
}

static void print_words(const struct transition *t, const char *at, const char *session,
                        const char *epoch)
{
    printf("%s %s %s", at, t->component, t->event != NULL ? t->event : "leader");
    if (t->error != NULL) {
        printf(" %s: %s", pgk_status_name(t->error->status), t->error->message);
    } else if (session == NULL) {
        fputs(" none", stdout);
    } else {
        printf(" epoch %s session %s%s%s", epoch, session, t->address != NULL ? " address " : "",
               t->address != NULL ? t->address : "");
    }
    putchar('\n');
}

void transition_print(const struct cli *cli, const struct transition *t)
{
    char at[48];
    char session[PGK_UUID_TEXT_SIZE];
    char epoch[PGK_EPOCH_TEXT_SIZE * 2];
    format_time(at, sizeof at);
    if (t->session_id != NULL) {
        pgk_uuid_format(t->session_id, session);
        format_epoch(epoch, sizeof epoch, t->epoch);
    }
    const char *shown_session = t->session_id != NULL ? session : NULL;
    const char *shown_epoch = t->session_id != NULL ? epoch : NULL;
    if (cli->format == FORMAT_NDJSON) {
        print_json(t, at, shown_session, shown_epoch);
    } else {
        print_words(t, at, shown_session, shown_epoch);
    }
    fflush(stdout);
}

int transition_open(struct cli *cli, bool client, pgk_ha **ret_ha)
{
    pgk_error error;
    if (pgk_config_set(cli->config, "dispatch", "manual", &error) != PGK_OK ||
        (client ? pgk_ha_open_client(cli->config, ret_ha, &error)
                : pgk_ha_open(cli->config, ret_ha, &error)) != PGK_OK) {
        return fail(cli, &error);
    }
    return CLI_OK;
}

int signals_open(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &signals, SFD_CLOEXEC);
}

bool transition_wait(pgk_ha *ha, int signals, int timeout_ms)
{
    struct pollfd fds[] = {{.fd = signals, .events = POLLIN},
                           {.fd = pgk_ha_fd(ha), .events = POLLIN}};
    if (poll(fds, 2, timeout_ms) < 0) {
        return false;
    }
    if (fds[1].revents != 0) {
        pgk_error error;
        pgk_ha_dispatch(ha, &error);
    }
    return fds[0].revents != 0 || ferror(stdout) != 0;
}
