#include "runtime/store.h"

#include <openssl/sha.h>

const char *store_fault_name(enum store_fault fault)
{
    static const char *const names[] = {
        [STORE_FINE] = "ok",           [STORE_AWAY] = "away",     [STORE_LATE] = "timeout",
        [STORE_REFUSED] = "refused",   [STORE_LOCKED] = "locked", [STORE_GARBLED] = "garbled",
        [STORE_SHORTAGE] = "shortage",
    };

    return names[fault];
}

void store_script_init(struct store_script *script, struct span source)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char digest[SHA_DIGEST_LENGTH];

    script->source = source;
    SHA1((const unsigned char *)source.ptr, source.len, digest);
    for (unsigned i = 0; i < SHA_DIGEST_LENGTH; i++) {
        script->sha1[2 * i] = digits[digest[i] >> 4];
        script->sha1[2 * i + 1] = digits[digest[i] & 15];
    }
    script->sha1[sizeof(script->sha1) - 1] = '\0';
}
