#ifndef CURFEW_PROXY_RETRY_BUDGETS_H
#define CURFEW_PROXY_RETRY_BUDGETS_H

#include <stdbool.h>

struct proxy;
struct snapshot;

/*
 * The tokens of each upstream's retries (core/retry_tokens), which all workers share: they go by the upstream's name
 * over reloads, and stay where they are until the end. Main thread.
 */

/* Gives each upstream of a snapshot, which is not in force yet, its bucket. False: there is no memory. */
bool retry_budgets_prepare(struct proxy *proxy, struct snapshot *snapshot)
    __attribute__((warn_unused_result));
/* Puts its bounds in force: a newcomer's bucket is full, the others keep what they have. */
void retry_budgets_commit(const struct snapshot *snapshot);

void retry_budgets_free(struct proxy *proxy);

#endif
