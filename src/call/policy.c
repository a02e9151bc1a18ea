#include "call/policy.h"

#include <string.h>

#include "base/invariant.h"
#include "config/address.h"
#include "core/budget.h"
#include "core/route.h"
#include "http/proxy_target.h"

const struct route_config *policy_route(const struct upstream_config *upstream, const struct http1_head *head)
{
    uint32_t id = upstream->forward != NULL ? UINT32_MAX
                                            : route_find(upstream->route_entries, upstream->route_count,
                                                         head->path, head->method, UINT32_MAX);

    POST(id == UINT32_MAX || id < upstream->route_count);
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

/*
 * An absolute-form target names a host. It has to be the upstream's (by its url, or by the Host that it is sent), or
 * this host's (localhost, or an IP address: a listener on 0.0.0.0 has many), whatever its port: a program that takes
 * curfew for a forward proxy must hear of it, not talk to the wrong API.
 */
static bool is_for_us(const struct upstream_config *upstream, const struct http1_head *head)
{
    struct span host;

    if (head->authority.len == 0)
        return true;
    host = host_of(head->authority);
    return span_eq_nocase(host, host_of(span_of(upstream->origin.host))) ||
           span_eq_nocase(host, host_of(upstream->rules.host)) ||
           span_eq_nocase(host, SPAN_LIT("localhost")) || is_ip(host);
}

static void refuse(struct policy *policy, enum cause cause, const char *detail)
{
    policy->refused = cause;
    policy->detail = detail;
}

static const char *how_to_write(struct span name)
{
    return span_eq_nocase(name, SPAN_LIT("grpc-timeout"))
               ? "grpc-timeout is 1 to 8 digits and a unit: H, M, S, m, u or n"
               : "a field of caller_deadline is a whole number of milliseconds, without a sign or a unit";
}

/* False: one of the fields of this name can't be read. */
static bool heed_field(struct policy *policy, const struct http1_head *head, struct span name,
                       int64_t begun_ns)
{
    for (uint32_t i = 0; i < head->field_count; i++) {
        const struct http1_field *field = &head->fields[i];
        int64_t length_ns, end_ns;

        if (!span_eq_nocase(field->name, name))
            continue;
        if (!budget_parse(name, field->value, &length_ns)) {
            if (policy->refused == CAUSE_NONE)
                refuse(policy, CAUSE_BAD_DEADLINE, how_to_write(name));
            return false;
        }
        end_ns = budget_end(begun_ns, length_ns);
        if (end_ns < policy->caller_ns)
            policy->caller_ns = end_ns;
    }
    return true;
}

/*
 * The earliest end that the fields of caller_deadline ask for, and gRPC's own; NS_NEVER: none. False: one of them can't
 * be read.
 */
static bool heed_caller(struct policy *policy, const struct upstream_config *upstream,
                        const struct http1_head *head, int64_t begun_ns, bool is_grpc)
{
    const struct caller_deadline_config *config = &upstream->caller_deadline;

    policy->caller_ns = NS_NEVER;
    for (uint32_t i = 0; i < config->header_count; i++)
        if (!heed_field(policy, head, config->headers[i], begun_ns))
            return false;
    return !is_grpc || heed_field(policy, head, SPAN_LIT("grpc-timeout"), begun_ns);
}

/* False: there is none that the upstream may see, and it is to have one. */
static bool find_trace(const struct upstream_config *upstream, const struct http1_head *head,
                       struct trace *trace)
{
    bool has_one =
        head->traceparent.len != 0 && !upstream->hides_trace && trace_parse(head->traceparent, trace);

    POST(!has_one || !upstream->hides_trace);
    return has_one || !upstream->trace;
}

/* The first destination that has the host; what is refused has a route only if that one refuses it. */
static void choose_destination(struct policy *policy, const struct upstream_config *upstream,
                               const struct http1_head *head)
{
    const struct forward_config *forward = upstream->forward;
    struct proxy_target target;
    enum proxy_target_fault fault = proxy_target_read(head, &target);
    uint32_t at;

    if (fault == PROXY_TARGET_ADDRESS) {
        refuse(policy, CAUSE_ADDRESS, proxy_target_fault_text(fault));
        return;
    }
    if (fault != PROXY_TARGET_OK) {
        refuse(policy, CAUSE_BAD_REQUEST, proxy_target_fault_text(fault));
        return;
    }
    at = destination_find(forward->hosts, forward->count, (struct span){target.host, target.host_len});
    if (at == forward->count) {
        refuse(policy, CAUSE_NO_DESTINATION, NULL);
        return;
    }
    policy->route = &upstream->routes[at];
    if (forward->destinations[at].action == DESTINATION_REFUSE)
        refuse(policy, CAUSE_DESTINATION, NULL);
    else if (!forward_has_port(forward, target.port))
        refuse(policy, CAUSE_PORT, NULL);
}

/* Of a request that has no route, or is refused, nothing more is decided. */
static void choose_route(struct policy *policy, const struct upstream_config *upstream,
                         const struct http1_head *head)
{
    if (upstream->forward != NULL)
        choose_destination(policy, upstream, head);
    else if (is_for_us(upstream, head))
        policy->route = policy_route(upstream, head);
    else
        refuse(policy, CAUSE_NO_ROUTE, "the target names another host; curfew is not a forward proxy");
}

void policy_decide(struct policy *policy, const struct upstream_config *upstream,
                   const struct http1_head *head, int64_t begun_ns, bool is_grpc)
{
    policy->refused = CAUSE_NONE;
    policy->detail = NULL;
    policy->route = NULL;
    policy->trace.id[0] = '\0';
    policy->begins_trace = false;
    choose_route(policy, upstream, head);
    if (policy->route == NULL)
        return;
    policy->deadline_ns = budget_end(begun_ns, policy->route->deadline_ns);
    if (!heed_caller(policy, upstream, head, begun_ns, is_grpc))
        return;
    if (policy->caller_ns < policy->deadline_ns)
        policy->deadline_ns = policy->caller_ns;
    policy->begins_trace = !find_trace(upstream, head, &policy->trace);
}

static bool lists_by_name(const struct retries_config *retries, struct span method)
{
    for (uint32_t i = 0; i < retries->method_count; i++)
        if (span_eq(retries->method_names[i], method))
            return true;
    return false;
}

static bool has_key(const struct retries_config *retries, const struct http1_head *head)
{
    for (uint32_t i = 0; retries->key.len != 0 && i < head->field_count; i++)
        if (span_eq_nocase(head->fields[i].name, retries->key) && head->fields[i].value.len != 0)
            return true;
    return false;
}

bool policy_may_repeat_odd(const struct retries_config *retries, const struct http1_head *head)
{
    return (head->method_id == HTTP1_METHOD_OTHER && lists_by_name(retries, head->method)) ||
           has_key(retries, head);
}
