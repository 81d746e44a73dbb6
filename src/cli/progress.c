/*
 * progress.c - how far a long transfer is, on a terminal; and how to leave one when interrupted.
 *
 * Writes to stderr only, and only if that is a terminal. Main thread only.
 */
#include "progress.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define REDRAW_MS 100
#define BAR_COLUMNS 20
#define LEAVE_SECONDS 3

const char *size_text(int64_t bytes, char out[SIZE_TEXT_SIZE])
{
    static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB"};
    size_t unit = 0;
    if (bytes < 0) {
        snprintf(out, SIZE_TEXT_SIZE, "unknown");
        return out;
    }
    if (bytes < INT64_C(10) * 1024) {
        snprintf(out, SIZE_TEXT_SIZE, "%" PRId64 " %s", bytes, units[unit]);
        return out;
    }
    int64_t halves = bytes / 512;
    for (unit = 1; halves >= INT64_C(20) * 1024 - 1 && unit + 1 < sizeof units / sizeof units[0];
         unit++) {
        halves /= 1024;
    }
    snprintf(out, SIZE_TEXT_SIZE, "%" PRId64 " %s", (halves + 1) / 2, units[unit]);
    return out;
}

void progress_begin(struct progress *progress, const char *what)
{
    *progress = (struct progress){
        .what = what, .started_ms = now_ms(), .shown = isatty(STDERR_FILENO) != 0};
}

static int terminal_columns(void)
{
    struct winsize window;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col > 0 ? window.ws_col : 80;
}

/* "32.0 MiB of 64.0 MiB  145.3 MiB/s  3 s left" */
static void amounts(char *out, size_t size, const struct progress *progress, int64_t total)
{
    char done_text[SIZE_TEXT_SIZE], total_text[SIZE_TEXT_SIZE], rate_text[SIZE_TEXT_SIZE];
    int64_t took_ms = progress->drawn_ms - progress->started_ms;
    int64_t rate = took_ms > 0 ? (int64_t)((double)progress->done * 1000 / (double)took_ms) : 0;
    int length = snprintf(out, size, "%s", size_text(progress->done, done_text));
    if (total >= 0) {
        length +=
            snprintf(out + length, size - (size_t)length, " of %s", size_text(total, total_text));
    }
    length += snprintf(out + length, size - (size_t)length, "  %s/s", size_text(rate, rate_text));
    if (total > progress->done && rate > 0) {
        snprintf(out + length, size - (size_t)length, "  %" PRId64 " s left",
                 (total - progress->done) / rate);
    }
}

/* Without automatic wrapping at the right margin, where a line that is drawn over itself would begin a new one. */
static void draw(const struct progress *progress, int64_t total)
{
    char numbers[160], bar[BAR_COLUMNS + 1] = "";
    int columns = terminal_columns();
    amounts(numbers, sizeof numbers, progress, total);
    if (total > 0) {
        int filled = (int)(BAR_COLUMNS * (double)progress->done / (double)total);
        filled = filled < 0 ? 0 : filled > BAR_COLUMNS ? BAR_COLUMNS : filled;
        memset(bar, '.', BAR_COLUMNS);
        memset(bar, '#', (size_t)filled);
    }
    int room = columns - 1 - (int)strlen(numbers) - (total > 0 ? BAR_COLUMNS + 4 : 2);
    room = room < 0 ? 0 : room;
    if (total > 0) {
        fprintf(stderr, "\r%.*s  [%s] %.*s\033[K", room, progress->what, bar, columns - 1, numbers);
    } else {
        fprintf(stderr, "\r%.*s  %.*s\033[K", room, progress->what, columns - 1, numbers);
    }
    fflush(stderr);
}

static volatile sig_atomic_t caught;

pgk_status progress_step(void *user, int64_t done, int64_t total)
{
    struct progress *progress = user;
    int64_t now = now_ms();
    progress->done = done;
    if (caught != 0) {
        return PGK_ERR_ILLEGAL_STATE;
    }
    if (progress->shown && now - progress->drawn_ms >= REDRAW_MS) {
        progress->drawn_ms = now;
        draw(progress, total);
    }
    return PGK_OK;
}

void progress_end(struct progress *progress, const struct cli *cli, const char *verb)
{
    char text[SIZE_TEXT_SIZE];
    if (!progress->shown) {
        return;
    }
    if (progress->drawn_ms > 0) {
        fputs("\r\033[K", stderr);
    }
    if (verb != NULL) {
        double seconds = (double)(now_ms() - progress->started_ms) / 1000;
        say(cli, "%s %s (%" PRId64 " bytes) in %.2f s", verb, size_text(progress->done, text),
            progress->done, seconds);
    }
}

static void on_alarm(int number)
{
    (void)number;
    signal(caught, SIG_DFL);
    raise(caught);
}

static void on_signal(int number)
{
    caught = number;
    alarm(LEAVE_SECONDS); /* the library may be waiting for the server */
}

void interrupts_catch(void)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};
    struct sigaction alarm_action = {.sa_handler = on_alarm};
    struct sigaction old;
    sigaction(SIGALRM, &alarm_action, NULL);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN) {
            sigaction(signals[i], &action, NULL);
        }
    }
}

bool interrupted(void)
{
    return caught != 0;
}

void interrupts_obey(void)
{
    if (caught != 0) {
        signal(caught, SIG_DFL);
        raise(caught);
    }
}
