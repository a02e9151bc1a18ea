#include "config/build.h"
#include "config/quote.h"
#include "config/report.h"
#include "http/http1.h"

static bool begins_with(struct span text, struct span with)
{
    return text.len >= with.len && span_eq_nocase((struct span){text.ptr, with.len}, with);
}

/* A protocol's name, perhaps with a version (RFC 9110 7.8). */
static bool is_protocol(struct span protocol)
{
    const char *slash = protocol.len != 0 ? memchr(protocol.ptr, '/', protocol.len) : NULL;
    size_t name = slash ? (size_t)(slash - protocol.ptr) : protocol.len;

    return http1_is_token((struct span){protocol.ptr, name}) &&
           (!slash || http1_is_token((struct span){slash + 1, protocol.len - name - 1}));
}

/* Requests in a tunnel would pass by every limit there is. */
static const char *refuse_protocol(struct span protocol)
{
    if (!is_protocol(protocol))
        return "is not the name of a protocol; write for example websocket";
    if (span_eq_nocase(protocol, SPAN_LIT("h2c")) || span_eq_nocase(protocol, SPAN_LIT("h2")) ||
        begins_with(protocol, SPAN_LIT("HTTP/")))
        return "can't be let through: its requests would have no deadline and no permit; HTTP/2 is spoken without it";
    return NULL;
}

static enum status copy_protocols(struct build *b, const struct yaml_node *list, struct upgrade_config *out)
{
    struct span *protocols = arena_calloc(b->arena, list ? list->count : 1, sizeof(*protocols));

    if (!protocols)
        return ST_NOMEM;
    out->protocols = protocols;
    out->protocol_count = list ? list->count : 1;
    if (!list) {
        protocols[0] = SPAN_LIT("websocket");
        return ST_OK;
    }
    YAML_FOREACH(node, list) {
        const char *why = refuse_protocol(node->text);

        if (why)
            report_value(b->errors, node, "%s %s", quote_text(node->text).text, why);
        protocols[node->index] = (struct span){arena_text(b->arena, node->text), node->text.len};
        if (!protocols[node->index].ptr)
            return ST_NOMEM;
    }
    return ST_OK;
}

enum status build_upgrade(struct build *b, const struct option_values *values,
                          const struct upstream_config *upstream, const struct upgrade_config **out)
{
    const struct option_value *of = values->of;
    bool is_own = of[OPT_ROUTE_UPGRADE].node != NULL;
    const struct option_value *map = &of[is_own ? OPT_ROUTE_UPGRADE : OPT_UPSTREAM_UPGRADE];
    struct upgrade_config *upgrade;

    *out = NULL;
    if (!build_is_map(b, map, "{protocols: [websocket], idle: 5m, lifetime: 1h}"))
        return ST_OK;
    if (upstream->http2.use == HTTP2_ALWAYS)
        report_value(b->errors, map->node,
                     "needs HTTP/1.1, and http2.use is always; auto, or an upstream of its own, is right");
    upgrade = arena_calloc(b->arena, 1, sizeof(*upgrade));
    if (!upgrade)
        return ST_NOMEM;
    *out = upgrade;
    upgrade->terms.idle_ns = of[OPT_UPGRADE_IDLE].number;
    upgrade->terms.lifetime_ns = of[OPT_UPGRADE_LIFETIME].number;
    upgrade->at = map->place;
    upgrade->idle_at = of[OPT_UPGRADE_IDLE].place;
    upgrade->lifetime_at = of[OPT_UPGRADE_LIFETIME].place;
    return copy_protocols(b, of[OPT_UPGRADE_PROTOCOLS].node, upgrade);
}
