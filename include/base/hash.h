#ifndef CURFEW_BASE_HASH_H
#define CURFEW_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

/*
 * FNV-1a, 64 bits: for tables whose keys the operator chooses, and to tell contents apart. Whoever can choose the bytes
 * can make them collide.
 */
#define HASH_OF_NOTHING UINT64_C(0xcbf29ce484222325)

static inline uint64_t hash_byte(uint64_t hash, uint8_t byte)
{
    return (hash ^ byte) * UINT64_C(0x100000001b3);
}

static inline uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        hash = hash_byte(hash, ((const uint8_t *)bytes)[i]);
    return hash;
}

/* A place in a table, from all bits of the hash. */
static inline uint32_t hash_fold(uint64_t hash)
{
    return (uint32_t)(hash ^ hash >> 32);
}

/*
 * SipHash-2-4: for keys that others choose. Whoever does not know `key`, which is random, can't make two of them
 * collide.
 */
uint64_t hash_keyed(const uint64_t key[2], const void *bytes, size_t len) __attribute__((pure));

#endif
