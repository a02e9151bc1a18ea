#include "call/policy.h"

#include <string.h>

#include "config/address.h"
#include "core/budget.h"
#include "core/route.h"

const struct route_config *policy_route(const struct upstream_config *upstream, const struct http1_head *head)
{
    uint32_t id =
        route_find(upstream->route_entries, upstream->route_count, head->path, head->method, UINT32_MAX);

    return snapshot_route(upstream, id);
}

/* An authority without its port, and without the dot that may end a name. */
static struct span host_of(struct span authority)
{
    const char *bracket = memchr(authority.ptr, ']', authority.len), *end;

    if (bracket != NULL)
        return (struct span){authority.ptr, (size_t)(bracket + 1 - authority.ptr)};
    end = memchr(authority.ptr, ':', authority.len);
    if (end != NULL)
        authority.len = (size_t)(end - authority.ptr);
    if (authority.len != 0 && authority.ptr[authority.len - 1] == '.')
        authority.len--;
    return authority;
}

static bool is_ip(struct span host)
{
    struct endpoint address;

    return host.ptr[0] == '[' || endpoint_parse_ip(host, &address);
}

bool policy_is_for_us(const struct upstream_config *upstream, const struct http1_head *head)
{
    struct span host;

    if (head->authority.len == 0)
        return true;
    host = host_of(head->authority);
    return span_eq_nocase(host, host_of(span_of(upstream->host))) ||
           span_eq_nocase(host, host_of(upstream->rules.host)) ||
           span_eq_nocase(host, SPAN_LIT("localhost")) || is_ip(host);
}

bool policy_obey_caller(const struct upstream_config *upstream, const struct http1_head *head,
                        int64_t begun_ns, int64_t *deadline_ns)
{
    const struct caller_deadline_config *config = &upstream->caller_deadline;

    for (uint32_t h = 0; h < config->header_count; h++) {
        for (uint32_t f = 0; f < head->field_count; f++) {
            const struct http1_field *field = &head->fields[f];
            int64_t length_ns, end_ns;

            if (!span_eq_nocase(field->name, config->headers[h]))
                continue;
            if (!budget_parse(config->headers[h], field->value, &length_ns))
                return false;
            end_ns = budget_end(begun_ns, length_ns);
            if (end_ns < *deadline_ns)
                *deadline_ns = end_ns;
        }
    }
    return true;
}

bool policy_trace(const struct upstream_config *upstream, const struct http1_head *head, struct trace *trace)
{
    bool has_one =
        head->traceparent.len != 0 && !upstream->hides_trace && trace_parse(head->traceparent, trace);

    return has_one || !upstream->trace;
}
