/* core/digest.c - see digest.h. OpenSSL's one-shot digest: no state is kept. Any thread. */
#include "core/digest.h"

#include <openssl/evp.h>

#include "core/error.h"

pgk_status digest_sha256(const void *data, size_t length, uint8_t out[DIGEST_BYTES], pgk_error *err)
{
    unsigned int written = 0;
    if (EVP_Digest(data, length, out, &written, EVP_sha256(), NULL) != 1 ||
        written != DIGEST_BYTES) {
        return error_set(err, PGK_ERR_INTERNAL, "digest", "OpenSSL would not compute a SHA-256");
    }
    return PGK_OK;
}
