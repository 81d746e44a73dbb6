/* core/digest.c - see digest.h. OpenSSL's digests, looked up once. Any thread. */
#include "core/digest.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdlib.h>

#include "core/error.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static EVP_MD *sha256;
static EVP_MD *sha1;

/* Found anew by each call it would cost as much as half a kilobyte. Kept to the end of the process:
 * other threads may be using it. */
static void find_digests(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
}

pgk_status digest_sha256(const void *data, size_t length, uint8_t out[DIGEST_BYTES], pgk_error *err)
{
    unsigned int written = 0;
    if (pthread_once(&once, find_digests) != 0 || sha256 == NULL ||
        EVP_Digest(data, length, out, &written, sha256, NULL) != 1 || written != DIGEST_BYTES) {
        return error_set(err, PGK_ERR_INTERNAL, "digest", "OpenSSL would not compute a SHA-256");
    }
    return PGK_OK;
}

/* Both see a piece while it is in the cache. */
#define SUM_STEP ((size_t)16 * 1024)

struct digest_sum {
    EVP_MD_CTX *of_sha1;
    EVP_MD_CTX *of_sha256;
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

pgk_status digest_sum_reset(struct digest_sum *sum, pgk_error *err)
{
    if (pthread_once(&once, find_digests) != 0 || sha1 == NULL || sha256 == NULL ||
        EVP_DigestInit_ex(sum->of_sha1, sha1, NULL) != 1 ||
        EVP_DigestInit_ex(sum->of_sha256, sha256, NULL) != 1) {
        return refused(err);
    }
    return PGK_OK;
}

pgk_status digest_sum_add(struct digest_sum *sum, const void *data, size_t length, pgk_error *err)
{
    const uint8_t *at = data;
    while (length > 0) {
        size_t step = length < SUM_STEP ? length : SUM_STEP;
        if (EVP_DigestUpdate(sum->of_sha1, at, step) != 1 ||
            EVP_DigestUpdate(sum->of_sha256, at, step) != 1) {
            return refused(err);
        }
        at += step;
        length -= step;
    }
    return PGK_OK;
}

pgk_status digest_sum_end(struct digest_sum *sum, uint8_t sha1_out[DIGEST_SHA1_BYTES],
                          uint8_t sha256_out[DIGEST_BYTES], pgk_error *err)
{
    if (EVP_DigestFinal_ex(sum->of_sha1, sha1_out, NULL) != 1 ||
        EVP_DigestFinal_ex(sum->of_sha256, sha256_out, NULL) != 1) {
        return refused(err);
    }
    return PGK_OK;
}

void digest_sum_free(struct digest_sum *sum)
{
    if (sum != NULL) {
        EVP_MD_CTX_free(sum->of_sha1);
        EVP_MD_CTX_free(sum->of_sha256);
        free(sum);
    }
}
