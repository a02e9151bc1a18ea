#include "proxy/fleet_book.h"

#include <stdio.h>

#include "base/list.h"
#include "base/number.h"
#include "config/fleet_terms.h"
#include "proxy/fleet_script.h"
#include "runtime/loop.h"
#include "runtime/store.h"

#define PATIENCE_NS (3 * NS_PER_S)
#define KEY_BYTES   400
#define KEYS        7

struct asking {
    struct loop loop;
    struct store *store;
    struct store_script script;
    struct store_command command;
    fleet_book_fn answered;
    void *arg;
    bool is_answered;
    char *why;
    size_t why_cap;
};

static void ignore(void *arg)
{
    (void)arg;
}

static void is_down(void *arg, enum store_fault fault, const char *why)
{
    struct asking *asking = arg;

    (void)fault;
    snprintf(asking->why, asking->why_cap, "%s", why);
    loop_stop(&asking->loop);
}

static void is_hinted(void *arg, struct span channel)
{
    (void)arg;
    (void)channel;
}

static void is_over(struct store_command *command, enum store_fault fault, const struct store_reply *reply,
                    const char *why)
{
    struct asking *asking = CONTAINER_OF(command, struct asking, command);

    asking->is_answered = fault == STORE_FINE && reply->kind == STORE_LIST && reply->count >= 6;
    if (asking->is_answered)
        asking->answered(asking->arg, reply);
    else
        snprintf(asking->why, asking->why_cap, "%s", fault == STORE_FINE ? "its answer is out of form" : why);
    loop_stop(&asking->loop);
}

static void ask(struct asking *asking, const struct snapshot *snapshot, const struct pool_config *pool,
                bool begins)
{
    static const char *const parts[KEYS + 1] = {"book", "entries", "expiry", "waiting",
                                                "rich", "spare",   "turn",   "hint:"};
    struct block_terms terms = fleet_terms(snapshot, pool);
    char texts[KEYS + 1][KEY_BYTES], size[24], life[24];
    struct span keys[KEYS + 1], args[4];

    for (int i = 0; i <= KEYS; i++) {
        snprintf(texts[i], KEY_BYTES, "curfew:{%s/%s}:%s", snapshot->fleet.name, pool->fleet, parts[i]);
        keys[i] = span_of(texts[i]);
    }
    snprintf(size, sizeof(size), "%u", terms.size);
    snprintf(life, sizeof(life), "%lld",
             (long long)((terms.lease_ns + snapshot->fleet.margin_ns) / NS_PER_MS));
    args[0] = begins ? SPAN_LIT("begin") : SPAN_LIT("");
    args[1] = span_of(size);
    args[2] = span_of(life);
    args[3] = keys[KEYS];
    store_run(asking->store, &asking->command, &asking->script, keys, KEYS, args, 4, PATIENCE_NS, is_over);
}

bool fleet_book_ask(const struct snapshot *snapshot, const struct pool_config *pool, bool begins,
                    fleet_book_fn answered, void *arg, char *why, size_t why_cap)
{
    static const struct store_events events = {
        .up = ignore, .down = is_down, .hint = is_hinted, .listening = ignore};
    struct asking asking = {.answered = answered, .arg = arg, .why = why, .why_cap = why_cap};

    snprintf(why, why_cap, "not enough memory or descriptors");
    if (loop_init(&asking.loop, 0) != ST_OK)
        return false;
    store_script_init(&asking.script, fleet_script_book());
    asking.store = store_new(&asking.loop, &snapshot->fleet.store, &events, &asking, why, why_cap);
    if (asking.store != NULL) {
        ask(&asking, snapshot, pool, begins);
        if (loop_run(&asking.loop) != ST_OK)
            snprintf(why, why_cap, "the event loop has failed");
        store_free(asking.store);
    }
    loop_fini(&asking.loop);
    return asking.is_answered;
}
