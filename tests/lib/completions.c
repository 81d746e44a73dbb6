/* tests/lib/completions.c - see the header. */
#include "completions.h"

#include "wait.h"

static atomic_int orders;

void completed_done(void *user, const pgk_completion *completion)
{
    struct completed *completed = user;
    completed->status = completion->status;
    completed->error = *completion->error;
    completed->attempts = completion->attempts;
    completed->dropped = completion->dropped;
    completed->thread = pthread_self();
    completed->at_ns = wait_now_ns();
    atomic_store(&completed->order, atomic_fetch_add(&orders, 1) + 1);
    if (completed->hook != NULL) {
        completed->hook(completed);
    }
    atomic_fetch_add(&completed->times, 1);
}

int completed_times(struct completed *completed)
{
    return atomic_load(&completed->times);
}

void completed_expect(struct completed *completed, pgk_status status)
{
    WAIT_UNTIL(completed_times(completed) > 0, WAIT_LONG_MS);
    assert_int_equal(completed_times(completed), 1);
    if (completed->status != status) {
        fail_msg("%s instead of %s: %s", pgk_status_name(completed->status),
                 pgk_status_name(status), completed->error.message);
    }
    assert_int_equal(completed->error.status, status);
}
