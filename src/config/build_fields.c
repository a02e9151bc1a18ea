#include "base/mem.h"
#include "config/build.h"
#include "config/report.h"
#include "config/suggest.h"
#include "core/http1.h"

/* A field line longer than that meets many servers' limits on a head. */
#define VALUE_MAX 8192

/* What is put into requests: the value without white space around it. */
struct field {
    struct span name;
    struct span value;
    const struct yaml_node *node;
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
        "Trailer",    "Transfer-Encoding", "Upgrade", "Via",
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
    struct quoted quoted = report_quote(name);

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

/* The node that holds the value, or names the file that does (*is_file); NULL if there is none: reported. */
static const struct yaml_node *find_value(struct build *b, const struct yaml_node *node, bool *is_file)
{
    const struct yaml_node *file = yaml_tree_get(node, SPAN_LIT("file"));

    *is_file = node->kind == YAML_MAP;
    if (node->kind == YAML_LIST) {
        report_value(b->errors, node, "a text or {file: PATH} is needed here, not a list");
        return NULL;
    }
    if (node->kind == YAML_TEXT)
        return schema_is_text(node, b->errors) ? node : NULL;
    YAML_FOREACH(member, node) {
        struct suggestion suggestion = suggest_for(member->key);

        suggest_offer(&suggestion, SPAN_LIT("file"));
        if (member != file)
            report_key(b->errors, member, "unknown key%s", suggest_text(&suggestion).text);
    }
    if (!file)
        report_missing(b->errors, node, "file");
    return file && schema_is_text(file, b->errors) ? file : NULL;
}

static const char *refuse_value(struct span value, bool is_file)
{
    if (value.len > VALUE_MAX)
        return "the value is longer than 8KiB";
    if (is_file && value.len == 0)
        return "the file is empty";
    return http1_is_field_value(value) ? NULL : "the value holds a line break or another control character";
}

/* A file's value may be a secret: no message shows it. */
static enum status take_value(struct build *b, const struct yaml_node *node, bool is_file, struct span value,
                              struct span *out)
{
    const char *why;

    value = span_trim(value);
    why = refuse_value(value, is_file);
    if (why) {
        report_value(b->errors, node, "%s", why);
        return ST_OK;
    }
    *out = (struct span){arena_text(b->arena, value), value.len};
    return out->ptr ? ST_OK : ST_NOMEM;
}

static enum status read_value(struct build *b, const struct yaml_node *node, struct span *out)
{
    bool is_file;
    const struct yaml_node *source = find_value(b, node, &is_file);
    enum status status;
    char *bytes;
    size_t len;

    *out = SPAN_LIT("");
    if (!source)
        return ST_OK;
    if (!is_file)
        return take_value(b, source, false, source->text, out);
    status = build_read_file(b, source, &bytes, &len);
    if (status != ST_OK || !bytes)
        return status;
    status = take_value(b, source, true, (struct span){bytes, len}, out);
    explicit_bzero(bytes, len);
    mem_free(bytes);
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
        enum status status;

        if (field && field->node->parent == map)
            report_key(b->errors, member, "is set on line %u already", field->node->key_line);
        if (!span_eq_nocase(member->key, SPAN_LIT("Host")))
            (void)build_is_field_name(b, member, member->key, true);
        if (!field)
            field = &fields->list[fields->count++];
        field->name = member->key;
        field->node = member;
        status = read_value(b, member, &field->value);
        if (status != ST_OK)
            return status;
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
    uint32_t most = fields->count + (remove ? remove->count : 0) + cd->header_count + 1, count = 0;
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
    for (uint32_t i = 0; i < cd->header_count && status == ST_OK; i++)
        status = drop(b, names, &count, cd->headers[i]);
    if (cd->forward.len != 0 && status == ST_OK)
        status = drop(b, names, &count, cd->forward);
    u->out->rules.dropped = names;
    u->out->rules.dropped_count = count;
    return status;
}

/* The url's host, and its port unless it is the scheme's own (RFC 9110 7.2). */
static enum status make_host(struct build *b, const struct build_upstream *u, struct span *out)
{
    const struct url *url = &u->url;
    bool is_ipv6 = url->host_is_ip && url->ip.family == ADDRESS_IPV6;
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
    field = u->out->trace ? find_field(fields, SPAN_LIT("traceparent")) : NULL;
    if (field)
        report_key(b->errors, field->node, "is what trace writes");
    if (u->out->trace && forward && span_eq_nocase(forward->text, SPAN_LIT("traceparent")))
        report_value(b->errors, forward, "is what trace writes");
}

static bool is_dropped(const struct forward_rules *rules, struct span name)
{
    for (uint32_t i = 0; i < rules->dropped_count; i++) {
        if (span_eq_nocase(rules->dropped[i], name))
            return true;
    }
    return false;
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
    u->out->hides_trace = is_dropped(rules, SPAN_LIT("traceparent"));
    check_written(b, u, &fields);
    rules->base_path = (struct span){arena_text(b->arena, u->url.base_path), u->url.base_path.len};
    if (!rules->base_path.ptr)
        return ST_NOMEM;
    host = find_field(&fields, SPAN_LIT("Host"));
    u->out->host_is_set = host != NULL;
    if (!host)
        return make_host(b, u, &rules->host);
    if (host->value.len == 0)
        report_value(b->errors, host->node, "Host can't be empty");
    else if (!http1_is_host(host->value))
        report_value(b->errors, host->node, "Host must be a name or an IP address, perhaps with a port");
    rules->host = host->value;
    return ST_OK;
}
