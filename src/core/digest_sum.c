/*
 * core/digest_sum.c - SHA-1 and SHA-256 of bytes that come piece by piece, see digest.h; on request
 * in a thread each, which take copies from a ring. The ring's lock is never held while something is
 * computed.
 *
 * The threads begin when the ring is full or no more is coming: the bytes' way here keeps two
 * processors busy, and a file of no more than the ring is digested while it is flushed to disk.
 */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "core/clock.h"
#include "core/digest.h"
#include "core/digest_find.h"
#include "core/error.h"
#include "core/thread.h"

/* Both see a piece while it is in the cache. */
#define SUM_STEP ((size_t)16 * 1024)
#define RING_SLOTS 16
#define SLOT_BYTES ((size_t)64 * 1024)

/* One of the two digests, in a thread of its own. */
struct lane {
    struct thread thread;
    struct helper *helper;
    EVP_MD_CTX *digest;
    size_t done; /* slots, ever; by the helper's lock */
};

enum { LANES = 2 };

struct helper {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* of all below */
    uint8_t *slots;
    size_t lengths[RING_SLOTS];
    size_t filled; /* slots, ever */
    struct lane lanes[LANES];
    bool begun; /* the ring has been full, or no more is coming */
    bool ending;
    pgk_status status; /* of what was done */
};

struct digest_sum {
    EVP_MD_CTX *of_sha1;
    EVP_MD_CTX *of_sha256;
    struct helper *helper; /* NULL: none */
};

static pgk_status refused(pgk_error *err)
{
    return error_set(err, PGK_ERR_INTERNAL, "digest", "OpenSSL would not compute a digest");
}

pgk_status digest_sum_new(struct digest_sum **ret_sum, pgk_error *err)
{
    struct digest_sum *sum = calloc(1, sizeof(*sum));
    if (sum != NULL) {
        sum->of_sha1 = EVP_MD_CTX_new();
        sum->of_sha256 = EVP_MD_CTX_new();
    }
    if (sum == NULL || sum->of_sha1 == NULL || sum->of_sha256 == NULL) {
        digest_sum_free(sum);
        return error_set(err, PGK_ERR_NO_MEMORY, "digest", "no memory for a digest");
    }
    pgk_status status = digest_sum_reset(sum, err);
    if (status != PGK_OK) {
        digest_sum_free(sum);
        return status;
    }
    *ret_sum = sum;
    return PGK_OK;
}

static pgk_status update(struct digest_sum *sum, const void *data, size_t length)
{
    const uint8_t *at = data;
    while (length > 0) {
        size_t step = length < SUM_STEP ? length : SUM_STEP;
        if (EVP_DigestUpdate(sum->of_sha1, at, step) != 1 ||
            EVP_DigestUpdate(sum->of_sha256, at, step) != 1) {
            return PGK_ERR_INTERNAL;
        }
        at += step;
        length -= step;
    }
    return PGK_OK;
}

/* ------------------------------------------------------------------ the helper */

static void help(void *arg)
{
    struct lane *lane = arg;
    struct helper *h = lane->helper;
    pthread_mutex_lock(&h->lock);
    while (!h->ending) {
        if (lane->done == h->filled || !h->begun) {
            cond_wait_until(&h->changed, &h->lock, CLOCK_NEVER);
            continue;
        }
        size_t slot = lane->done % RING_SLOTS;
        size_t length = h->lengths[slot];
        pthread_mutex_unlock(&h->lock);
        int done = EVP_DigestUpdate(lane->digest, h->slots + slot * SLOT_BYTES, length);
        pthread_mutex_lock(&h->lock);
        h->status = done == 1 ? h->status : PGK_ERR_INTERNAL;
        lane->done++;
        pthread_cond_broadcast(&h->changed);
    }
    pthread_mutex_unlock(&h->lock);
}

static void end_helper(struct helper *h)
{
    pthread_mutex_lock(&h->lock);
    h->ending = true;
    pthread_cond_broadcast(&h->changed);
    pthread_mutex_unlock(&h->lock);
    for (int i = 0; i < LANES; i++) {
        thread_join(&h->lanes[i].thread);
    }
    pthread_cond_destroy(&h->changed);
    pthread_mutex_destroy(&h->lock);
    free(h->slots);
    free(h);
}

static struct helper *new_helper(void)
{
    struct helper *h = calloc(1, sizeof(*h));
    if (h == NULL || mutex_init(&h->lock, NULL) != PGK_OK) {
        free(h);
        return NULL;
    }
    if (cond_init(&h->changed, NULL) != PGK_OK) {
        pthread_mutex_destroy(&h->lock);
        free(h);
        return NULL;
    }
    h->slots = malloc(RING_SLOTS * SLOT_BYTES);
    return h;
}

