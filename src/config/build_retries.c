#include "base/invariant.h"
#include "config/build.h"
#include "config/quote.h"
#include "config/report.h"
#include "config/suggest.h"
#include "http/http1.h"

/* What the options say of themselves, where nothing is written. */
static const char *const default_when[] = {"connect", "reset", "502", "503", "504"};
#define DEFAULT_KEY "Idempotency-Key"
static const struct span default_methods[] = {
    {"GET", 3}, {"HEAD", 4}, {"OPTIONS", 7}, {"PUT", 3}, {"DELETE", 6}};

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static bool is_none(const struct yaml_node *node)
{
    return node->kind == YAML_TEXT && span_eq(node->text, SPAN_LIT("none"));
}

/* The one item of the list is the word for an empty one. */
static bool is_none_list(const struct yaml_node *list)
{
    return list->count == 1 && is_none(list->first);
}

/* ---- the upstream's own ---------------------------------------------------------------------------------- */

static enum status take_tell(struct build *b, struct build_upstream *u)
{
    const struct yaml_node *tell = u->values.of[OPT_RETRIES_TELL].node;
    const struct yaml_node *forward = u->values.of[OPT_CALLER_DEADLINE_FORWARD].node;

    if (!tell || is_none(tell))
        return ST_OK;
    (void)build_is_field_name(b, tell, tell->text, false);
    if (forward && span_eq_nocase(forward->text, tell->text))
        report_value(b->errors, tell, "is what caller_deadline.forward writes");
    u->out->retry_tell = (struct span){arena_text(b->arena, tell->text), tell->text.len};
    return u->out->retry_tell.ptr ? ST_OK : ST_NOMEM;
}

enum status build_retry_budget(struct build *b, struct build_upstream *u)
{
    u->out->retry_share_percent = (uint32_t)u->values.of[OPT_BUDGET_SHARE].number;
    u->out->retry_burst = (uint32_t)u->values.of[OPT_BUDGET_BURST].number;
    return take_tell(b, u);
}

/* ---- lists ----------------------------------------------------------------------------------------------- */

static void report_no_failure(struct build *b, const struct yaml_node *node)
{
    struct suggestion suggestion = suggest_for(node->text);

    for (enum retry_kind kind = 0; kind < RETRY_KIND_COUNT; kind++)
        suggest_offer(&suggestion, span_of(retry_kind_word(kind)));
    report_value(b->errors, node,
                 "%s is neither a status from %d to %d nor connect, dns, tls, reset, junk or timeout%s",
                 quote_text(node->text).text, RETRY_STATUS_FIRST, RETRY_STATUS_LAST,
                 suggest_text(&suggestion).text);
}

static void take_when(struct build *b, const struct yaml_node *list, struct retry_when *out)
{
    for (size_t i = 0; !list && i < LENGTH(default_when); i++)
        MUST_HOLD(retry_when_add(out, span_of(default_when[i])));
    if (!list)
        return;
    YAML_FOREACH(node, list) {
        if (!retry_when_add(out, node->text))
            report_no_failure(b, node);
    }
}

static enum status copy_methods(struct build *b, const struct yaml_node *list, struct retries_config *out)
{
    struct span *names = arena_calloc(b->arena, list->count, sizeof(*names));

    if (!names)
        return ST_NOMEM;
    out->method_names = names;
    YAML_FOREACH(node, list) {
        if (!build_is_method(b, node))
            continue;
        names[out->method_count] = (struct span){arena_text(b->arena, node->text), node->text.len};
        if (!names[out->method_count++].ptr)
            return ST_NOMEM;
    }
    return ST_OK;
}

static enum status take_methods(struct build *b, const struct yaml_node *list, struct retries_config *out)
{
    enum status status = ST_OK;

    if (!list) {
        out->method_names = default_methods;
        out->method_count = LENGTH(default_methods);
    } else if (!is_none_list(list)) {
        status = copy_methods(b, list, out);
    }
    out->methods = 0;
    for (uint32_t i = 0; i < out->method_count && status == ST_OK; i++)
        out->methods |= 1u << http1_method_of(out->method_names[i]);
    out->methods &= ~(1u << HTTP1_METHOD_OTHER);
    return status;
}

static enum status take_key(struct build *b, const struct yaml_node *node, struct span *out)
{
    *out = SPAN_LIT(DEFAULT_KEY);
    if (node && is_none(node))
        *out = SPAN_LIT("");
    if (!node || is_none(node))
        return ST_OK;
    (void)build_is_field_name(b, node, node->text, false);
    *out = (struct span){arena_text(b->arena, node->text), node->text.len};
    return out->ptr ? ST_OK : ST_NOMEM;
}

/* Whom defaults name is no fallback of its own: there is none, then. */
static void take_fallback(struct build *b, const struct yaml_node *node, const struct upstream_config *owner,
                          struct retries_config *out)
{
    struct suggestion suggestion;
    const struct yaml_node *other;

