#include "config/load.h"

#include <string.h>

#include "config/address.h"
#include "config/build.h"
#include "config/quote.h"
#include "config/report.h"
#include "config/suggest.h"
#include "config/yaml_tree.h"

static enum status build_admin_listener(struct build *b, const struct yaml_node *listen)
{
    struct endpoint *address = &b->snapshot->admin;
    enum status status;

    address->family = ENDPOINT_UNIX;
    status = build_listener(b, listen, address);
    if (!address->has_mode) {
        address->has_mode = true;
        address->mode = ADDRESS_ADMIN_MODE;
    }
    if (status == ST_OK && !endpoint_is_local(address) && !b->snapshot->admin_allow_remote)
        report_value(b->errors, listen,
                     "%s can be reached by others, and asks nobody who they are; use loopback "
                     "or a unix socket, or set allow_remote: true",
                     quote_text(span_of(address->text)).text);
    return status;
}

static enum status build_admin(struct build *b, const struct option_values *values)
{
    const struct yaml_node *admin = values->of[OPT_ROOT_ADMIN].node;
    const struct yaml_node *listen = values->of[OPT_ADMIN_LISTEN].node;
    const struct yaml_node *metrics = values->of[OPT_ADMIN_METRICS_LISTEN].node;
    enum status status = ST_OK;

    if (!admin)
        return ST_OK;
    b->snapshot->has_admin = listen != NULL;
    b->snapshot->has_metrics = metrics != NULL;
    b->snapshot->admin_allow_remote = values->of[OPT_ADMIN_ALLOW_REMOTE].number != 0;
    if (!values->of[OPT_ADMIN_LISTEN].is_written && !values->of[OPT_ADMIN_METRICS_LISTEN].is_written)
        report_missing(b->errors, admin, "listen");
    if (listen)
        status = build_admin_listener(b, listen);
    return status == ST_OK && metrics ? build_listener(b, metrics, &b->snapshot->metrics) : status;
}

static void report_access(struct build *b, const struct yaml_node *node)
{
    struct suggestion suggestion = suggest_for(node->text);

    suggest_offer(&suggestion, SPAN_LIT("stdout"));
    suggest_offer(&suggestion, SPAN_LIT("off"));
    report_value(b->errors, node, "%s is neither stdout nor off nor a path with a / in it%s",
                 quote_text(node->text).text, suggest_text(&suggestion).text);
}

static enum status build_log(struct build *b, const struct option_values *values)
{
    const struct option_value *access = &values->of[OPT_LOG_ACCESS];
    struct log_config *log = &b->snapshot->log;

    log->level = (enum log_level)values->of[OPT_LOG_LEVEL].number;
    log->access = ACCESS_STDOUT;
    if (!access->node || span_eq(access->node->text, SPAN_LIT("stdout")))
        return ST_OK;
    log->access = ACCESS_OFF;
    if (span_eq(access->node->text, SPAN_LIT("off")))
        return ST_OK;
    log->access = ACCESS_FILE;
    log->access_at = access->place;
    if (!strchr(access->node->text.ptr, '/'))
        report_access(b, access->node);
    return build_text(b, access, &log->access_path);
}

static void build_limits(struct build *b, const struct option_values *values)
{
    const struct option_value *of = values->of;

    b->snapshot->workers = (uint32_t)of[OPT_ROOT_WORKERS].number;
    b->snapshot->drain_ns = of[OPT_ROOT_DRAIN].number;
    b->snapshot->watch = of[OPT_ROOT_WATCH].number != 0;
    b->snapshot->watch_at = of[OPT_ROOT_WATCH].place;
    b->snapshot->drain_at = of[OPT_ROOT_DRAIN].place;
    b->snapshot->drain_delay_ns = of[OPT_ROOT_DRAIN_DELAY].number;
    b->snapshot->drain_delay_at = of[OPT_ROOT_DRAIN_DELAY].place;
    b->snapshot->connections_at = of[OPT_LIMITS_CONNECTIONS].place;
    b->snapshot->limits = (struct limits_config){
        .connections = (uint32_t)of[OPT_LIMITS_CONNECTIONS].number,
        .request_head_bytes = (uint64_t)of[OPT_LIMITS_REQUEST_HEAD].number,
        .response_head_bytes = (uint64_t)of[OPT_LIMITS_RESPONSE_HEAD].number,
        .request_head_timeout_ns = of[OPT_LIMITS_REQUEST_HEAD_TIMEOUT].number,
        .handshake_timeout_ns = of[OPT_LIMITS_HANDSHAKE_TIMEOUT].number,
        .idle_timeout_ns = of[OPT_LIMITS_IDLE_TIMEOUT].number,
        .replay_bytes = (uint64_t)of[OPT_LIMITS_REPLAY].number,
        .connection_age_ns = of[OPT_LIMITS_CONNECTION_AGE].number,
        .streams = (uint32_t)of[OPT_LIMITS_STREAMS].number,
    };
}

