#include "runtime/entropy.h"

#include <string.h>
#include <sys/random.h>

#include "base/invariant.h"

/* A signal may cut it short: what there is by then is used. */
static void fetch(struct entropy *entropy)
{
    ssize_t len = getrandom(entropy->words, sizeof(entropy->words), 0);

    entropy->left = len > 0 ? (uint32_t)((size_t)len / sizeof(entropy->words[0])) : 0;
}

bool entropy_take(struct entropy *entropy, uint64_t *out, uint32_t count)
{
    PRE(count <= ENTROPY_WORDS);
    if (entropy->left < count)
        fetch(entropy);
    if (entropy->left < count)
        return false;
    entropy->left -= count;
    memcpy(out, &entropy->words[entropy->left], count * sizeof(*out));
    return true;
}