    if (!node || is_none(node) || owner->forward)
        return;
    other = yaml_node_get(b->upstreams, node->text);
    if (other) {
        const struct upstream_config *upstream = &b->snapshot->upstreams[other->index];

        out->fallback = upstream != owner ? upstream : NULL;
        return;
    }
    suggestion = suggest_for(node->text);
    YAML_FOREACH(upstream, b->upstreams) {
        suggest_offer(&suggestion, upstream->key);
    }
    report_value(b->errors, node, "there is no upstream %s%s", quote_text(node->text).text,
                 suggest_text(&suggestion).text);
}

/* ---- a route --------------------------------------------------------------------------------------------- */

/* Whether there are retries: what the route says of it counts, else what its upstream says. */
static bool are_on(struct build *b, const struct option_values *values, enum option_id key)
{
    const struct yaml_node *node = values->of[key].node;

    if (!node && key == OPT_ROUTE_RETRIES)
        node = values->of[OPT_UPSTREAM_RETRIES].node;
    if (node && node->kind == YAML_TEXT && !is_none(node) && node == values->of[key].node)
        report_value(b->errors, node, "%s is no way to retry; write none, or {attempts: 2}",
                     quote_text(node->text).text);
    return node && node->kind == YAML_MAP;
}

static void take_numbers(const struct option_value *of, struct retries_config *out)
{
    out->policy.attempts = (uint8_t)of[OPT_RETRIES_ATTEMPTS].number;
    out->policy.refused = of[OPT_REPEAT_REFUSED].number != 0;
    out->policy.base_ns = of[OPT_BACKOFF_BASE].number;
    out->policy.max_ns = of[OPT_BACKOFF_MAX].number;
    out->policy.retry_after_ns = of[OPT_RETRIES_RETRY_AFTER].number;
    out->per_try_ns = of[OPT_RETRIES_PER_TRY].number;
    out->content_bytes = (uint64_t)of[OPT_REPEAT_CONTENT].number;
    out->say = of[OPT_RETRIES_SAY].number != 0;
    out->at.attempts = of[OPT_RETRIES_ATTEMPTS].place;
    out->at.when = of[OPT_RETRIES_WHEN].place;
    out->at.per_try = of[OPT_RETRIES_PER_TRY].place;
    out->at.key = of[OPT_REPEAT_KEY].place;
    out->at.share = of[OPT_BUDGET_SHARE].place;
    out->at.burst = of[OPT_BUDGET_BURST].place;
    out->at.fallback = of[OPT_RETRIES_FALLBACK].place;
}

/* All routes of an upstream have one bucket, and its API one field that tells of a try. */
static void refuse_own(struct build *b, const struct option_values *values, const struct option_values *outer)
{
    static const enum option_id shared[] = {OPT_BUDGET_SHARE, OPT_BUDGET_BURST, OPT_RETRIES_TELL};

    for (size_t i = 0; i < LENGTH(shared); i++) {
        const struct yaml_node *node = values->of[shared[i]].node;

        if (node && node != outer->of[shared[i]].node)
            report_key(b->errors, node,
                       "is for all routes of an upstream; write it in the upstream's retries");
    }
}

static bool is_inherited(const struct option_values *values, const struct option_values *outer,
                         enum option_id id)
{
    return outer && values->of[id].node == outer->of[id].node;
}

enum status build_retries(struct build *b, const struct option_values *values, enum option_id key,
                          const struct option_values *outer, const struct upstream_config *owner,
                          struct retries_config *out)
{
    const struct option_value *of = values->of;
    bool is_on = are_on(b, values, key);
    const struct retries_config *inherited = &owner->default_route.retries;
    bool was_on = outer && retries_are_on(inherited);
    enum status status = ST_OK;

    *out = (struct retries_config){.policy.attempts = 1, .per_try_ns = NS_NEVER};
    if (outer)
        refuse_own(b, values, outer);
    if (!is_on)
        return ST_OK;
    take_numbers(of, out);
    out->hedges = owner->hedge && out->per_try_ns != NS_NEVER;
    if (was_on && is_inherited(values, outer, OPT_RETRIES_WHEN))
        out->policy.when = inherited->policy.when;
    else
        take_when(b, of[OPT_RETRIES_WHEN].node, &out->policy.when);
    if (was_on && is_inherited(values, outer, OPT_RETRIES_FALLBACK))
        out->fallback = inherited->fallback;
    else
        take_fallback(b, of[OPT_RETRIES_FALLBACK].node, owner, out);
    if (was_on && is_inherited(values, outer, OPT_REPEAT_METHODS)) {
        out->methods = inherited->methods;
        out->method_names = inherited->method_names;
        out->method_count = inherited->method_count;
    } else {
        status = take_methods(b, of[OPT_REPEAT_METHODS].node, out);
    }
    if (was_on && is_inherited(values, outer, OPT_REPEAT_KEY))
        out->key = inherited->key;
    else if (status == ST_OK)
        status = take_key(b, of[OPT_REPEAT_KEY].node, &out->key);
    return status;
}
