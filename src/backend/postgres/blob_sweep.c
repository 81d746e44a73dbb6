/*
 * backend/postgres/blob_sweep.c - unlinking loose objects: of blobs that were removed, of writers that have died.
 *
 * To unlink takes a millisecond or two per MiB, and an object may have 4 TiB: it goes in steps, a transaction each, whose size
 * is learnt from how long they take. Those of a put are small and few, so that it is not kept waiting; they go with its own
 * size, so that what is replaced does not heap up.
 *
 * The caller's thread; blocks.
 */
#include <string.h>

#include "backend/postgres/blobs.h"
#include "backend/postgres/keeper.h"
#include "core/clock.h"
#include "core/error.h"

#define SWEEP_BATCH 200
/* One call sweeps so many batches at most. */
#define SWEEP_ROUNDS 50
#define MIB INT64_C(1048576)
#define STEP_FIRST (64 * MIB)
#define STEP_LEAST MIB
#define STEP_MOST (1024 * MIB)
/* Of a put, however little it stores. */
#define PUT_LEAST (16 * MIB)
/* The server has no time for it: those who came for something else leave it alone for so long. */
#define HOLD_OFF_NS (60 * NS_PER_S)

static pgk_status sweep_once(struct backend *backend, bool all, int limit, int64_t bytes,
                             int64_t *ret_removed, bool *ret_more, pgk_error *err)
{
    struct work work;
    struct work_answer answer = {0};
    work_begin(&work, STMT_BLOB_SWEEP);
    work_bool(&work, all);
    work_int32(&work, limit);
    work_int64(&work, bytes);
    pgk_status status = work_write(backend, &work, &answer, err);
    if (status == PGK_OK) {
        *ret_removed = cell_int64(answer.result, 0, 0);
        *ret_more = cell_bool(answer.result, 0, 1);
    }
    PQclear(answer.result);
    return status;
}

static int64_t step_of(struct backend *backend)
{
    int64_t step = atomic_load(&backend->sweeping.step_bytes);
    return step != 0 ? step : STEP_FIRST;
}

static int64_t within(int64_t bytes, int64_t least, int64_t most)
{
    return bytes < least ? least : bytes > most ? most : bytes;
}

/* A step of so many bytes took so long. Longer than half of what it may is too long; what takes an eighth may be twice as large. */
static void learn(struct backend *backend, int64_t bytes, int64_t took_ns)
{
    int64_t limit_ns = backend->settings->statement_timeout_ms * NS_PER_MS;
    int64_t step = step_of(backend);
    if (took_ns > limit_ns / 2) {
        step = bytes / (took_ns > limit_ns / 10 * 8 ? 8 : 2);
    } else if (took_ns < limit_ns / 8 && bytes >= step) {
        step = bytes * 2;
    }
    atomic_store(&backend->sweeping.step_bytes, within(step, STEP_LEAST, STEP_MOST));
}

static pgk_status sweep_step(struct backend *backend, bool all, int limit, int64_t bytes,
                             int64_t *ret_removed, bool *ret_more, pgk_error *err)
{
    int64_t begun_ns = clock_now_ns();
    pgk_status status = sweep_once(backend, all, limit, bytes, ret_removed, ret_more, err);
    if (status == PGK_OK ? *ret_more && *ret_removed == 0 : status == PGK_ERR_TIMEOUT) {
        learn(backend, bytes, clock_now_ns() - begun_ns);
    }
    if (status == PGK_OK || status == PGK_ERR_TIMEOUT) {
        atomic_store(&backend->sweeping.not_before_ns,
                     status == PGK_OK ? 0 : clock_now_ns() + HOLD_OFF_NS);
    }
    return status;
}

pgk_status blob_sweep(struct backend *backend, bool all, int limit, int64_t *ret_removed,
                      bool *ret_more, pgk_error *err)
{
    for (;;) {
        pgk_error local;
        error_reset(&local);
        int64_t bytes = step_of(backend);
        pgk_status status = sweep_step(backend, all, limit, bytes, ret_removed, ret_more, &local);
        if (status != PGK_ERR_TIMEOUT || bytes <= STEP_LEAST) {
            if (status != PGK_OK && err != NULL) {
                *err = local;
            }
            return status;
        }
    }
}

void blob_sweep_loose(struct backend *backend, int64_t bytes)
{
    int64_t left = bytes < INT64_MAX - PUT_LEAST ? bytes + PUT_LEAST : bytes;
    bool more = clock_now_ns() >= atomic_load(&backend->sweeping.not_before_ns);
    for (int i = 0; more && left > 0 && i < SWEEP_ROUNDS; i++) {
        int64_t removed = 0;
        int64_t step = step_of(backend);
        step = step < left ? step : left;
        if (sweep_step(backend, false, SWEEP_BATCH, step, &removed, &more, NULL) != PGK_OK) {
            return;
        }
        left -= step;
    }
}
