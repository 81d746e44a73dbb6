/*
 * backend/postgres/sends.c - time limits for sending large statements; see struct send_guard.
 *
 * Callers' threads begin and end a guard, the keeper thread looks after it.
 */
#include <sys/socket.h>

#include "backend/postgres/keeper.h"
#include "core/clock.h"

void send_guard_begin(struct backend *backend, struct send_guard *guard, int fd, int64_t until_ns)
{
    *guard = (struct send_guard){.fd = fd, .until_ns = until_ns};
    keeper_lock(backend);
    guard->next = backend->send_guards;
    backend->send_guards = guard;
    keeper_unlock(backend);
    wake_set(&backend->wake);
}

bool send_guard_ended(struct backend *backend, const struct send_guard *guard)
{
    keeper_lock(backend);
    bool ended = guard->ended;
    keeper_unlock(backend);
    return ended;
}

bool send_guard_end(struct backend *backend, struct send_guard *guard)
{
    keeper_lock(backend);
    struct send_guard **at = &backend->send_guards;
    while (*at != guard) {
        at = &(*at)->next;
    }
    *at = guard->next;
    bool whole = !guard->ended;
    keeper_unlock(backend);
    return whole;
}

int64_t send_guards_next_ns(const struct backend *backend)
{
    int64_t next = CLOCK_NEVER;
    for (const struct send_guard *g = backend->send_guards; g != NULL; g = g->next) {
        next = !g->ended && g->until_ns < next ? g->until_ns : next;
    }
    return next;
}

void send_guards_step(struct backend *backend)
{
    keeper_lock(backend);
    for (struct send_guard *g = backend->send_guards; g != NULL; g = g->next) {
        if (!g->ended && clock_now_ns() >= g->until_ns) {
            g->ended = true;
            shutdown(g->fd, SHUT_RDWR); /* whoever waits for it wakes */
        }
    }
    keeper_unlock(backend);
}
