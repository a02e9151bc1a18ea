#include "config/build.h"

#define PATH_MAX_LEN 160
#define ELLIPSIS     "\xe2\x80\xa6"

/* Options whose place somebody asks for. */
static const enum option_id placed[] = {
    OPT_ROOT_DRAIN,          OPT_LIMITS_CONNECTIONS,
    OPT_UPSTREAM_DEADLINE,   OPT_UPSTREAM_POOL,
    OPT_ROUTE_DEADLINE,      OPT_ROUTE_POOL,
    OPT_TIMEOUTS_CONNECT,    OPT_TIMEOUTS_FIRST_BYTE,
    OPT_TIMEOUTS_BEGIN,      OPT_TIMEOUTS_IDLE,
    OPT_TIMEOUTS_MIN_RATE,   OPT_UPSTREAM_STREAMS,
    OPT_ROUTE_STREAMS,       OPT_STREAMS_DEADLINE,
    OPT_STREAMS_FIRST_EVENT, OPT_STREAMS_IDLE,
    OPT_UPSTREAM_UPGRADE,    OPT_ROUTE_UPGRADE,
    OPT_UPGRADE_IDLE,        OPT_UPGRADE_LIFETIME,
    OPT_POOL_SIZE,           OPT_POOL_QUEUE_TIMEOUT,
    OPT_POOL_LEAST,          OPT_POOL_PAUSE,
    OPT_TLS_CA_FILE,         OPT_TLS_CERT_FILE,
    OPT_UPSTREAM_OBSERVE,    OPT_LOG_ACCESS,
    OPT_ROOT_WATCH,          OPT_ROOT_DRAIN_DELAY,
    OPT_TLS_KEY_FILE,        OPT_CALLER_TLS_CERT_FILE,
    OPT_CALLER_TLS_KEY_FILE, OPT_CALLER_TLS_CLIENT_CA_FILE,
    OPT_RETRIES_ATTEMPTS,    OPT_RETRIES_WHEN,
    OPT_RETRIES_PER_TRY,     OPT_REPEAT_KEY,
    OPT_BUDGET_SHARE,        OPT_BUDGET_BURST,
    OPT_RETRIES_FALLBACK,    OPT_HTTP2_STREAMS,
    OPT_HTTP2_PROBE_AFTER,   OPT_POOL_FLEET,
    OPT_POOL_HOST_SIZE,      OPT_POOL_WEIGHT,
    OPT_POOL_RESERVE,        OPT_FLEET_STORE,
    OPT_FLEET_FALLBACK,      OPT_FLEET_RIDE_OUT,
    OPT_PASSWORD_FILE,
};

static enum status make_place(struct build *b, const struct yaml_node *node, uint32_t line, uint32_t column,
                              const struct place **out)
{
    struct place *place = arena_calloc(b->arena, 1, sizeof(*place));
    char block[PATH_MAX_LEN];
    struct text path = text_over(block, sizeof(block) - strlen(ELLIPSIS));

    if (!place)
        return ST_NOMEM;
    yaml_node_put_path(&path, node);
    path.cap = sizeof(block);
    if (path.overflow) {
        path.overflow = false;
        TEXT_LIT(&path, ELLIPSIS);
    }
    *place = (struct place){
        .file = b->file_names[node->source->index],
        .file_index = node->source->index,
        .line = line,
        .column = column,
        .index = b->snapshot->place_count++,
        .path = arena_text(b->arena, text_span(&path)),
    };
    *out = place;
    return place->path ? ST_OK : ST_NOMEM;
}

enum status build_place_of_key(struct build *b, const struct yaml_node *node, const struct place **out)
{
    *out = NULL;
    return node ? make_place(b, node, node->key_line, node->key_column, out) : ST_OK;
}

enum status build_places(struct build *b, struct option_values *values)
{
    enum status status = ST_OK;

    for (size_t i = 0; i < sizeof(placed) / sizeof(placed[0]) && status == ST_OK; i++) {
        struct option_value *value = &values->of[placed[i]];

        if (value->node && !value->place)
            status = make_place(b, value->node, value->node->line, value->node->column, &value->place);
    }
    return status;
}
