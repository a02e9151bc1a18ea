#include "base/mem.h"
#include "config/build.h"
#include "config/quote.h"
#include "config/report.h"
#include "http/http1.h"

/* What is put into requests: the value without white space around it. */
struct field {
    struct span name;
    struct span value;
    const struct yaml_node *node;
    bool is_bad; /* which has been reported */
};

struct fields {
    struct field *list;
    uint32_t count;
};

/* Framing, hop-by-hop and routing fields: two hands on these make a request that says two things. */
static bool is_ours(struct span name)
{
    static const char *const names[] = {
        "Connection", "Content-Length",    "Expect",  "Host", "Keep-Alive", "Proxy-Connection", "TE",
        "Trailer",    "Transfer-Encoding", "Upgrade",
    };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (span_eq_nocase(name, span_of(names[i])))
            return true;
    }
    return false;
}

bool build_is_field_name(struct build *b, const struct yaml_node *node, struct span name, bool is_key)
{
    const char *why = NULL;
    struct quoted quoted = quote_text(name);

    if (!http1_is_token(name))
        why = "is not the name of a field";
    else if (is_ours(name))
        why = "is set by curfew itself";
    if (why && is_key)
        report_key(b->errors, node, "%s", why);
    else if (why)
        report_value(b->errors, node, "%s %s", quoted.text, why);
    return !why;
}

/* Where a value comes from: a text, or a file with what stands before it. */
struct source {
    const struct yaml_node *text, *file,
        *prefix; /* text and file NULL: there is none, which has been reported */
};

static enum status find_source(struct build *b, const struct yaml_node *node, struct source *out)
{
    struct option_values values = {0};
    enum status status;

    *out = (struct source){NULL, NULL, NULL};
    if (node->kind == YAML_LIST)
        report_value(b->errors, node, "a text or {file: PATH} is needed here, not a list");
    else if (node->kind == YAML_TEXT && schema_is_text(node, b->errors))
        out->text = node;
    if (node->kind != YAML_MAP)
        return ST_OK;
    status = schema_read(&values, SECTION_FIELD, node, b->scratch, b->errors);
    schema_require(&values, SECTION_FIELD, node, b->errors);
    out->file = values.of[OPT_FIELD_FILE].node;
    out->prefix = values.of[OPT_FIELD_PREFIX].node;
    return status;
}

static const char *refuse_value(const struct build *b, struct span value)
{
    if (value.len > b->snapshot->limits.request_head_bytes)
        return "the value is longer than limits.request_head";
    return http1_is_field_value(value) ? NULL : "the value holds a line break or another control character";
}

/* `prefix` and `value` as one, without blanks around it. A file's value may be a secret: no message shows it. */
static enum status take_value(struct build *b, const struct yaml_node *node, struct span prefix,
                              struct span value, struct span *out)
{
    size_t len = prefix.len + value.len;
    struct text whole = text_over(arena_calloc(b->arena, len, 1), len);
    const char *why;

    if (!whole.ptr)
        return ST_NOMEM;
    text_put(&whole, prefix);
    text_put(&whole, value);
    *out = span_trim(text_span(&whole));
    why = refuse_value(b, *out);
    if (!why)
        return ST_OK;
    report_value(b->errors, node, "%s", why);
    *out = SPAN_LIT("");
    return ST_OK;
}

static enum status take_file(struct build *b, const struct source *source, struct span *out)
{
    struct span prefix = source->prefix ? source->prefix->text : SPAN_LIT("");
    struct span value;
    enum status status;
    char *bytes;
    size_t len;

    status = build_read_file(b, source->file, &bytes, &len);
    if (status != ST_OK || !bytes)
        return status;
    value = span_trim((struct span){bytes, len});
    if (value.len == 0)
        report_value(b->errors, source->file, "the file is empty");
    else if (value.len >= 3 && memcmp(value.ptr, "\xef\xbb\xbf", 3) == 0)
        report_value(b->errors, source->file, "the file begins with a byte order mark; save it without one");
    else
        status = take_value(b, source->file, prefix, value, out);
    explicit_bzero(bytes, len);
    mem_free(bytes);
    return status;
}

enum status build_field_value(struct build *b, const struct yaml_node *node, struct span *out)
{
    struct source source;
    enum status status = find_source(b, node, &source);

