#include "app/explain_print.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "app/explain_breaker.h"
#include "app/explain_forward.h"
#include "app/explain_grpc.h"
#include "app/explain_place.h"
#include "app/explain_pool.h"
#include "app/explain_retries.h"
#include "app/explain_upgrade.h"
#include "base/mem.h"
#include "base/number.h"
#include "core/budget.h"
#include "http/forward.h"

#define HEAD_MAX  (2 << 20) /* larger than any head that limits.request_head allows, and what is set */
#define LABEL_FMT "%-12s"
#define HIDDEN    "\xe2\x80\xa6"

/* Of HTTP/1.1 nothing is said. */
static const char *protocol_of(const struct upstream_config *upstream)
{
    if (upstream->http2.use == HTTP2_ALWAYS)
        return ", by HTTP/2";
    return upstream->http2.use == HTTP2_AUTO && upstream->tls.enabled ? ", by HTTP/2 if it has that" : "";
}

/* With several calls on a connection: how many of both there are. */
static void print_sharing(const struct explanation *e)
{
    const struct upstream_config *upstream = e->target.upstream;
    uint32_t streams = upstream->http2.streams, size;

    if (upstream->http2.use == HTTP2_NEVER || streams == 1 || e->policy.route == NULL)
        return;
    size = explanation_pool(e)->host_size;
    printf("            %" PRIu32
           " calls at once on a connection if it is HTTP/2 and the API allows it: %" PRIu32
           " connections for the %" PRIu32 " of the pool, and at most one more for each worker\n",
           streams, size / streams + (size % streams != 0 ? 1 : 0), size);
}

/* The url that the file has, in its usual form. What Host says is in the head. */
static void print_api(const struct upstream_config *upstream)
{
    char block[UPSTREAM_ORIGIN_MAX];
    struct text origin = text_over(block, sizeof(block));

    upstream_put_origin(&origin, upstream);
    printf(LABEL_FMT "%.*s%.*s%s\n", "API", SPAN_FMT(text_span(&origin)), SPAN_FMT(upstream->rules.base_path),
           protocol_of(upstream));
    if (upstream->proxy.url != NULL)
        explain_proxy_print("proxy", &upstream->proxy,
                            upstream->proxy.spec.ask.len != 0 ? "by CONNECT" : "which gets the whole url");
}

static void print_request(const struct explanation *e)
{
    const struct upstream_config *upstream = e->target.upstream;

    printf(LABEL_FMT "%.*s %.*s\n", "request", SPAN_FMT(e->head->method), SPAN_FMT(e->head->path));
    printf(LABEL_FMT "%s (", upstream->forward == NULL ? "upstream" : "proxy", upstream->name);
    explain_place_print(upstream->at);
    printf(")");
    if (e->target.listener)
        printf(", by its listener %s%s", e->target.listener->text,
               upstream_listens_by_tls(upstream, e->target.listener) ? ", by TLS" : "");
    printf("\n");
    if (upstream->forward != NULL)
        return;
    print_api(upstream);
    print_sharing(e);
}

static bool is_observed(const struct route_config *route)
{
    return route->ceiling_ns != NS_NEVER;
}

/* How long the call may really take. */
static int64_t longest_ns(const struct explanation *e)
{
    return is_observed(e->policy.route) ? route_longest_ns(e->policy.route) : e->policy.deadline_ns;
}

static void print_observe(const struct explanation *e)
{
    if (!is_observed(e->policy.route))
        return;
    printf("            and observed: what passes it, or a limit, is counted and goes on for %s at most (",
           number_duration_text(route_longest_ns(e->policy.route)).text);
    explain_place_print(e->policy.route->at.observe);
    printf(")\n");
}

static void print_deadline(const struct explanation *e)
{
    const struct caller_deadline_config *caller = &e->target.upstream->caller_deadline;
    int64_t own_ns = e->policy.route->deadline_ns;

    printf(LABEL_FMT "%s, from the first byte of the request (", "deadline",
           number_duration_text(e->policy.deadline_ns).text);
    if (e->policy.deadline_ns < own_ns) {
        printf("the caller's; %s is ", number_duration_text(own_ns).text);
        explain_place_print(e->policy.route->at.deadline);
    } else {
        explain_place_print(e->policy.route->at.deadline);
    }
    printf(")\n");
    print_observe(e);
    for (uint32_t i = 0; i < caller->header_count; i++)
        printf("%s%.*s", i == 0 ? "            a caller may shorten it by " : ", ",
               SPAN_FMT(caller->headers[i]));
    if (caller->header_count != 0)
        printf("\n");
}

