#include "config/yaml_node.h"

#include "config/quote.h"

const struct yaml_node *yaml_node_get(const struct yaml_node *map, struct span key)
{
    if (map->kind != YAML_MAP)
        return NULL;
    YAML_FOREACH(member, map) {
        if (span_eq(member->key, key))
            return member;
    }
    return NULL;
}

const struct yaml_node *yaml_node_list_of(struct arena *arena, const struct yaml_node *node)
{
    struct yaml_node *list = arena_calloc(arena, 2, sizeof(*list)), *item;

    if (!list)
        return NULL;
    item = list + 1;
    *list = *item = *node;
    item->parent = list;
    item->next = NULL;
    item->index = 0;
    list->kind = YAML_LIST;
    list->is_alone = true;
    list->first = list->last = item;
    list->count = 1;
    return list;
}

static bool is_simple(struct span key)
{
    for (size_t i = 0; i < key.len; i++) {
        char c = key.ptr[i];
        bool is_alnum = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');

        if (!is_alnum && c != '_' && c != '-' && c != '.')
            return false;
    }
    return key.len != 0 && key.len <= 64;
}

void yaml_node_put_key(struct text *out, struct span key)
{
    text_put(out, is_simple(key) ? key : span_of(quote_text(key).text));
}

void yaml_node_put_path(struct text *out, const struct yaml_node *node)
{
    if (!node->parent)
        return;
    yaml_node_put_path(out, node->parent);
    if (node->parent->is_alone)
        return;
    if (node->parent->kind == YAML_LIST) {
        TEXT_LIT(out, "[");
        text_u64(out, node->index);
        TEXT_LIT(out, "]");
        return;
    }
    if (node->parent->parent)
        TEXT_LIT(out, ".");
    yaml_node_put_key(out, node->key);
}