    *out = SPAN_LIT("");
    if (status == ST_OK && source.text)
        status = take_value(b, source.text, SPAN_LIT(""), source.text->text, out);
    else if (status == ST_OK && source.file)
        status = take_file(b, &source, out);
    return status;
}

static struct field *find_field(const struct fields *fields, struct span name)
{
    for (uint32_t i = 0; i < fields->count; i++) {
        if (span_eq_nocase(fields->list[i].name, name))
            return &fields->list[i];
    }
    return NULL;
}

/* All of one map; a field that is there already, from `defaults`, is replaced. */
static enum status add_fields(struct build *b, struct fields *fields, const struct yaml_node *map)
{
    YAML_FOREACH(member, map) {
        struct field *field = find_field(fields, member->key);
        uint32_t errors = b->errors->count;
        enum status status;

        if (field && field->node->parent == map)
            report_key(b->errors, member, "is set on %s already", report_line(member, field->node).text);
        if (!span_eq_nocase(member->key, SPAN_LIT("Host")))
            (void)build_is_field_name(b, member, member->key, true);
        if (!field)
            field = &fields->list[fields->count++];
        field->name = member->key;
        field->node = member;
        status = build_field_value(b, member, &field->value);
        if (status != ST_OK)
            return status;
        field->is_bad = b->errors->count != errors;
    }
    return ST_OK;
}

static enum status collect_fields(struct build *b, const struct build_upstream *u, struct fields *fields)
{
    const struct yaml_node *own = u->values.of[OPT_HEADERS_SET].node;
    const struct yaml_node *inherited = u->defaults->of[OPT_HEADERS_SET].node;
    enum status status = ST_OK;

    if (inherited == own)
        inherited = NULL;
    fields->count = 0;
    fields->list = arena_calloc(b->scratch, (own ? own->count : 0) + (inherited ? inherited->count : 0),
                                sizeof(*fields->list));
    if (!fields->list)
        return ST_NOMEM;
    if (inherited)
        status = add_fields(b, fields, inherited);
    if (own && status == ST_OK)
        status = add_fields(b, fields, own);
    return status;
}

static enum status make_lines(struct build *b, const struct fields *fields, struct span *out)
{
    struct text lines;
    size_t len = 0;

    for (uint32_t i = 0; i < fields->count; i++)
        len += fields->list[i].name.len + fields->list[i].value.len + strlen(": \r\n");
    lines = text_over(arena_calloc(b->arena, len, 1), len);
    if (!lines.ptr)
        return ST_NOMEM;
    for (uint32_t i = 0; i < fields->count; i++) {
        const struct field *field = &fields->list[i];

        if (span_eq_nocase(field->name, SPAN_LIT("Host")))
            continue;
        text_put(&lines, field->name);
        TEXT_LIT(&lines, ": ");
        text_put(&lines, field->value);
        TEXT_LIT(&lines, "\r\n");
    }
    *out = text_span(&lines);
    return ST_OK;
}

static enum status drop(struct build *b, struct span *names, uint32_t *count, struct span name)
{
    for (uint32_t i = 0; i < *count; i++) {
        if (span_eq_nocase(names[i], name))
            return ST_OK;
    }
    names[*count] = (struct span){arena_text(b->arena, name), name.len};
    return names[(*count)++].ptr ? ST_OK : ST_NOMEM;
}

/* All that the caller may not send on: what we set or remove, and every header of caller_deadline. */
static enum status drop_all(struct build *b, struct build_upstream *u, const struct fields *fields)
{
    const struct caller_deadline_config *cd = &u->out->caller_deadline;
    const struct yaml_node *remove = u->values.of[OPT_HEADERS_REMOVE].node;
    uint32_t most = fields->count + (remove ? remove->count : 0) + cd->header_count + 2, count = 0;
    struct span *names = arena_calloc(b->arena, most, sizeof(*names));
    enum status status = names ? ST_OK : ST_NOMEM;

