#include "proxy/policy.h"

#include <string.h>

#include "core/budget.h"
#include "core/route.h"

const struct route_config *policy_route(const struct upstream_config *upstream, const struct http1_head *head)
{
    uint32_t id =
        route_find(upstream->route_entries, upstream->route_count, head->path, head->method, UINT32_MAX);

    return snapshot_route(upstream, id);
}

static bool host_is(struct span authority, const char *host)
{
    size_t len = strlen(host);

    return authority.len >= len && span_eq_nocase((struct span){authority.ptr, len}, span_of(host)) &&
           (authority.len == len || authority.ptr[len] == ':');
}

bool policy_is_for_us(const struct upstream_config *upstream, const struct http1_head *head)
{
    struct span authority = head->authority;

    if (authority.len == 0 || host_is(authority, upstream->host) || host_is(authority, "localhost"))
        return true;
    return authority.ptr[0] == '[' || (authority.ptr[0] >= '0' && authority.ptr[0] <= '9');
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