/* As many pools of their own as upstreams and routes can have. */
static uint32_t count_own_pools(const struct yaml_node *upstreams)
{
    uint32_t count = upstreams->count;

    YAML_FOREACH(upstream, upstreams) {
        const struct yaml_node *routes = yaml_node_get(upstream, SPAN_LIT("routes"));

        count += !routes ? 0 : routes->kind == YAML_LIST ? routes->count : 1;
    }
    return count;
}

static enum status build_calls(struct build *b, const struct option_values *builtin,
                               const struct option_values *values, const struct yaml_node *root)
{
    const struct yaml_node *pools = values->of[OPT_ROOT_POOLS].node;
    const struct yaml_node *upstreams = values->of[OPT_ROOT_UPSTREAMS].node;
    const struct yaml_node *forwards = values->of[OPT_ROOT_FORWARD].node;
    uint32_t own_count =
        (upstreams ? count_own_pools(upstreams) : 0) + (forwards ? build_count_forward_pools(forwards) : 0);
    enum status status = build_pools(b, builtin, pools, own_count);

    if (status != ST_OK)
        return status;
    if (!values->of[OPT_ROOT_UPSTREAMS].is_written && !values->of[OPT_ROOT_FORWARD].is_written)
        report_missing(b->errors, root, "upstreams");
    if (upstreams && upstreams->count == 0 && !forwards)
        report_value(b->errors, upstreams, "at least one upstream is needed");
    status = build_upstreams(b, values, upstreams, forwards ? forwards->count : 0);
    if (status == ST_OK && forwards)
        status = build_forwards(b, builtin, forwards);
    return status == ST_OK ? build_own(b->snapshot) : status;
}

static enum status build_all(struct build *b, const struct yaml_node *root)
{
    struct option_values builtin, values;
    enum status status;

    schema_init(&builtin);
    values = builtin;
    if ((status = schema_read(&values, SECTION_ROOT, root, b->scratch, b->errors)) != ST_OK ||
        (status = build_places(b, &values)) != ST_OK)
        return status;
    build_limits(b, &values);
    if ((status = build_admin(b, &values)) != ST_OK || (status = build_log(b, &values)) != ST_OK)
        return status;
    status = build_fleet(b, &builtin, values.of[OPT_ROOT_FLEET].node);
    return status == ST_OK ? build_calls(b, &builtin, &values, root) : status;
}

/* A snapshot with nothing in it, in an arena of its own. */
static struct snapshot *new_snapshot(void)
{
    struct arena *arena = arena_new();
    struct snapshot *snapshot = arena ? arena_calloc(arena, 1, sizeof(*snapshot)) : NULL;

    if (!snapshot)
        arena_free(arena);
    else
        snapshot->arena = arena;
    return snapshot;
}

/* The trees of all files as one. */
static enum status read_trees(struct arena *scratch, struct config_source *sources, uint32_t count,
                              const struct config_files *files, struct config_errors *errors,
                              struct yaml_node **root)
{
    struct yaml_node **roots = arena_calloc(scratch, count, sizeof(*roots));
    enum status result = roots ? ST_OK : ST_NOMEM, status = ST_OK;

