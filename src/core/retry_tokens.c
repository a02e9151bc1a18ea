#include "core/retry_tokens.h"

#include "base/invariant.h"

/* Nothing else is published by a token: it is only to be taken once. */
#define RELAXED memory_order_relaxed

static int hundredths(uint32_t burst)
{
    PRE(burst <= INT32_MAX / RETRY_TOKEN / 2); /* so that a share more still fits */
    return (int)burst * RETRY_TOKEN;
}

void retry_tokens_init(struct retry_tokens *tokens, uint32_t burst, uint32_t share_percent)
{
    PRE(share_percent <= RETRY_TOKEN);
    atomic_init(&tokens->level, hundredths(burst));
    atomic_init(&tokens->most, hundredths(burst));
    atomic_init(&tokens->share, (int)share_percent);
}

void retry_tokens_set(struct retry_tokens *tokens, uint32_t burst, uint32_t share_percent)
{
    int most = hundredths(burst), level = atomic_load_explicit(&tokens->level, RELAXED);

    atomic_store_explicit(&tokens->most, most, RELAXED);
    atomic_store_explicit(&tokens->share, (int)share_percent, RELAXED);
    while (level > most &&
           !atomic_compare_exchange_weak_explicit(&tokens->level, &level, most, RELAXED, RELAXED))
        ;
}

static bool is_full(const struct retry_tokens *tokens)
{
    return atomic_load_explicit(&tokens->level, RELAXED) >= atomic_load_explicit(&tokens->most, RELAXED);
}

/* Apart, as mostly none has gone. */
static __attribute__((noinline)) void add(struct retry_tokens *tokens, int more)
{
    int most = atomic_load_explicit(&tokens->most, RELAXED);
    int level = atomic_load_explicit(&tokens->level, RELAXED), next;

    do {
        if (level >= most)
            return;
        next = level + more;
        if (next > most)
            next = most;
    } while (!atomic_compare_exchange_weak_explicit(&tokens->level, &level, next, RELAXED, RELAXED));
}

void retry_tokens_refill(struct retry_tokens *tokens)
{
    if (!is_full(tokens))
        add(tokens, atomic_load_explicit(&tokens->share, RELAXED));
}

void retry_tokens_put_back(struct retry_tokens *tokens)
{
    add(tokens, RETRY_TOKEN);
}

bool retry_tokens_take(struct retry_tokens *tokens)
{
    int level = atomic_load_explicit(&tokens->level, RELAXED);

    while (level >= RETRY_TOKEN) {
        if (atomic_compare_exchange_weak_explicit(&tokens->level, &level, level - RETRY_TOKEN, RELAXED,
                                                  RELAXED))
            return true;
    }
    return false;
}

uint32_t retry_tokens_level(const struct retry_tokens *tokens)
{
    return (uint32_t)atomic_load_explicit(&tokens->level, RELAXED);
}