    for (uint32_t i = 0; i < fields->count && status == ST_OK; i++) {
        if (!span_eq_nocase(fields->list[i].name, SPAN_LIT("Host")))
            status = drop(b, names, &count, fields->list[i].name);
    }
    for (const struct yaml_node *node = remove ? remove->first : NULL; node && status == ST_OK;
         node = node->next) {
        (void)build_is_field_name(b, node, node->text, false);
        status = drop(b, names, &count, node->text);
    }
    for (uint32_t i = 0; i < count && status == ST_OK; i++)
        u->out->owns_grpc_timeout |= span_eq_nocase(names[i], SPAN_LIT("grpc-timeout"));
    for (uint32_t i = 0; i < cd->header_count && status == ST_OK; i++)
        status = drop(b, names, &count, cd->headers[i]);
    if (cd->forward.len != 0 && status == ST_OK)
        status = drop(b, names, &count, cd->forward);
    if (u->out->retry_tell.len != 0 && status == ST_OK)
        status = drop(b, names, &count, u->out->retry_tell);
    forward_rules_set_dropped(&u->out->rules, names, count);
    return status;
}

/* The url's host, and its port unless it is the scheme's own (RFC 9110 7.2). */
static enum status make_host(struct build *b, const struct build_upstream *u, struct span *out)
{
    const struct url *url = &u->url;
    bool is_ipv6 = url->host_is_ip && url->ip.family == ENDPOINT_IPV6;
    size_t most = url->host.len + strlen("[]:65535");
    struct text host = text_over(arena_calloc(b->arena, most, 1), most);

    if (!host.ptr)
        return ST_NOMEM;
    if (is_ipv6)
        TEXT_LIT(&host, "[");
    text_put(&host, url->host);
    if (is_ipv6)
        TEXT_LIT(&host, "]");
    if (!url->has_default_port) {
        TEXT_LIT(&host, ":");
        text_u64(&host, url->port);
    }
    *out = text_span(&host);
    return ST_OK;
}

/* Fields that are written for each call can't be set as well. */
static void check_written(struct build *b, const struct build_upstream *u, const struct fields *fields)
{
    const struct yaml_node *forward = u->values.of[OPT_CALLER_DEADLINE_FORWARD].node;
    const struct field *field = find_field(fields, u->out->caller_deadline.forward);

    if (field)
        report_key(b->errors, field->node, "is what caller_deadline.forward writes");
    field = find_field(fields, u->out->retry_tell);
    if (field)
        report_key(b->errors, field->node, "is what retries.tell writes");
    field = u->out->trace ? find_field(fields, SPAN_LIT("traceparent")) : NULL;
    if (field)
        report_key(b->errors, field->node, "is what trace writes");
    if (u->out->trace && forward && span_eq_nocase(forward->text, SPAN_LIT("traceparent")))
        report_value(b->errors, forward, "is what trace writes");
}

enum status build_rules(struct build *b, struct build_upstream *u)
{
    struct forward_rules *rules = &u->out->rules;
    const struct field *host;
    struct fields fields;
    enum status status;

    if ((status = collect_fields(b, u, &fields)) != ST_OK ||
        (status = make_lines(b, &fields, &rules->set_lines)) != ST_OK ||
        (status = drop_all(b, u, &fields)) != ST_OK)
        return status;
    rules->tells = (enum forward_tells)u->values.of[OPT_HEADERS_FORWARDED].number;
    rules->rewrites_location = u->values.of[OPT_HEADERS_LOCATION].number != 0;
    rules->is_https = u->url.is_https;
    rules->via = u->values.of[OPT_HEADERS_VIA].number != 0;
    u->out->hides_trace = forward_rules_drop(rules, SPAN_LIT("traceparent"));
    check_written(b, u, &fields);
    rules->base_path = (struct span){arena_text(b->arena, u->url.base_path), u->url.base_path.len};
    if (!rules->base_path.ptr)
        return ST_NOMEM;
    status = make_host(b, u, &rules->origin);
    if (status != ST_OK)
        return status;
    host = find_field(&fields, SPAN_LIT("Host"));
    u->out->host_is_set = host != NULL;
    rules->host = host ? host->value : rules->origin;
    if (!host || host->is_bad)
        return ST_OK;
    if (host->value.len == 0)
        report_value(b->errors, host->node, "Host can't be empty");
    else if (!http1_is_host(host->value))
        report_value(b->errors, host->node, "Host must be a name or an IP address, perhaps with a port");
    return ST_OK;
}
