/*
 * backend/postgres/blob_sweep.h - what a handle has learnt about unlinking loose objects.
 */
#ifndef PGK_POSTGRES_BLOB_SWEEP_H
#define PGK_POSTGRES_BLOB_SWEEP_H

#include <stdatomic.h>
#include <stdint.h>

/* Zeros to begin with. Any thread. */
struct blob_sweeping {
    _Atomic int64_t step_bytes;    /* of the next statement; 0: nothing is known */
    _Atomic int64_t not_before_ns; /* only who was asked to sweeps before that */
};

#endif