static void print_limit(const struct explanation *e, const char *name, int64_t limit_ns,
                        const struct place *place)
{
    const char *by = limit_ns > e->policy.deadline_ns ? ", so the deadline comes first" : "";

    if (limit_ns == NS_NEVER)
        return;
    printf("  %-14s%s%s (", name, number_duration_text(limit_ns).text, by);
    explain_place_print(place);
    printf(")\n");
}

static void print_min_rate(const struct explanation *e)
{
    const struct route_config *route = e->policy.route;
    char block[32];
    struct text bytes = text_over(block, sizeof(block));

    if (route->min_rate.bytes == 0)
        return;
    number_put_size(&bytes, route->min_rate.bytes);
    printf("  %-14s%.*s of content in any %s (", "min_rate", SPAN_FMT(text_span(&bytes)),
           number_duration_text(route->min_rate.per_ns).text);
    explain_place_print(route->at.min_rate);
    printf(")\n");
}

static void print_part(const char *name, int64_t limit_ns, const struct place *place)
{
    printf("  %-14s%s (", name, number_duration_text(limit_ns).text);
    explain_place_print(place);
    printf(")\n");
}

/* Limits within the deadline; those that nobody has set are left out. */
static void print_limits(const struct explanation *e)
{
    const struct route_config *route = e->policy.route;
    const struct pool_config *pool = explanation_pool(e);
    bool has_any = pool->queue_timeout_ns != NS_NEVER || route->connect_ns != NS_NEVER ||
                   route->first_byte_ns != NS_NEVER || route->begin_ns != NS_NEVER ||
                   route->idle_ns != NS_NEVER || route->min_rate.bytes != 0;

    printf(LABEL_FMT "%s\n", "limits", has_any ? "within the deadline" : "none but the deadline");
    print_limit(e, "queue_timeout", pool->queue_timeout_ns, pool->queue_timeout_at);
    print_limit(e, "connect", route->connect_ns, route->at.connect);
    print_limit(e, "first_byte", route->first_byte_ns, route->at.first_byte);
    print_limit(e, "begin", route->begin_ns, route->at.begin);
    print_limit(e, "idle", route->idle_ns, route->at.idle);
    print_min_rate(e);
}

/* Of a response that is a stream other limits hold, and another deadline. */
static void print_streams(const struct explanation *e)
{
    const struct streams_config *streams = e->policy.route->streams;
    int64_t deadline_ns;

    if (streams == NULL)
        return;
    deadline_ns = streams->deadline_ns < e->policy.caller_ns ? streams->deadline_ns : e->policy.caller_ns;
    printf(LABEL_FMT, "streams");
    for (uint32_t i = 0; i < streams->type_count; i++)
        printf("%s%.*s", i == 0 ? "" : ", ", SPAN_FMT(streams->types[i]));
    printf(" (");
    explain_place_print(streams->at);
    printf("): once the head has come, in place of the deadline and idle\n");
    print_part("deadline", deadline_ns, streams->deadline_at);
    print_part("first_event", streams->first_event_ns, streams->first_event_at);
    print_part("idle", streams->idle_ns, streams->idle_at);
    if (streams->commits_by_event)
        printf("  %-14sevent: the head goes to the caller with the first event\n", "commit");
    for (uint32_t i = 0; i < streams->events.ignore_count; i++)
        printf("%s%.*s", i == 0 ? "            comments are no events, nor are those of type " : ", ",
               SPAN_FMT(streams->events.ignore[i]));
    printf("%sevents are counted in text/event-stream without a Content-Encoding; else each read is one\n",
           streams->events.ignore_count != 0 ? "\n            " : "            comments are no events; ");
}

/* ---- the head on its way -------------------------------------------------------------------------------- */

/* Lines that are set, with their values hidden: they are often secrets. */
static struct span hide_values(struct span lines, char *block, size_t cap)
{
    struct text text = text_over(block, cap);

    while (lines.len != 0) {
        const char *end = memchr(lines.ptr, '\n', lines.len);
        const char *colon = memchr(lines.ptr, ':', lines.len);

        text_put(&text, (struct span){lines.ptr, (size_t)(colon - lines.ptr)});
        TEXT_LIT(&text, ": " HIDDEN "\r\n");
        lines = (struct span){end + 1, lines.len - (size_t)(end + 1 - lines.ptr)};
    }
    return text_span(&text);
}

static void print_lines(struct span lines)
{
    while (lines.len != 0) {
        const char *end = memchr(lines.ptr, '\r', lines.len);

        printf("  %.*s\n", (int)(end - lines.ptr), lines.ptr);
        lines = (struct span){end + 2, lines.len - (size_t)(end + 2 - lines.ptr)};
    }
}

/* In place of what came. The ids are different ones for each call. */
static struct span new_trace_line(const struct explanation *e)
{
    if (!e->policy.begins_trace)
        return SPAN_LIT("");
    return SPAN_LIT("traceparent: 00-" HIDDEN "-" HIDDEN "-01 (a trace that begins here)\r\n");
}

