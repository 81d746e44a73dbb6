/* core/digest_find.h - OpenSSL's digests, looked up once per process. Any thread. */
#ifndef PGK_CORE_DIGEST_FIND_H
#define PGK_CORE_DIGEST_FIND_H

#include <openssl/evp.h>

enum digest_kind { DIGEST_SHA1, DIGEST_SHA256 };

/* NULL: OpenSSL has none. */
const EVP_MD *digest_find(enum digest_kind kind);

#endif
