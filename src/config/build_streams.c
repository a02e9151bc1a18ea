#include "config/build.h"
#include "config/quote.h"
#include "config/report.h"
#include "http/http1.h"

/* Longer types of events than that have nobody's keep-alives. */
#define TYPE_MAX 64

bool build_is_map(struct build *b, const struct option_value *value, const char *example)
{
    const struct yaml_node *node = value->node;
    bool is_text = node && node->kind == YAML_TEXT && !span_eq(node->text, SPAN_LIT("none"));

    if (is_text && example)
        report_value(b->errors, node, "%s is no map; write %s, or none", quote_text(node->text).text,
                     example);
    else if (is_text)
        report_value(b->errors, node, "%s is neither none nor a map; {} is one with the defaults",
                     quote_text(node->text).text);
    return node && node->kind == YAML_MAP;
}

static const char *refuse_media_type(struct span type)
{
    const char *slash = memchr(type.ptr, '/', type.len);
    size_t len = slash ? (size_t)(slash - type.ptr) : 0;

    if (memchr(type.ptr, ';', type.len))
        return "has parameters, which are not compared; the type alone is right";
    if (!slash || !http1_is_token((struct span){type.ptr, len}) ||
        !http1_is_token((struct span){slash + 1, type.len - len - 1}))
        return "is not a media type; write for example text/event-stream";
    return memchr(type.ptr, '*', type.len)
               ? "has a *, which stands for nothing; each type is written by itself"
               : NULL;
}

static const char *refuse_event_type(struct span type)
{
    if (type.len == 0 || type.len > TYPE_MAX)
        return "is not the type of an event: those that can be ignored have 1 to 64 bytes";
    return http1_is_field_value(type) ? NULL : "holds a line break or another control character";
}

/* The texts of a list, or `fallback` if there is none. */
static enum status copy_texts(struct build *b, const struct yaml_node *list, const char *fallback,
                              const char *(*refuse)(struct span), const struct span **out, uint32_t *count)
{
    uint32_t most = list ? list->count : 1;
    struct span *texts = arena_calloc(b->arena, most, sizeof(*texts));

    if (!texts)
        return ST_NOMEM;
    *out = texts;
    *count = most;
    if (!list) {
        texts[0] = span_of(fallback);
        return ST_OK;
    }
    YAML_FOREACH(node, list) {
        const char *why = refuse(node->text);

        if (why)
            report_value(b->errors, node, "%s %s", quote_text(node->text).text, why);
        texts[node->index] = (struct span){arena_text(b->arena, node->text), node->text.len};
        if (!texts[node->index].ptr)
            return ST_NOMEM;
    }
    return ST_OK;
}

/* `ignore: none`, or a list. */
static enum status build_events(struct build *b, const struct yaml_node *list, struct sse_terms *out)
{
    if (list && list->count == 1 && list->first && span_eq(list->first->text, SPAN_LIT("none")))
        return ST_OK;
    if (list && list->count > SSE_IGNORE_MAX) {
        report_value(b->errors, list, "has %u types; at most %u can be ignored", list->count, SSE_IGNORE_MAX);
        return ST_OK;
    }
    return copy_texts(b, list, "ping", refuse_event_type, &out->ignore, &out->ignore_count);
}

enum status build_streams(struct build *b, const struct option_values *values,
                          const struct streams_config **out)
{
    const struct option_value *of = values->of;
    bool is_own = of[OPT_ROUTE_STREAMS].node != NULL;
    const struct option_value *map = &of[is_own ? OPT_ROUTE_STREAMS : OPT_UPSTREAM_STREAMS];
    struct streams_config *streams;
    enum status status;

    *out = NULL;
    if (!build_is_map(b, map, "{first_event: 20s, idle: 30s, deadline: 10m}"))
        return ST_OK;
    streams = arena_calloc(b->arena, 1, sizeof(*streams));
    if (!streams)
        return ST_NOMEM;
    *out = streams;
    streams->deadline_ns = of[OPT_STREAMS_DEADLINE].number;
    streams->first_event_ns = of[OPT_STREAMS_FIRST_EVENT].number;
    streams->idle_ns = of[OPT_STREAMS_IDLE].number;
    streams->commits_by_event = of[OPT_STREAMS_COMMIT].number != 0;
    streams->at = map->place;
    streams->deadline_at = of[OPT_STREAMS_DEADLINE].place;
    streams->first_event_at = of[OPT_STREAMS_FIRST_EVENT].place;
    streams->idle_at = of[OPT_STREAMS_IDLE].place;
    status = copy_texts(b, of[OPT_STREAMS_TYPES].node, "text/event-stream", refuse_media_type,
                        &streams->types, &streams->type_count);
    return status == ST_OK ? build_events(b, of[OPT_STREAMS_IGNORE].node, &streams->events) : status;
}
