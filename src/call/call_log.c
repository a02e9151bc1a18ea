#include <time.h>

#include "base/json.h"
#include "call/access_log.h"
#include "call/call.h"
#include "call/call_grpc.h"
#include "call/call_progress.h"
#include "call/call_tunnel.h"
#include "call/downstream.h"
#include "call/context.h"
#include "call/late.h"
#include "call/target.h"
#include "runtime/socket_address.h"

#define LINE_MAX_BYTES 16384u

static struct span wall_time(char block[40])
{
    struct timespec now;
    struct tm utc;
    size_t len;
    struct text text;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    len = strftime(block, 24, "%Y-%m-%dT%H:%M:%S.", &utc);
    text = (struct text){.ptr = block, .len = len, .cap = 40};
    text_printf(&text, "%03ldZ", now.tv_nsec / 1000000);
    return text_span(&text);
}

/* What tells this call from all others, here and, by its trace, elsewhere. */
static void put_ids(struct jsonw *json, uint64_t id, const struct trace *trace)
{
    jsonw_hex(json, "id", id);
    if (trace == NULL)
        return;
    jsonw_string(json, "trace_id", trace_id(trace));
    jsonw_string(json, "parent_id", trace_parent(trace));
}

static void put_request(struct jsonw *json, const struct call *call)
{
    struct span target = outgoing_target(&call->request);

    if (call->request.bytes == NULL)
        return;
    jsonw_string(json, "method", outgoing_method(&call->request));
    if (target.len != 0)
        jsonw_string(json, "target", target);
}

/* Once the response's head has gone, whatever ends the call is to the caller a response that ends early. */
static const char *error_of(const struct call *call, enum cause cause, enum phase phase)
{
    enum outcome outcome = cause_outcome(cause);
    bool cut = call_has_answered(call) && (outcome == OUTCOME_STUCK || outcome == OUTCOME_REJECTED);

    return cause_proxy_error(cut ? CAUSE_INCOMPLETE : cause, phase);
}

static void put_end(struct jsonw *json, const struct call *call, enum cause cause, enum phase phase)
{
    enum outcome outcome = cause_outcome(cause);
    const char *error = error_of(call, cause, phase);

    jsonw_u64(json, "status", call->status);
    if (call->grpc != NULL && call->grpc->code < GRPC_OTHER)
        jsonw_u64(json, "grpc_status", call->grpc->code);
    jsonw_string(json, "outcome", span_of(outcome_name(outcome)));
    jsonw_string(json, "cause", span_of(cause_reason(cause)));
    if (error != NULL)
        jsonw_string(json, "error", span_of(error));
    jsonw_string(json, "phase", span_of(phase_name(phase)));
    jsonw_string(json, "sent", span_of(sent_name(call->fsm.sent)));
    if (call_was_tunnel(call))
        jsonw_text(json, "end", tunnel_end_name(call->tunnel->end));
}

/* Of HTTP/1.1 nothing is said. */
static void put_protocols(struct jsonw *json, const struct call *call)
{
    if (call_comes_by_h2(call))
        jsonw_text(json, "caller_protocol", call->caller->ops->protocol);
    if (call_goes_by_h2(call))
        jsonw_text(json, "upstream_protocol", call->try->exchange->ops->protocol);
}

static void put_ends(struct jsonw *json, const struct call *call)
{
    char block[64];
    struct text text = text_over(block, sizeof(block));

    jsonw_u64(json, "bytes_up", call->caller->received);
    jsonw_u64(json, "bytes_down", call->try->exchange->received);
    socket_address_put(&text, &call->try->peer.any);
    jsonw_string(json, "upstream_address", text_span(&text));
    if (call->try->reconnected)
        jsonw_bool(json, "reconnected", true);
    if (call->try->probes)
        jsonw_string(json, "breaker", SPAN_LIT("probe"));
    if (call->try->dns_is_stale)
        jsonw_string(json, "dns", SPAN_LIT("stale"));
    text.len = 0;
    downstream_put_caller(&text, call->downstream);
    jsonw_string(json, "caller", text_span(&text));
    if (downstream_caller_name(call->downstream) != NULL)
        jsonw_string(json, "caller_name", span_of(downstream_caller_name(call->downstream)));
    put_protocols(json, call);
}

/* Of a stream. */
static void put_events(struct jsonw *json, const struct call *call, int64_t now_ns)
{
    const struct progress *progress;

    if (!call_is_stream(call))
        return;
    progress = &call->progress->progress;
    jsonw_u64(json, "events", progress->events);
    if (progress->events == 0)
        return;
    jsonw_ms(json, "first_event_ms", progress_first_event_ns(progress));
    jsonw_ms(json, "longest_gap_ms", progress_longest_gap_ns(progress, now_ns));
}

