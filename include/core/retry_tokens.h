#ifndef CURFEW_CORE_RETRY_TOKENS_H
#define CURFEW_CORE_RETRY_TOKENS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * What an upstream's retries may cost: a bucket of tokens, which begins full. A retry takes one when it is decided
 * upon, so one that waits in its back-off counts; a good try gives a share of one back. While an API fails, no try is
 * good and nothing comes back: the load that retries add is the burst, and after that the share of what succeeds. At
 * every instant retries <= burst + share * good tries.
 *
 * Shared by all workers, without a lock: any thread. While the bucket is full a good try costs one load.
 */
struct retry_tokens {
    atomic_int level; /* in hundredths of a token */
    atomic_int most;
    atomic_int share; /* of a token for a good try, in hundredths: percent */
};

#define RETRY_TOKEN 100

/* A full one. */
void retry_tokens_init(struct retry_tokens *tokens, uint32_t burst, uint32_t share_percent);

/* Other bounds, from a new configuration: what is in it stays, as far as there is room. */
void retry_tokens_set(struct retry_tokens *tokens, uint32_t burst, uint32_t share_percent);

/* A try was good. */
void retry_tokens_refill(struct retry_tokens *tokens);

/* False: there is no whole one. */
bool retry_tokens_take(struct retry_tokens *tokens) __attribute__((warn_unused_result));

/* The retry that it was taken for does not happen. */
void retry_tokens_put_back(struct retry_tokens *tokens);

/* How much is in it, in hundredths of a token. */
uint32_t retry_tokens_level(const struct retry_tokens *tokens);

#endif
