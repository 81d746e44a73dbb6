/*
 * core/address.c - host names and IP addresses; see the header. Any thread, no state.
 */
#include "core/address.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>

#include "core/text.h"

#define LABEL_MAX_BYTES 63

static bool is_letter_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (unsigned char)c >= 0x80; /* of an international name, which the resolver translates */
}

static bool is_ipv4(const char *host)
{
    struct in_addr address;
    return inet_pton(AF_INET, host, &address) == 1;
}

/* With or without "%zone". */
static bool is_ipv6(const char *host)
{
    char bare[INET6_ADDRSTRLEN];
    struct in6_addr address;
    size_t length = strcspn(host, "%");
    const char *zone = host + length;
    if (length >= sizeof(bare) || (zone[0] == '%' && zone[1] == '\0')) {
        return false;
    }
    for (const char *at = zone; *at != '\0'; at++) {
        if (!is_letter_or_digit(*at) && strchr("%._-", *at) == NULL) {
            return false;
        }
    }
    text_copy(bare, length + 1, host);
    return inet_pton(AF_INET6, bare, &address) == 1;
}

/* Labels of letters, digits, '-' and '_', parted by dots; one dot may end it. */
static bool is_name(const char *host)
{
    bool only_digits = true;
    while (*host != '\0') {
        size_t length = strcspn(host, ".");
        if (length == 0 || length > LABEL_MAX_BYTES || host[0] == '-' || host[length - 1] == '-') {
            return false;
        }
        for (size_t i = 0; i < length; i++) {
            if (!is_letter_or_digit(host[i]) && host[i] != '-' && host[i] != '_') {
                return false;
            }
            only_digits = only_digits && host[i] >= '0' && host[i] <= '9';
        }
        host += length + (host[length] == '.' ? 1 : 0);
    }
    return !only_digits; /* "1.2.3.999" is no name either */
}

static bool is_host(const char *host)
{
    return strchr(host, ':') != NULL ? is_ipv6(host) : is_ipv4(host) || is_name(host);
}

/* "host:6123", "[::1]:6123" */
static bool has_port(const char *text)
{
    const char *colon = strrchr(text, ':');
    char host[PGK_HOST_MAX_BYTES + 3];
    if (colon == NULL || colon[1] == '\0' || strspn(colon + 1, "0123456789") != strlen(colon + 1)) {
        return false;
    }
    size_t length = (size_t)(colon - text);
    if (length == 0 || length >= sizeof(host)) {
        return false;
    }
    text_copy(host, length + 1, text);
    return host[length - 1] == ']' || is_host(host);
}

bool address_take_host(const char *text, char out[PGK_HOST_MAX_BYTES + 1], const char **ret_reason)
{
    static const char wrong[] = "must be a host name or an IP address";
    char host[PGK_HOST_MAX_BYTES + 1];
    size_t length = strnlen(text, PGK_HOST_MAX_BYTES + 3);
    bool bracketed = length > 2 && text[0] == '[' && text[length - 1] == ']';
    if (length == 0) {
        *ret_reason = "is missing; it must be a host name or an IP address";
        return false;
    }
    if (bracketed) {
        text++;
        length -= 2;
    }
    if (length > PGK_HOST_MAX_BYTES) {
        *ret_reason = "must be a host name or an IP address of at most 253 bytes";
        return false;
    }
    text_copy(host, length + 1, text);
    if (bracketed ? is_ipv6(host) : is_host(host)) {
        text_copy(out, PGK_HOST_MAX_BYTES + 1, host);
        return true;
    }
    *ret_reason = has_port(text) ? "must be a host name or an IP address without a port, which has "
                                   "a key of its own"
                                 : wrong;
    return false;
}

pgk_status address_resolve(const char *host, const char *origin, pgk_error *err)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int code = getaddrinfo(host, NULL, &hints, &found);
    if (code == 0) {
        freeaddrinfo(found);
        return PGK_OK;
    }
    bool none = code == EAI_NONAME || code == EAI_NODATA || code == EAI_ADDRFAMILY;
    return error_set(err, none ? PGK_ERR_CONFIG : PGK_ERR_IO, origin,
                     "host \"%s\" cannot be resolved: %s", host, gai_strerror(code));
}
