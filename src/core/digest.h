/* core/digest.h - SHA-256 of what is stored. Pure; any thread. */
#ifndef PGK_CORE_DIGEST_H
#define PGK_CORE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

#include <pgkeeper/status.h>

#define DIGEST_BYTES 32

pgk_status digest_sha256(const void *data, size_t length, uint8_t out[DIGEST_BYTES],
                         pgk_error *err);

#endif
