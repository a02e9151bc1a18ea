#include "config/schema.h"

#include "base/number.h"
#include "config/report.h"
#include "config/suggest.h"

void schema_init(struct option_values *values)
{
    memset(values, 0, sizeof(*values));
    for (size_t i = 0; i < OPT_COUNT; i++) {
        const struct option *option = &option_table[i];
        char unused[1];
        struct text why = text_over(unused, 0);

        /* "required" and "the upstream's" are no values: these have none until one is read. */
        if (option_is_number(option) &&
            !option_read(option, span_of(option->fallback), &values->of[i].number, &why))
            values->of[i].number = NS_NEVER;
    }
}

static void report_unknown(enum option_section section, const struct yaml_node *member,
                           struct config_errors *errors)
{
    struct suggestion suggestion = suggest_for(member->key);

    for (size_t i = 0; i < OPT_COUNT; i++) {
        if (option_is_in(&option_table[i], section))
            suggest_offer(&suggestion, span_of(option_table[i].key));
    }
    report_key(errors, member, "unknown key%s", suggest_text(&suggestion).text);
}

static bool is_empty(const struct yaml_node *node, struct config_errors *errors)
{
    if (node->is_null)
        report_value(errors, node, "has no value");
    return node->is_null;
}

bool schema_is_text(const struct yaml_node *node, struct config_errors *errors)
{
    if (is_empty(node, errors))
        return false;
    if (node->kind != YAML_TEXT)
        report_value(errors, node, "a text is needed here, not a %s",
                     node->kind == YAML_LIST ? "list" : "map");
    return node->kind == YAML_TEXT;
}

/* A list of texts with something in it. */
static bool is_list_of_texts(const struct yaml_node *list, struct config_errors *errors)
{
    bool is_good = true;

    if (list->count == 0) {
        report_value(errors, list, "the list is empty");
        return false;
    }
    YAML_FOREACH(item, list) {
        is_good = schema_is_text(item, errors) && is_good;
    }
    return is_good;
}

static const struct {
    bool text, list, map;
    const char *name;
} shapes[] = {
    [OPTION_TEXTS] = {false, true, false, "a list"},
    [OPTION_TEXT_OR_LIST] = {true, true, false, "a text or a list"},
    [OPTION_FIELDS] = {false, false, true, "a map"},
    [OPTION_MAP] = {false, false, true, "a map"},
    [OPTION_MAPS] = {false, false, true, "a map"},
    [OPTION_LIST] = {false, true, false, "a list"},
    [OPTION_TEXT_OR_MAP] = {true, false, true, "a text or a map"},
};

/* Has a value that is more than one text the kind that its type asks for? */
static bool has_shape(enum option_type type, const struct yaml_node *node, struct config_errors *errors)
{
    static const char *const kinds[] = {[YAML_TEXT] = "text", [YAML_LIST] = "a list", [YAML_MAP] = "a map"};
    const bool allowed[] = {
        [YAML_TEXT] = shapes[type].text, [YAML_LIST] = shapes[type].list, [YAML_MAP] = shapes[type].map};

    if (is_empty(node, errors))
        return false;
    if (!allowed[node->kind])
        report_value(errors, node, "%s is needed here, not %s", shapes[type].name, kinds[node->kind]);
    return allowed[node->kind];
}

static bool read_number(const struct option *option, const struct yaml_node *node, int64_t *number,
                        struct config_errors *errors)
{
    char block[240];
    struct text why = text_over(block, sizeof(block));
    int64_t n;

    if (!schema_is_text(node, errors))
        return false;
    if (!option_read(option, node->text, &n, &why)) {
        report_value(errors, node, "%.*s", (int)why.len, why.ptr);
        return false;
    }
    *number = n;
    return true;
}

/* Is a value that is no number what its type asks for? The members of its map are another matter. */
static bool check_value(const struct option *option, const struct yaml_node *node,
                        struct config_errors *errors)
{
    if (option->type == OPTION_TEXT)
        return schema_is_text(node, errors);
    if (!has_shape(option->type, node, errors))
        return false;
    return node->kind != YAML_LIST || option->type == OPTION_LIST || is_list_of_texts(node, errors);
}

static void read_value(const struct option *option, const struct yaml_node *node,
                       struct option_values *values, struct config_errors *errors)
{
    struct option_value *value = &values->of[option - option_table];
    bool is_good = option_is_number(option) ? read_number(option, node, &value->number, errors)
                                            : check_value(option, node, errors);

    value->is_written = true;
    if (!is_good)
        return;
    value->node = node;
    value->place = NULL;
    if (option->inner != SECTION_NONE && option->type != OPTION_MAPS && node->kind == YAML_MAP)
        schema_read(values, option->inner, node, errors);
}

/* What only one upstream can have. */
static bool has_no_default(const struct option *option)
{
    return option == &option_table[OPT_UPSTREAM_LISTEN] || option == &option_table[OPT_UPSTREAM_URL] ||
           option == &option_table[OPT_UPSTREAM_ROUTES];
}

void schema_read(struct option_values *values, enum option_section section, const struct yaml_node *node,
                 struct config_errors *errors)
{
    if (!has_shape(OPTION_MAP, node, errors))
        return;
    YAML_FOREACH(member, node) {
        const struct option *option = option_find(section, member->key);

        if (!option)
            report_unknown(section, member, errors);
        else if (section == SECTION_DEFAULTS && has_no_default(option))
            report_key(errors, member, "belongs to a single upstream and can't be a default");
        else
            read_value(option, member, values, errors);
    }
}

void schema_require(const struct option_values *values, enum option_section section,
                    const struct yaml_node *map, struct config_errors *errors)
{
    for (size_t i = 0; i < OPT_COUNT; i++) {
        const struct option *option = &option_table[i];

        if (option_is_in(option, section) && option->fallback && strcmp(option->fallback, "required") == 0 &&
            !values->of[i].is_written)
            report_missing(errors, map, option->key);
    }
}
