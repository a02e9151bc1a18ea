#include "base/number.h"
#include "config/address.h"
#include "config/build.h"
#include "config/quote.h"
#include "config/report.h"

/* Its owner has to be able to write to a socket's file; nothing beyond permissions is meant. */
#define MODE_MIN 0600u
#define MODE_MAX 0777u

/* An address that is taken, and where that is written. */
struct build_taken {
    const struct endpoint *address;
    const struct yaml_node *node;
    struct build_taken *next;
};

static const struct build_taken *find_in_the_way(const struct build *b, const struct endpoint *address)
{
    for (const struct build_taken *taken = b->listeners; taken; taken = taken->next) {
        if (endpoint_overlaps(taken->address, address))
            return taken;
    }
    return NULL;
}

static enum status remember(struct build *b, const struct endpoint *address, const struct yaml_node *node)
{
    struct build_taken *taken = arena_calloc(b->scratch, 1, sizeof(*taken));

    if (!taken)
        return ST_NOMEM;
    *taken = (struct build_taken){address, node, b->listeners};
    b->listeners = taken;
    return ST_OK;
}

/* In the snapshot; a port alone gets its host. */
static const char *copy_address(struct build *b, struct span text)
{
    static const char host[] = "127.0.0.1:";
    char block[32];
    struct text full = text_over(block, sizeof(block));
    uint64_t port;

    if (number_u64(text, &port) != NUMBER_OK || port > UINT16_MAX)
        return arena_text(b->arena, text);
    text_put(&full, span_of(host));
    text_u64(&full, port);
    return arena_text(b->arena, text_span(&full));
}

static enum status read_address(struct build *b, const struct yaml_node *node, struct endpoint *out)
{
    const char *text = copy_address(b, node->text);
    const struct build_taken *other;
    const char *why;

    if (!text)
        return ST_NOMEM;
    why = address_parse(text, out);
    if (why) {
        report_value(b->errors, node, "%s: %s", quote_text(node->text).text, why);
        out->family = ENDPOINT_UNIX; /* which nothing more is found wrong with */
        return ST_OK;
    }
    if (out->family == ENDPOINT_UNIX && b->files->refuse_socket &&
        (why = b->files->refuse_socket(b->files->arg, out->path)) != NULL)
        report_value(b->errors, node, "%s: %s", quote_text(node->text).text, why);
    other = find_in_the_way(b, out);
    if (!other)
        return remember(b, out, node);
    if (endpoint_is_equal(other->address, out))
        report_value(b->errors, node, "%s is used already, on %s", quote_text(node->text).text,
                     report_line(node, other->node).text);
    else
        report_value(b->errors, node, "%s overlaps with %s on %s: only one of them can listen",
                     quote_text(node->text).text, quote_text(other->node->text).text,
                     report_line(node, other->node).text);
    return ST_OK;
}

/* "0660", "660" or "0o660". */
static bool parse_mode(struct span text, uint32_t *mode)
{
    size_t at = text.len > 2 && text.ptr[0] == '0' && text.ptr[1] == 'o' ? 2 : 0;

    *mode = 0;
    for (; at < text.len; at++) {
        if (text.ptr[at] < '0' || text.ptr[at] > '7' || *mode > MODE_MAX)
            return false;
        *mode = *mode << 3 | (uint32_t)(text.ptr[at] - '0');
    }
    return *mode <= MODE_MAX && (*mode & MODE_MIN) == MODE_MIN;
}

static void read_mode(struct build *b, const struct yaml_node *node, struct endpoint *out)
{
    out->has_mode = parse_mode(node->text, &out->mode);
    if (!out->has_mode)
        report_value(b->errors, node, "%s is not 0600 to 0777; write for example \"0660\"",
                     quote_text(node->text).text);
}

static enum status read_group(struct build *b, const struct yaml_node *node, struct endpoint *out)
{
    uint64_t number;

    out->has_group = true;
    out->group_name = arena_text(b->arena, node->text);
    if (number_u64(node->text, &number) == NUMBER_OK && number < UINT32_MAX)
        out->group = (uint32_t)number;
    else if (!b->files->group || !b->files->group(b->files->arg, node->text.ptr, &out->group))
        report_value(b->errors, node, "there is no group %s", quote_text(node->text).text);
    return out->group_name ? ST_OK : ST_NOMEM;
}

static enum status read_map(struct build *b, const struct yaml_node *map, struct endpoint *out)
{
    struct option_values values = {0};
    const struct option_value *of = values.of;
    const struct yaml_node *mode, *group;
    enum status status = schema_read(&values, SECTION_LISTENER, map, b->scratch, b->errors);

    schema_require(&values, SECTION_LISTENER, map, b->errors);
    if (status != ST_OK || !of[OPT_LISTENER_ADDRESS].node)
        return status;
    status = read_address(b, of[OPT_LISTENER_ADDRESS].node, out);
    mode = of[OPT_LISTENER_MODE].node;
    group = of[OPT_LISTENER_GROUP].node;
    if (out->family != ENDPOINT_UNIX && (mode || group))
        report_key(b->errors, mode ? mode : group, "only for unix sockets");
    if (mode)
        read_mode(b, mode, out);
    if (group && status == ST_OK)
        status = read_group(b, group, out);
    return status;
}

enum status build_listener(struct build *b, const struct yaml_node *node, struct endpoint *out)
{
    return node->kind == YAML_MAP ? read_map(b, node, out) : read_address(b, node, out);
}

static enum status build_addresses(struct build *b, const struct yaml_node *list, struct endpoint *out)
{
    enum status status = ST_OK;

    for (const struct yaml_node *node = list ? list->first : NULL; node && status == ST_OK; node = node->next)
        status = build_listener(b, node, &out[node->index]);
    return status;
}

enum status build_listen(struct build *b, struct build_upstream *u)
{
    const struct option_value *of = u->values.of;
    const struct yaml_node *plain = of[OPT_UPSTREAM_LISTEN].node, *tls = of[OPT_UPSTREAM_LISTEN_TLS].node;
    uint32_t plain_count = plain ? plain->count : 0, tls_count = tls ? tls->count : 0;
    struct endpoint *addresses = arena_calloc(b->arena, plain_count + tls_count, sizeof(*addresses));
    enum status status;

    if (!addresses)
        return ST_NOMEM;
    u->out->listen = addresses;
    u->out->listen_count = plain_count + tls_count;
    u->out->listen_tls_count = tls_count;
    status = build_addresses(b, plain, addresses);
    return status == ST_OK ? build_addresses(b, tls, addresses + plain_count) : status;
}