void digest_sum_help(struct digest_sum *sum)
{
    struct helper *h = sum->helper == NULL ? new_helper() : NULL;
    if (h == NULL) {
        return;
    }
    bool started = h->slots != NULL;
    for (int i = 0; started && i < LANES; i++) {
        h->lanes[i].helper = h;
        h->lanes[i].digest = i == 0 ? sum->of_sha1 : sum->of_sha256;
        started =
            thread_start(&h->lanes[i].thread, "pgk-digest", help, &h->lanes[i], NULL) == PGK_OK;
    }
    if (started) {
        sum->helper = h;
    } else {
        end_helper(h);
    }
}

static size_t unfinished(const struct helper *h)
{
    size_t done = h->filled;
    for (int i = 0; i < LANES; i++) {
        done = h->lanes[i].done < done ? h->lanes[i].done : done;
    }
    return h->filled - done;
}

/* Waits until at most so many slots are full. */
static pgk_status wait_for(struct helper *h, size_t full)
{
    pthread_mutex_lock(&h->lock);
    while (unfinished(h) > full) {
        cond_wait_until(&h->changed, &h->lock, CLOCK_NEVER);
    }
    pgk_status status = h->status;
    pthread_mutex_unlock(&h->lock);
    return status;
}

static void set_begun(struct helper *h, bool begun)
{
    pthread_mutex_lock(&h->lock);
    h->begun = begun;
    pthread_cond_broadcast(&h->changed);
    pthread_mutex_unlock(&h->lock);
}

static pgk_status hand_over(struct helper *h, const uint8_t *data, size_t length)
{
    pgk_status status = PGK_OK;
    while (status == PGK_OK && length > 0) {
        size_t step = length < SLOT_BYTES ? length : SLOT_BYTES;
        size_t slot = h->filled % RING_SLOTS; /* filled by this thread only */
        status = wait_for(h, RING_SLOTS - 1);
        memcpy(h->slots + slot * SLOT_BYTES, data, step);
        pthread_mutex_lock(&h->lock);
        h->lengths[slot] = step;
        h->filled++;
        h->begun = h->begun || unfinished(h) == RING_SLOTS;
        pthread_cond_broadcast(&h->changed);
        pthread_mutex_unlock(&h->lock);
        data += step;
        length -= step;
    }
    return status;
}

/* ------------------------------------------------------------------ the sum */

pgk_status digest_sum_reset(struct digest_sum *sum, pgk_error *err)
{
    if (sum->helper != NULL) {
        digest_sum_rest(sum);
        (void)wait_for(sum->helper, 0); /* of what went before */
        set_begun(sum->helper, false);
    }
    const EVP_MD *sha1 = digest_find(DIGEST_SHA1);
    const EVP_MD *sha256 = digest_find(DIGEST_SHA256);
    if (sha1 == NULL || sha256 == NULL || EVP_DigestInit_ex(sum->of_sha1, sha1, NULL) != 1 ||
        EVP_DigestInit_ex(sum->of_sha256, sha256, NULL) != 1) {
        return refused(err);
    }
    return PGK_OK;
}

pgk_status digest_sum_add(struct digest_sum *sum, const void *data, size_t length, pgk_error *err)
{
    pgk_status status =
        sum->helper != NULL ? hand_over(sum->helper, data, length) : update(sum, data, length);
    return status == PGK_OK ? PGK_OK : refused(err);
}

void digest_sum_rest(struct digest_sum *sum)
{
    if (sum->helper != NULL) {
        set_begun(sum->helper, true);
    }
}

pgk_status digest_sum_end(struct digest_sum *sum, uint8_t sha1_out[DIGEST_SHA1_BYTES],
                          uint8_t sha256_out[DIGEST_BYTES], pgk_error *err)
{
    digest_sum_rest(sum);
    pgk_status status = sum->helper != NULL ? wait_for(sum->helper, 0) : PGK_OK;
    if (status != PGK_OK || EVP_DigestFinal_ex(sum->of_sha1, sha1_out, NULL) != 1 ||
        EVP_DigestFinal_ex(sum->of_sha256, sha256_out, NULL) != 1) {
        return refused(err);
    }
    return PGK_OK;
}

void digest_sum_free(struct digest_sum *sum)
{
    if (sum != NULL) {
        if (sum->helper != NULL) {
            end_helper(sum->helper);
        }
        EVP_MD_CTX_free(sum->of_sha1);
        EVP_MD_CTX_free(sum->of_sha256);
        free(sum);
    }
}
