#include "http/forwarded.h"

#include "base/invariant.h"

static bool has_come(const struct http1_head *head, enum http1_field_id id)
{
    for (unsigned i = 0; i < head->field_count; i++)
        if (head->fields[i].id == id)
            return true;
    return false;
}

struct span forwarded_host(const struct http1_head *head)
{
    return head->authority.len != 0 ? head->authority : head->host;
}

struct forwarded forwarded_plan(const struct http1_head *head, const struct forward_rules *rules,
                                struct forwarded_caller caller)
{
    struct forwarded plan = {.caller = caller, .host = forwarded_host(head)};

    PRE(rules->tells != FORWARD_TELLS_NOTHING);
    if (rules->tells == FORWARD_TELLS_RFC7239) {
        if (!forward_rules_drop(rules, SPAN_LIT("Forwarded")))
            plan.list = HTTP1_FIELD_FORWARDED;
        return plan;
    }
    if (rules->tells != FORWARD_TELLS_X_FORWARDED)
        return plan;
    if (caller.ip.len != 0 && !forward_rules_drop(rules, SPAN_LIT("X-Forwarded-For")))
        plan.list = HTTP1_FIELD_X_FORWARDED_FOR;
    plan.proto = !has_come(head, HTTP1_FIELD_X_FORWARDED_PROTO) &&
                 !forward_rules_drop(rules, SPAN_LIT("X-Forwarded-Proto"));
    plan.x_host = plan.host.len != 0 && !has_come(head, HTTP1_FIELD_X_FORWARDED_HOST) &&
                  !forward_rules_drop(rules, SPAN_LIT("X-Forwarded-Host"));
    return plan;
}

/* Does each quoted string of the value end in it (RFC 9110 5.6.4)? Else what follows it would be a part of one. */
static bool is_closed(struct span value)
{
    bool quoted = false;

    for (size_t i = 0; i < value.len; i++) {
        if (value.ptr[i] == '"')
            quoted = !quoted;
        else if (quoted && value.ptr[i] == '\\')
            i++;
    }
    return !quoted;
}

/* What came of the list, in order, each value with a comma behind it. */
static void put_what_came(struct text *out, const struct http1_head *head, enum http1_field_id id)
{
    for (unsigned i = 0; i < head->field_count; i++) {
        const struct http1_field *field = &head->fields[i];

        if (field->id != id || field->value.len == 0 ||
            (id == HTTP1_FIELD_FORWARDED && !is_closed(field->value)))
            continue;
        text_put(out, field->value);
        TEXT_LIT(out, ", ");
    }
}

static struct span scheme_of(const struct forwarded *plan)
{
    return plan->caller.is_https ? SPAN_LIT("https") : SPAN_LIT("http");
}

/* RFC 7239 4 and 6: an IPv6 address stands in brackets and quotes; "unknown" is who has no address. */
static void put_element(struct text *out, const struct forwarded *plan)
{
    struct span ip = plan->caller.ip;
    bool is_ipv6 = ip.len != 0 && memchr(ip.ptr, ':', ip.len) != NULL;

    TEXT_LIT(out, "for=");
    if (is_ipv6)
        TEXT_LIT(out, "\"[");
    text_put(out, ip.len != 0 ? ip : SPAN_LIT("unknown"));
    if (is_ipv6)
        TEXT_LIT(out, "]\"");
    TEXT_LIT(out, ";proto=");
    text_put(out, scheme_of(plan));
    if (plan->host.len == 0)
        return;
    TEXT_LIT(out, ";host=\"");
    text_put(out, plan->host);
    TEXT_LIT(out, "\"");
}

void forwarded_put(struct text *out, const struct http1_head *head, const struct forwarded *plan)
{
    if (plan->list == HTTP1_FIELD_X_FORWARDED_FOR) {
        TEXT_LIT(out, "X-Forwarded-For: ");
        put_what_came(out, head, plan->list);
        text_put(out, plan->caller.ip);
        TEXT_LIT(out, "\r\n");
    } else if (plan->list == HTTP1_FIELD_FORWARDED) {
        TEXT_LIT(out, "Forwarded: ");
        put_what_came(out, head, plan->list);
        put_element(out, plan);
        TEXT_LIT(out, "\r\n");
    }
    if (plan->proto) {
        TEXT_LIT(out, "X-Forwarded-Proto: ");
        text_put(out, scheme_of(plan));
        TEXT_LIT(out, "\r\n");
    }
    if (plan->x_host) {
        TEXT_LIT(out, "X-Forwarded-Host: ");
        text_put(out, plan->host);
        TEXT_LIT(out, "\r\n");
    }
}
