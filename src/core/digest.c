/* core/digest.c - see digest.h. OpenSSL's digests, looked up once. Any thread. */
#include "core/digest.h"

#include <pthread.h>

#include "core/digest_find.h"
#include "core/error.h"

static pthread_once_t once = PTHREAD_ONCE_INIT;
static EVP_MD *sha1;
static EVP_MD *sha256;

/* Found anew by each call it would cost as much as half a kilobyte. Kept to the end of the process:
 * other threads may be using it. */
static void find_digests(void)
{
    sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
}

const EVP_MD *digest_find(enum digest_kind kind)
{
    if (pthread_once(&once, find_digests) != 0) {
        return NULL;
    }
    return kind == DIGEST_SHA1 ? sha1 : sha256;
}

pgk_status digest_sha256(const void *data, size_t length, uint8_t out[DIGEST_BYTES], pgk_error *err)
{
    unsigned int written = 0;
    const EVP_MD *md = digest_find(DIGEST_SHA256);
    if (md == NULL || EVP_Digest(data, length, out, &written, md, NULL) != 1 ||
        written != DIGEST_BYTES) {
        return error_set(err, PGK_ERR_INTERNAL, "digest", "OpenSSL would not compute a SHA-256");
    }
    return PGK_OK;
}
