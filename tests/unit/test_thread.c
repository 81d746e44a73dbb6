/*
 * Tests of core/thread, core/clock and core/log.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/clock.h"
#include "core/log.h"
#include "core/thread.h"

struct seen {
    sigset_t mask;
    char name[16];
};

static void look_around(void *arg)
{
    struct seen *seen = arg;
    pthread_sigmask(SIG_SETMASK, NULL, &seen->mask);
    pthread_getname_np(pthread_self(), seen->name, sizeof(seen->name));
}

static void test_thread__started__has_signals_blocked_and_a_name(void **state)
{
    (void)state;
    struct seen seen = {0};
    struct thread thread = {0};
    sigset_t before;
    sigset_t after;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    assert_int_equal(thread_start(&thread, "pgk-0123456789-longer", look_around, &seen, NULL),
                     PGK_OK);
    assert_true(thread.started);
    assert_false(thread_is_self(&thread));
    thread_join(&thread);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    static const int blocked[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD, SIGALRM, SIGPIPE, SIGUSR1};
    for (size_t i = 0; i < sizeof(blocked) / sizeof(blocked[0]); i++) {
        assert_true(sigismember(&seen.mask, blocked[i]));
        assert_int_equal(sigismember(&before, blocked[i]), sigismember(&after, blocked[i]));
    }
    assert_false(sigismember(&seen.mask, SIGSEGV));
    assert_string_equal(seen.name, "pgk-0123456789-");
    assert_false(thread.started);
    thread_join(&thread); /* twice is fine */
    assert_false(thread_is_self(&thread));
}

struct meeting {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    bool come;
};

static void come(void *arg)
{
    struct meeting *meeting = arg;
    pthread_mutex_lock(&meeting->mutex);
    meeting->come = true;
    pthread_cond_signal(&meeting->cond);
    pthread_mutex_unlock(&meeting->mutex);
}

static void test_thread__cond_wait_until__ends_by_signal_or_deadline(void **state)
{
    (void)state;
    struct meeting meeting = {.come = false};
    struct thread thread = {0};
    assert_int_equal(mutex_init(&meeting.mutex, NULL), PGK_OK);
    assert_int_equal(cond_init(&meeting.cond, NULL), PGK_OK);
    pthread_mutex_lock(&meeting.mutex);
    int64_t until = clock_now_ns() + 20 * NS_PER_MS;
    while (cond_wait_until(&meeting.cond, &meeting.mutex, until)) {
        assert_true(clock_now_ns() < until + 30 * NS_PER_S);
    }
    assert_true(clock_now_ns() >= until);
    assert_false(cond_wait_until(&meeting.cond, &meeting.mutex, 0)); /* long past */
    assert_int_equal(thread_start(&thread, "come", come, &meeting, NULL), PGK_OK);
    int64_t long_until = clock_now_ns() + 60 * NS_PER_S;
    while (!meeting.come) {
        assert_true(cond_wait_until(&meeting.cond, &meeting.mutex, long_until));
    }
    meeting.come = false;
    pthread_mutex_unlock(&meeting.mutex);
    thread_join(&thread);
    pthread_mutex_lock(&meeting.mutex);
    assert_int_equal(thread_start(&thread, "come", come, &meeting, NULL), PGK_OK);
    while (!meeting.come) {
        assert_true(cond_wait_until(&meeting.cond, &meeting.mutex, CLOCK_NEVER));
    }
    pthread_mutex_unlock(&meeting.mutex);
    thread_join(&thread);
    pthread_cond_destroy(&meeting.cond);
    pthread_mutex_destroy(&meeting.mutex);
}

static bool is_readable(int fd)
{
    struct pollfd item = {.fd = fd, .events = POLLIN};
    return poll(&item, 1, 0) == 1;
}

static void test_thread__wake__is_readable_from_set_to_clear(void **state)
{
    (void)state;
    struct wake wake;
    assert_int_equal(wake_init(&wake, NULL), PGK_OK);
    assert_false(is_readable(wake.fd));
    wake_clear(&wake); /* not set: does not block */
    for (int i = 0; i < 1000; i++) {
        wake_set(&wake);
    }
    assert_true(is_readable(wake.fd));
    wake_clear(&wake);
    assert_false(is_readable(wake.fd));
    wake_close(&wake);
    assert_int_equal(wake.fd, -1);
    wake_close(&wake);
}

static void test_clock__now__rises(void **state)
{
    (void)state;
    int64_t last = clock_now_ns();
    assert_true(last > 0);
    for (int i = 0; i < 1000; i++) {
        int64_t now = clock_now_ns();
        assert_true(now >= last);
        last = now;
    }
}

static void test_clock__poll_timeout__is_rounded_up_and_bounded(void **state)
{
    (void)state;
    assert_int_equal(clock_poll_timeout_ms(5, CLOCK_NEVER), -1);
    assert_int_equal(clock_poll_timeout_ms(5, 5), 0);
    assert_int_equal(clock_poll_timeout_ms(5, 4), 0);
    assert_int_equal(clock_poll_timeout_ms(5, 6), 1);
    assert_int_equal(clock_poll_timeout_ms(0, NS_PER_MS), 1);
    assert_int_equal(clock_poll_timeout_ms(0, NS_PER_MS + 1), 2);
    assert_int_equal(clock_poll_timeout_ms(0, CLOCK_NEVER - 1), INT_MAX);
}

struct line {
    int count;
    pgk_log_level level;
    char context[32];
    char message[2048];
};

static void take_line(void *user, pgk_log_level level, const char *context, const char *message)
{
    struct line *line = user;
    line->count++;
    line->level = level;
    strncpy(line->context, context, sizeof(line->context) - 1);
    strncpy(line->message, message, sizeof(line->message) - 1);
}

static void test_log__line__is_one_line(void **state)
{
    (void)state;
    struct line line = {0};
    struct logger logger = {.fn = take_line, .user = &line};
    log_line(&logger, PGK_LOG_WARNING, "keeper.lock", "a\nb\r\n%d", 5);
    assert_int_equal(line.count, 1);
    assert_int_equal(line.level, PGK_LOG_WARNING);
    assert_string_equal(line.context, "keeper.lock");
    assert_string_equal(line.message, "a b  5");
}

static void test_log__no_callback__is_silent(void **state)
{
    (void)state;
    struct logger none = {0};
    log_line(NULL, PGK_LOG_ERROR, "x", "y");
    log_line(&none, PGK_LOG_ERROR, "x", "y");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_thread__started__has_signals_blocked_and_a_name),
        cmocka_unit_test(test_thread__cond_wait_until__ends_by_signal_or_deadline),
        cmocka_unit_test(test_thread__wake__is_readable_from_set_to_clear),
        cmocka_unit_test(test_clock__now__rises),
        cmocka_unit_test(test_clock__poll_timeout__is_rounded_up_and_bounded),
        cmocka_unit_test(test_log__line__is_one_line),
        cmocka_unit_test(test_log__no_callback__is_silent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