    for (uint32_t i = 0; i < count && result != ST_NOMEM; i++) {
        sources[i].index = i;
        status = yaml_tree_read(scratch, &sources[i], files, errors, &roots[i]);
        if (status != ST_OK)
            result = status;
    }
    if (result != ST_OK)
        return result;
    yaml_tree_merge(roots, count, errors, root);
    if (*root)
        return ST_OK;
    report_at(errors, &sources[0], 1, 1, count == 1 ? "the file is empty" : "all files are empty");
    return ST_BAD;
}

static enum status copy_names(struct build *b, const struct config_source *sources, uint32_t count)
{
    b->file_names = arena_calloc(b->arena, count, sizeof(*b->file_names));
    for (uint32_t i = 0; b->file_names && i < count; i++) {
        b->file_names[i] = arena_text(b->arena, span_of(sources[i].name));
        if (!b->file_names[i])
            return ST_NOMEM;
    }
    return b->file_names ? ST_OK : ST_NOMEM;
}

/* From the bytes to a snapshot; what is read in between lives in `scratch`. */
static enum status load(struct arena *scratch, struct config_source *sources, uint32_t count,
                        const struct config_files *files, struct snapshot *snapshot,
                        struct config_errors *errors)
{
    struct build b = {
        .arena = snapshot->arena,
        .scratch = scratch,
        .errors = errors,
        .files = files,
        .snapshot = snapshot,
    };
    struct yaml_node *root = NULL;
    enum status status = read_trees(scratch, sources, count, files, errors, &root);

    if (status == ST_OK)
        status = copy_names(&b, sources, count);
    if (status == ST_OK)
        status = build_all(&b, root);
    return status == ST_OK && errors->count != 0 ? ST_BAD : status;
}

enum status config_load_all(struct config_source *sources, uint32_t count, const struct config_files *files,
                            struct snapshot **out, struct config_errors *errors)
{
    struct arena *scratch = arena_new();
    struct snapshot *snapshot = new_snapshot();
    enum status status = ST_NOMEM;

    errors->count = 0;
    errors->file = sources[0].name;
    if (errors->warnings)
        errors->warnings->file = sources[0].name;
    if (scratch && snapshot)
        status = load(scratch, sources, count, files, snapshot, errors);
    arena_free(scratch);
    if (status == ST_OK)
        *out = snapshot;
    else
        snapshot_free(snapshot);
    return status;
}

enum status config_load(struct span bytes, const struct config_files *files, struct snapshot **out,
                        struct config_errors *errors)
{
    struct config_source source = {.name = "", .bytes = bytes};

    return config_load_all(&source, 1, files, out, errors);
}

static const struct yaml_node *get(const struct yaml_node *node, struct span key)
{
    return node && node->kind == YAML_MAP ? yaml_node_get(node, key) : NULL;
}

static bool put_admin(const struct yaml_node *root, bool metrics_will_do, char *text, size_t cap)
{
    const struct yaml_node *admin = get(root, SPAN_LIT("admin"));
    const struct yaml_node *listen = get(admin, SPAN_LIT("listen"));

    if (!listen && metrics_will_do)
        listen = get(admin, SPAN_LIT("metrics_listen"));
    if (listen && listen->kind == YAML_MAP)
        listen = yaml_node_get(listen, SPAN_LIT("address"));
    if (!listen || listen->kind != YAML_TEXT || listen->is_bad || listen->text.len >= cap)
        return false;
    memcpy(text, listen->text.ptr, listen->text.len);
    text[listen->text.len] = '\0';
    return true;
}

bool config_find_admin(struct config_source *sources, uint32_t count, const struct config_files *files,
                       bool metrics_will_do, struct config_errors *errors, char *text, size_t cap)
{
    struct arena *scratch = arena_new();
    bool is_there = false;

    errors->count = 0;
    for (uint32_t i = 0; scratch && i < count && !is_there; i++) {
        struct yaml_node *root;

        sources[i].index = i;
        is_there = yaml_tree_read(scratch, &sources[i], files, errors, &root) == ST_OK &&
                   put_admin(root, metrics_will_do, text, cap);
    }
    arena_free(scratch);
    return is_there;
}