/* By what the proxy itself uses. A caller on this machine is taken for granted. The blocks have HEAD_MAX bytes. */
static void print_head_over(const struct explanation *e, char *block, char *hidden)
{
    const struct upstream_config *upstream = e->target.upstream;
    const struct endpoint *listener = e->target.listener != NULL ? e->target.listener : &upstream->listen[0];
    bool is_local = listener->family == ENDPOINT_UNIX;
    struct forwarded_caller caller = {is_local ? SPAN_LIT("") : SPAN_LIT("127.0.0.1"),
                                      upstream_listens_by_tls(upstream, listener)};
    struct text text = text_over(block, HEAD_MAX);
    struct forward_rules rules = upstream->rules;

    rules.set_lines = hide_values(rules.set_lines, hidden, HEAD_MAX);
    forward_request_head(&text, e->head, &rules, caller, new_trace_line(e));
    printf("\nThe API gets\n");
    print_lines(text_span(&text));
    explain_what_is_left(e, longest_ns(e));
    for (uint32_t i = 0; i < rules.dropped_count; i++)
        printf("%s%.*s", i == 0 ? "and of what the caller sends never " : ", ", SPAN_FMT(rules.dropped[i]));
    if (rules.dropped_count != 0)
        printf("\n");
}

static bool print_head(const struct explanation *e)
{
    char *block = mem_alloc(HEAD_MAX), *hidden = mem_alloc(HEAD_MAX);
    bool is_there = block != NULL && hidden != NULL;

    if (is_there)
        print_head_over(e, block, hidden);
    mem_free(hidden);
    mem_free(block);
    return is_there;
}

/* ---- what the caller gets ------------------------------------------------------------------------------- */

/* A limit beyond the deadline never does, nor does one that is observed. */
static bool strikes(const struct explanation *e, int64_t limit_ns)
{
    return limit_ns <= e->policy.deadline_ns && !is_observed(e->policy.route);
}

/* Limits of streams strike. */
static bool has_streams(const struct explanation *e)
{
    return e->policy.route->streams != NULL && !is_observed(e->policy.route);
}

/* In which phases can a limit strike? */
static bool can_strike(const struct explanation *e, enum cause cause, enum phase phase)
{
    const struct upstream_config *upstream = e->target.upstream;
    bool is_connecting = phase == PHASE_DNS || phase == PHASE_CONNECT || phase == PHASE_TLS;

    if ((phase == PHASE_DNS && upstream_dialled(upstream)->host_is_ip) ||
        (phase == PHASE_TLS && !upstream->tls.enabled))
        return false;
    if (phase == PHASE_TUNNEL) /* it is cut: the 101 was its answer */
        return false;
    /* No limit strikes there, and a wait that the deadline would pass in is not begun. */
    if (phase == PHASE_BACKOFF)
        return (cause == CAUSE_OPERATOR || cause == CAUSE_DRAIN_OVER) &&
               retries_are_on(&e->policy.route->retries);
    switch (cause) {
    case CAUSE_HEAD_LIMIT:
        return phase == PHASE_UPLOAD && e->snapshot->limits.request_head_timeout_ns <= longest_ns(e);
    case CAUSE_CONNECT_LIMIT: return is_connecting && strikes(e, e->policy.route->connect_ns);
    case CAUSE_FIRST_BYTE_LIMIT: return phase == PHASE_WAIT && strikes(e, e->policy.route->first_byte_ns);
    case CAUSE_BEGIN_LIMIT: return strikes(e, e->policy.route->begin_ns);
    case CAUSE_FIRST_EVENT_LIMIT:
        return has_streams(e) && (phase == PHASE_RECEIVE ||
                                  (phase == PHASE_WAIT && e->policy.route->streams->commits_by_event));
    case CAUSE_RATE_LIMIT:
        return phase == PHASE_RECEIVE && e->policy.route->min_rate.bytes != 0 &&
               strikes(e, e->policy.route->min_rate.per_ns);
    case CAUSE_IDLE_LIMIT:
        return phase >= PHASE_SEND &&
               (strikes(e, e->policy.route->idle_ns) || (phase == PHASE_RECEIVE && has_streams(e)));
    default: return true;
    }
}

/* Is a proxy on the way? */
static bool is_asked_for_tunnel(const struct explanation *e)
{
    const struct upstream_config *upstream = e->target.upstream;

    if (upstream->forward == NULL)
        return upstream->proxy.spec.ask.len != 0;
    return explain_forward_proxy(e) != NULL &&
           (e->head->method_id == HTTP1_CONNECT || !upstream->forward->way.by_name);
}

