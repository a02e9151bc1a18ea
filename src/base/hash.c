#include "base/hash.h"

struct sip {
    uint64_t v[4];
};

static uint64_t rotate(uint64_t x, int by)
{
    return x << by | x >> (64 - by);
}

static void mix(struct sip *sip)
{
    uint64_t *v = sip->v;

    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotate(v[1], 13) ^ v[0];
    v[3] = rotate(v[3], 16) ^ v[2];
    v[0] = rotate(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotate(v[1], 17) ^ v[2];
    v[3] = rotate(v[3], 21) ^ v[0];
    v[2] = rotate(v[2], 32);
}

static void take(struct sip *sip, uint64_t word)
{
    sip->v[3] ^= word;
    mix(sip);
    mix(sip);
    sip->v[0] ^= word;
}

/* Up to eight bytes, the first the lowest. */
static uint64_t load(const uint8_t *bytes, size_t len)
{
    uint64_t word = 0;

    for (size_t i = 0; i < len; i++)
        word |= (uint64_t)bytes[i] << 8 * i;
    return word;
}

uint64_t hash_keyed(const uint64_t key[2], const void *bytes, size_t len)
{
    struct sip sip = {{key[0] ^ UINT64_C(0x736f6d6570736575), key[1] ^ UINT64_C(0x646f72616e646f6d),
                       key[0] ^ UINT64_C(0x6c7967656e657261), key[1] ^ UINT64_C(0x7465646279746573)}};
    const uint8_t *at = bytes;
    size_t left = len;

    for (; left >= 8; left -= 8, at += 8)
        take(&sip, load(at, 8));
    take(&sip, load(at, left) | (uint64_t)len << 56);
    sip.v[2] ^= 0xff;
    for (int i = 0; i < 4; i++)
        mix(&sip);
    return sip.v[0] ^ sip.v[1] ^ sip.v[2] ^ sip.v[3];
}
