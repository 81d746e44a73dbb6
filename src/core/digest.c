/* core/digest.c - see digest.h. OpenSSL's one-shot digest, looked up once. Any thread. */
#include "core/digest.h"

#include <openssl/evp.h>
#include <pthread.h>

#include "core/error.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static EVP_MD *sha256;

/* Found anew by each call it would cost as much as half a kilobyte. Kept to the end of the process:
 * other threads may be using it. */
static void find_sha256(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
}

pgk_status digest_sha256(const void *data, size_t length, uint8_t out[DIGEST_BYTES], pgk_error *err)
{
    unsigned int written = 0;
    if (pthread_once(&once, find_sha256) != 0 || sha256 == NULL ||
        EVP_Digest(data, length, out, &written, sha256, NULL) != 1 || written != DIGEST_BYTES) {
        return error_set(err, PGK_ERR_INTERNAL, "digest", "OpenSSL would not compute a SHA-256");
    }
    return PGK_OK;
}
