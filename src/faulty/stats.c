/* GET /stats and POST /stats/reset: what the server itself has seen, to hold against what curfew says. */
#include <string.h>

#include "base/json.h"
#include "faulty/behaviours.h"
#include "faulty/conn.h"
#include "faulty/reply.h"

static void answer_stats(struct faulty_conn *c)
{
    const struct faulty_stats *stats = &c->server->stats;
    char block[1024];
    struct text text = text_over(block, sizeof(block));
    struct jsonw json = jsonw_on(&text);

    jsonw_open_object(&json, NULL);
    jsonw_u64(&json, "open", stats->open);
    jsonw_u64(&json, "connections_total", stats->connections_total);
    jsonw_u64(&json, "requests_total", stats->requests_total);
    jsonw_u64(&json, "responses_total", stats->responses_total);
    jsonw_u64(&json, "gone_total", stats->gone_total);
    jsonw_u64(&json, "in_work", c->server->work.now);
    jsonw_u64(&json, "in_work_max", c->server->work.most);
    jsonw_u64(&json, "keys", c->server->attempts.keys);
    jsonw_u64(&json, "attempts_max", c->server->attempts.most);
    jsonw_u64(&json, "bytes_in", stats->bytes_in);
    jsonw_u64(&json, "bytes_out", stats->bytes_out);
    jsonw_u64(&json, "tls_handshakes_total", stats->tls_handshakes_total);
    jsonw_u64(&json, "tls_resumed_total", stats->tls_resumed_total);
    jsonw_u64(&json, "tls_failures_total", stats->tls_failures_total);
    jsonw_close_object(&json);
    TEXT_LIT(&text, "\n");
    faulty_reply_text(c, 200, "application/json", text_span(&text));
}

/* What is there now stays; what has been counted starts again from it. */
static void answer_reset(struct faulty_conn *c)
{
    struct faulty_stats *stats = &c->server->stats;

    if (!c->post) {
        faulty_reply_text(c, 405, "text/plain", SPAN_LIT("POST it\n"));
        return;
    }
    *stats = (struct faulty_stats){.open = stats->open};
    faulty_work_reset(&c->server->work);
    c->server->flaky_count = c->server->flaky_failures = c->server->flap_began_ms = 0;
    memset(&c->server->attempts, 0, sizeof(c->server->attempts));
    answer_stats(c);
}

const struct faulty_behaviour faulty_admin[] = {
    {.path = "/stats",
     .help = "connections, requests, requests in work now and at most, keys of /seq, bytes, as JSON",
     .uncounted = true,
     .answer = answer_stats},
    {.path = "/stats/reset",
     .help = "(POST) sets the totals to 0, the maximum to now, and /flaky, /seq and /flap to their start",
     .uncounted = true,
     .answer = answer_reset},
    {.path = NULL},
};