/* Can it end this call at all, as it is configured? */
static bool is_possible(const struct explanation *e, enum cause cause)
{
    const struct upstream_config *upstream = e->target.upstream;

    switch (cause) {
    case CAUSE_QUEUE_LIMIT: return strikes(e, explanation_pool(e)->queue_timeout_ns);
    case CAUSE_TOO_LATE:
        return explanation_pool(e)->least_ns != NS_NEVER || explanation_pool(e)->rate_per_hour != 0;
    case CAUSE_PAUSED: return explanation_pool(e)->pause.max_ns != 0;
    case CAUSE_FLEET_UNAVAILABLE: return explanation_pool(e)->fleet != NULL;
    case CAUSE_NO_SLOT: return explanation_pool(e)->rate_per_hour != 0;
    case CAUSE_BREAKER_OPEN: return e->policy.route->breaker != NULL && !is_observed(e->policy.route);
    case CAUSE_PROHIBITED: return upstream->origin.guard != NULL;
    case CAUSE_PROXY_REFUSED: return is_asked_for_tunnel(e);
    case CAUSE_DNS: return !upstream_dialled(upstream)->host_is_ip;
    case CAUSE_TLS_PROTOCOL:
    case CAUSE_TLS_CERTIFICATE: return upstream->tls.enabled;
    case CAUSE_BAD_DEADLINE: return upstream->caller_deadline.header_count != 0 || e->grpc_type.len != 0;
    default: break;
    }
    return cause_outcome(cause) == OUTCOME_FAILED || cause_outcome(cause) == OUTCOME_REJECTED;
}

static void print_answer(const struct explanation *e, enum cause cause, const char *error, const char *phases)
{
    printf("  %3u  %-33s  %s%s%s%s\n", explain_status(e, cause), error, cause_title(cause),
           phases[0] ? " (in " : "", phases, phases[0] ? ")" : "");
}

/* Phases that come to the same answer are told together. */
static void print_limit_answers(const struct explanation *e, enum cause cause)
{
    const char *error = NULL;
    char phases[128] = "";

    for (enum phase phase = 0; phase < PHASE_COUNT; phase++) {
        const char *its = cause_proxy_error(cause, phase);

        if (!can_strike(e, cause, phase))
            continue;
        if (error != NULL && strcmp(error, its) != 0) {
            print_answer(e, cause, error, phases);
            phases[0] = '\0';
        }
        error = its;
        snprintf(phases + strlen(phases), sizeof(phases) - strlen(phases), "%s%s", phases[0] ? ", " : "",
                 phase_name(phase));
    }
    if (error != NULL)
        print_answer(e, cause, error, phases);
}

static void print_answers(const struct explanation *e)
{
    printf("\nIf it goes wrong, the caller gets (%s, Proxy-Status error, when)\n",
           e->grpc_type.len != 0 ? "grpc-status" : "status");
    for (enum cause cause = CAUSE_NONE + 1; cause < CAUSE_COUNT; cause++) {
        if (cause_outcome(cause) == OUTCOME_STUCK)
            print_limit_answers(e, cause);
        else if (is_possible(e, cause))
            print_answer(e, cause, cause_proxy_error(cause, PHASE_WAIT), "");
    }
    printf("and once the head of a response has gone out, %s.\n",
           e->grpc_type.len != 0 ? "trailers with that status" : "a connection that is cut");
    if (e->target.upstream->rules.rewrites_location)
        printf("A Location under the API's own url leads back here: its origin is the caller's then.\n");
    if (e->target.upstream->server_timing)
        printf(
            "Each response has Server-Timing: how long the call was in queue, dns, connect, tls and wait.\n");
}

static void print_refusal(const struct explanation *e)
{
    const char *error = cause_proxy_error(e->refused, PHASE_UPLOAD);
    bool has_detail = e->detail != NULL && e->detail[0] != '\0';

    printf(LABEL_FMT "%u %s: %s%s%s\n", "refused", cause_status(e->refused), error != NULL ? error : "",
           cause_title(e->refused), has_detail ? ": " : "", has_detail ? e->detail : "");
}

bool explain_print(const struct explanation *e)
{
    print_request(e);
    if (e->refused != CAUSE_NONE)
        print_refusal(e);
    if (e->target.upstream->forward != NULL)
        explain_forward_print(e);
    if (e->policy.route == NULL)
        return true;
    printf(LABEL_FMT "%s\n", "route", e->policy.route->name);
    print_deadline(e);
    explain_grpc(e);
    explain_pool_print(e);
    explain_breaker_print(e->policy.route);
    print_limits(e);
    print_streams(e);
    explain_upgrade_print(e->policy.route);
    explain_retries(e);
    if (e->refused != CAUSE_NONE)
        return true;
    if (e->head->method_id != HTTP1_CONNECT && !print_head(e))
        return false;
    print_answers(e);
    explain_retry_answers(e);
    return true;
}
