#include "config/report.h"
#include "config/yaml_tree.h"

/* Maps of names, which may be spread over files. */
static bool is_spread(struct span key)
{
    return span_eq(key, SPAN_LIT("upstreams")) || span_eq(key, SPAN_LIT("pools")) ||
           span_eq(key, SPAN_LIT("forward"));
}

static struct yaml_node *get(struct yaml_node *map, struct span key)
{
    for (struct yaml_node *member = map->first; member; member = member->next) {
        if (span_eq(member->key, key))
            return member;
    }
    return NULL;
}

/* The child goes over from its own parent, which is not used any more. */
static void adopt(struct yaml_node *map, struct yaml_node *child)
{
    child->parent = map;
    child->index = map->count++;
    child->next = NULL;
    if (map->last)
        map->last->next = child;
    else
        map->first = child;
    map->last = child;
}

/* All names of one file into what was there before. */
static void spread(struct yaml_node *map, struct yaml_node *more, struct config_errors *errors)
{
    struct yaml_node *next;

    for (struct yaml_node *child = more->first; child; child = next) {
        const struct yaml_node *same = get(map, child->key);

        next = child->next;
        if (same)
            report_key(errors, child, "is there already, on %s", report_line(child, same).text);
        else if (map->count == YAML_ENTRIES_MAX)
            report_key(errors, child, "more than %d entries in all files", YAML_ENTRIES_MAX);
        else
            adopt(map, child);
    }
}

static void add_root(struct yaml_node *all, struct yaml_node *root, struct config_errors *errors)
{
    struct yaml_node *next;

    for (struct yaml_node *member = root->first; member; member = next) {
        struct yaml_node *same = get(all, member->key);

        next = member->next;
        if (!same)
            adopt(all, member);
        else if (!is_spread(member->key))
            report_key(errors, member,
                       "is there already, on %s; only upstreams, pools and forward may be in several files",
                       report_line(member, same).text);
        else if (same->kind == YAML_MAP && member->kind == YAML_MAP)
            spread(same, member, errors);
        else if (!member->is_null)
            report_value(errors, member, "a map of names is needed here");
    }
}

void yaml_tree_merge(struct yaml_node **roots, uint32_t count, struct config_errors *errors,
                     struct yaml_node **out)
{
    *out = NULL;
    for (uint32_t i = 0; i < count; i++) {
        if (!*out)
            *out = roots[i];
        else if (roots[i])
            add_root(*out, roots[i], errors);
    }
}
