#include "config/address.h"
#include "config/build.h"
#include "config/report.h"

struct build_listener {
    const struct address *address;
    const struct yaml_node *node;
    struct build_listener *next;
};

static const struct yaml_node *find_same(const struct build *b, const struct address *address)
{
    for (const struct build_listener *l = b->listeners; l; l = l->next) {
        if (address_is_same(l->address, address))
            return l->node;
    }
    return NULL;
}

static enum status remember(struct build *b, const struct address *address, const struct yaml_node *node)
{
    struct build_listener *listener = arena_calloc(b->scratch, 1, sizeof(*listener));

    if (!listener)
        return ST_NOMEM;
    *listener = (struct build_listener){address, node, b->listeners};
    b->listeners = listener;
    return ST_OK;
}

enum status build_address(struct build *b, const struct yaml_node *node, struct address *out)
{
    const char *text = arena_text(b->arena, node->text);
    const struct yaml_node *other;
    const char *why;

    if (!text)
        return ST_NOMEM;
    why = address_parse(text, out);
    if (why) {
        report_value(b->errors, node, "%s: %s", report_quote(node->text).text, why);
        return ST_OK;
    }
    other = find_same(b, out);
    if (other) {
        report_value(b->errors, node, "%s is used already, on line %u", report_quote(node->text).text,
                     other->line);
        return ST_OK;
    }
    return remember(b, out, node);
}

enum status build_listen(struct build *b, struct build_upstream *u)
{
    const struct yaml_node *node = u->values.of[OPT_UPSTREAM_LISTEN].node;
    uint32_t count = !node ? 0 : node->kind == YAML_LIST ? node->count : 1;
    struct address *addresses = arena_calloc(b->arena, count, sizeof(*addresses));
    enum status status = ST_OK;

    if (!addresses)
        return ST_NOMEM;
    u->out->listen = addresses;
    u->out->listen_count = count;
    if (node && node->kind == YAML_LIST)
        node = node->first;
    for (uint32_t i = 0; i < count && status == ST_OK; i++, node = node->next)
        status = build_address(b, node, &addresses[i]);
    return status;
}
