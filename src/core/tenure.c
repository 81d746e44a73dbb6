/*
 * core/tenure.c - publishes one tenure to lock-free readers; see the header.
 *
 * A sequence lock whose fields are all atomic. Stores to fields are releases and loads of them
 * acquires, in place of fences (which ThreadSanitizer does not model): a reader that sees any field
 * of a change also sees, at its second look, the odd version that was stored before it.
 *
 * A renewal stores the deadline alone, without touching the version, so that readers are not told
 * "not leader" by each heartbeat. A reader that finds the deadline passed takes it out of the
 * tenure before it answers: a renewal that was decided before and stored after fails, and the
 * answer is never taken back.
 */
#include "core/tenure.h"

#include <string.h>

#include "core/clock.h"
#include "core/text.h"

#define EPOCH_COUNTER_BITS 40

static uint64_t half_of(const pgk_uuid *id, size_t offset)
{
    uint64_t half;
    memcpy(&half, id->bytes + offset, sizeof(half));
    return half;
}

/* After this readers answer "not leader" until end_change. */
static uint32_t begin_change(struct tenure *tenure)
{
    uint32_t version = atomic_load_explicit(&tenure->version, memory_order_relaxed);
    atomic_store_explicit(&tenure->version, version + 1, memory_order_relaxed);
    return version;
}

static void end_change(struct tenure *tenure, uint32_t version)
{
    atomic_store_explicit(&tenure->version, version + 2, memory_order_release);
}

void tenure_begin(struct tenure *tenure, int32_t leadership_id, const pgk_uuid *session_id,
                  int64_t epoch, int64_t valid_until_ns)
{
    uint32_t version = begin_change(tenure);
    atomic_store_explicit(&tenure->leadership_id, leadership_id, memory_order_release);
    atomic_store_explicit(&tenure->session_high, half_of(session_id, 0), memory_order_release);
    atomic_store_explicit(&tenure->session_low, half_of(session_id, 8), memory_order_release);
    atomic_store_explicit(&tenure->epoch, epoch, memory_order_release);
    atomic_store_explicit(&tenure->valid_until_ns, valid_until_ns, memory_order_release);
    end_change(tenure, version);
}

bool tenure_renew(struct tenure *tenure, int64_t now_ns, int64_t valid_until_ns)
{
    int64_t present = atomic_load_explicit(&tenure->valid_until_ns, memory_order_relaxed);
    if (present <= now_ns) {
        return false;
    }
    if (valid_until_ns <= present) {
        return true;
    }
    /* Only a reader that saw the deadline pass can have come between. */
    return atomic_compare_exchange_strong_explicit(&tenure->valid_until_ns, &present,
                                                   valid_until_ns, memory_order_release,
                                                   memory_order_relaxed);
}

void tenure_end(struct tenure *tenure)
{
    uint32_t version = begin_change(tenure);
    atomic_store_explicit(&tenure->valid_until_ns, 0, memory_order_release);
    end_change(tenure, version);
}

struct snapshot {
    int32_t leadership_id;
    pgk_uuid session_id;
    int64_t epoch;
    int64_t valid_until_ns;
};

/* False when it meets a writer. */
static bool take_snapshot(const struct tenure *tenure, struct snapshot *snapshot)
{
    uint32_t version = atomic_load_explicit(&tenure->version, memory_order_acquire);
    if (version % 2 != 0) {
        return false;
    }
    uint64_t high = atomic_load_explicit(&tenure->session_high, memory_order_acquire);
    uint64_t low = atomic_load_explicit(&tenure->session_low, memory_order_acquire);
    snapshot->leadership_id = atomic_load_explicit(&tenure->leadership_id, memory_order_acquire);
    snapshot->epoch = atomic_load_explicit(&tenure->epoch, memory_order_acquire);
    snapshot->valid_until_ns = atomic_load_explicit(&tenure->valid_until_ns, memory_order_acquire);
    memcpy(snapshot->session_id.bytes, &high, sizeof(high));
    memcpy(snapshot->session_id.bytes + sizeof(high), &low, sizeof(low));
    return atomic_load_explicit(&tenure->version, memory_order_relaxed) == version;
}

/* Takes the deadline that was seen to have passed out of the tenure; false when it was moved
 * meanwhile. */
static bool retire(const struct tenure *tenure, int64_t seen_ns)
{
    /* Readers hold a pointer to const, but no tenure is a const object. */
    struct tenure *writable = (struct tenure *)tenure;
    return atomic_compare_exchange_strong_explicit(&writable->valid_until_ns, &seen_ns, 0,
                                                   memory_order_acq_rel, memory_order_relaxed);
}

/* A snapshot of a tenure that is live now; false when there is none. */
static bool take_live_snapshot(const struct tenure *tenure, struct snapshot *snapshot)
{
    while (take_snapshot(tenure, snapshot) && snapshot->valid_until_ns != 0) {
        if (clock_now_ns() < snapshot->valid_until_ns) {
            return true;
        }
        if (retire(tenure, snapshot->valid_until_ns)) {
            return false;
        }
        /* A writer was faster: what it wrote decides. Each round is one step of the writer. */
    }
    return false;
}

int64_t tenure_deadline_ns(const struct tenure *tenure, const pgk_uuid *session_id)
{
    struct snapshot snapshot;
    if (!take_live_snapshot(tenure, &snapshot) ||
        (session_id != NULL && pgk_uuid_compare(&snapshot.session_id, session_id) != 0)) {
        return 0;
    }
    return snapshot.valid_until_ns;
}

bool tenure_token(const struct tenure *tenure, pgk_token *ret_token)
{
    struct snapshot snapshot;
    if (!take_live_snapshot(tenure, &snapshot)) {
        return false;
    }
    *ret_token = (pgk_token){.session_id = snapshot.session_id,
                             .epoch = snapshot.epoch,
                             .leadership_id = snapshot.leadership_id};
    text_format(ret_token->epoch_text, sizeof(ret_token->epoch_text), "%lld.%lld",
                (long long)(snapshot.epoch >> EPOCH_COUNTER_BITS),
                (long long)(snapshot.epoch & ((INT64_C(1) << EPOCH_COUNTER_BITS) - 1)));
    return true;
}