/* Of a forward proxy: where the caller wanted to go, and what that came to. */
static void put_target(struct jsonw *json, const struct call *call)
{
    const struct forward_config *forward = call->config->forward;
    const struct target *target = call->target;
    char block[64];
    struct text address = text_over(block, sizeof(block));

    if (call->route != &call->config->default_route) {
        jsonw_text(json, "destination", call->route->name);
        if (forward->destinations[call->route - call->config->routes].action == DESTINATION_REPORT)
            jsonw_bool(json, "reported", true);
    }
    if (target == NULL)
        return;
    jsonw_text(json, "host", target->host);
    jsonw_u64(json, "port", target->origin.port);
    if (call->try->peer.any.sa_family != AF_UNSPEC)
        socket_address_put(&address, target->way != NULL ? &target->address.any : &call->try->peer.any);
    if (address.len != 0)
        jsonw_string(json, "address", text_span(&address));
    if (call->tunnel != NULL && call->tunnel->sni.len != 0)
        jsonw_string(json, "sni", (struct span){call->tunnel->sni.text, call->tunnel->sni.len});
}

static void put_detail(struct jsonw *json, enum cause cause, const char *detail, struct span odd)
{
    char block[256];
    struct text text = text_over(block, sizeof(block));

    if (odd.len == 0 && detail == NULL)
        return;
    text_put(&text, span_of(detail != NULL ? detail : cause_title(cause)));
    if (odd.len != 0) {
        TEXT_LIT(&text, ": ");
        text_excerpt(&text, odd);
    }
    jsonw_string(json, "detail", text_span(&text));
}

/* A line on the worker's scratch text. */
struct log_line {
    struct text text;
    struct jsonw json;
};

static void begin_line(struct log_line *line, struct call_context *context, uint64_t id,
                       const struct trace *trace)
{
    size_t cap = context->text_cap < LINE_MAX_BYTES ? context->text_cap : LINE_MAX_BYTES;
    char block[40];

    line->text = text_over(context->text, cap);
    line->json = jsonw_on(&line->text);
    jsonw_open_object(&line->json, NULL);
    jsonw_string(&line->json, "time", wall_time(block));
    put_ids(&line->json, id, trace);
}

static void end_line(struct log_line *line, struct call_context *context)
{
    jsonw_close_object(&line->json);
    TEXT_LIT(&line->text, "\n");
    if (line->text.overflow || !log_ring_put(context->log, text_span(&line->text)))
        context->metrics->process.log_dropped[0]++;
}

void call_log(struct call *call, enum cause cause, enum phase phase, int64_t now_ns, const char *detail,
              struct span odd)
{
    struct log_line line;

    begin_line(&line, call->context, call->id, call->trace);
    jsonw_string(&line.json, "upstream", span_of(call->config->name));
    jsonw_string(&line.json, "route", span_of(call->route->name));
    put_request(&line.json, call);
    put_end(&line.json, call, cause, phase);
    call_fsm_put_times(&line.json, &call->fsm, now_ns);
    if (call->has_retries)
        retries_put(&line.json, call->retries, call->retry_stop);
    if (call->try->lingers)
        jsonw_ms(&line.json, "lingered_ms", call->try->plan.route->linger_ns);
    put_ends(&line.json, call);
    if (call->config->forward != NULL)
        put_target(&line.json, call);
    put_events(&line.json, call, now_ns);
    put_detail(&line.json, cause, detail, odd);
    end_line(&line, call->context);
}

void call_log_plain_request(const struct caller_tls_place *place, uint64_t id, const char *why)
{
    const enum cause cause = CAUSE_BAD_REQUEST;
    struct log_line line;
    char block[64];
    struct text caller = text_over(block, sizeof(block));

    begin_line(&line, place->context, id, NULL);
    jsonw_text(&line.json, "upstream", place->upstream);
    jsonw_u64(&line.json, "status", cause_status(cause));
    jsonw_text(&line.json, "outcome", outcome_name(cause_outcome(cause)));
    jsonw_text(&line.json, "cause", cause_reason(cause));
    jsonw_text(&line.json, "error", cause_proxy_error(cause, PHASE_UPLOAD));
    jsonw_text(&line.json, "phase", phase_name(PHASE_UPLOAD));
    jsonw_text(&line.json, "sent", sent_name(SENT_NONE));
    downstream_put_caller(&caller, place->downstream);
    jsonw_string(&line.json, "caller", text_span(&caller));
    jsonw_text(&line.json, "detail", why);
    end_line(&line, place->context);
}

void call_log_late(const struct late *late)
{
    struct log_line line;

    begin_line(&line, late->context, late->result.id, trace_is_set(&late->trace) ? &late->trace : NULL);
    jsonw_string(&line.json, "upstream", span_of(late->config->name));
    jsonw_string(&line.json, "route", span_of(late->route->name));
    jsonw_open_object(&line.json, "late");
    jsonw_u64(&line.json, "status", late->result.status);
    jsonw_ms(&line.json, "after_ms", late->result.after_ns);
    if (!late->result.is_whole)
        jsonw_bool(&line.json, "whole", false);
    jsonw_close_object(&line.json);
    end_line(&line, late->context);
}
