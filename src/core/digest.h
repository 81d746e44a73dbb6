/* core/digest.h - SHA-256 of what is stored, and SHA-1 too of what is streamed. Pure; any thread. */
#ifndef PGK_CORE_DIGEST_H
#define PGK_CORE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include <pgkeeper/status.h>

#define DIGEST_BYTES 32
#define DIGEST_SHA1_BYTES 20

pgk_status digest_sha256(const void *data, size_t length, uint8_t out[DIGEST_BYTES],
                         pgk_error *err);

/* SHA-1 and SHA-256 of bytes that come piece by piece, in one pass. One thread at a time. */
struct digest_sum;

pgk_status digest_sum_new(struct digest_sum **ret_sum, pgk_error *err);
/* From now on a thread for each of the two computes it, until it is freed; where there are none to be had,
 * nothing changes. */
void digest_sum_help(struct digest_sum *sum);
/* Begins anew. */
pgk_status digest_sum_reset(struct digest_sum *sum, pgk_error *err);
pgk_status digest_sum_add(struct digest_sum *sum, const void *data, size_t length, pgk_error *err);
/* No more is coming: the threads, if there are any, go on while the caller does something else. */
void digest_sum_rest(struct digest_sum *sum);
/* What all that was added comes to; reset it before more is added. */
pgk_status digest_sum_end(struct digest_sum *sum, uint8_t sha1_out[DIGEST_SHA1_BYTES],
                          uint8_t sha256_out[DIGEST_BYTES], pgk_error *err);
void digest_sum_free(struct digest_sum *sum);

#endif
