#include "config/schema.h"

#include "base/number.h"
#include "config/hint.h"
#include "config/option_read.h"
#include "config/report.h"

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
    char block[200];
    struct text hint = text_over(block, sizeof(block));

    if (hint_key(section, member, &hint))
        report_key(errors, member, "unknown key; %.*s", SPAN_FMT(text_span(&hint)));
    else
        report_key(errors, member, "unknown key");
}

/* What each type takes: one value, or a list of such values, of which one alone will do. */
static const struct shape {
    bool is_list, text, map;
    const char *name;
} shapes[] = {
    [OPTION_TEXT] = {false, true, false, "a text"},
    [OPTION_TEXTS] = {true, true, false, "a text or a list of them"},
    [OPTION_LISTENER] = {false, true, true, "an address or a map"},
    [OPTION_LISTENERS] = {true, true, true, "an address, a map or a list of them"},
    [OPTION_FIELDS] = {false, false, true, "a map"},
    [OPTION_MAP] = {false, false, true, "a map"},
    [OPTION_MAPS] = {false, false, true, "a map of names"},
    [OPTION_LIST] = {true, false, true, "a map or a list of them"},
    [OPTION_TEXT_OR_MAP] = {false, true, true, "a text or a map"},
    [OPTION_APART] = {false, false, true, "a map"},
};

/* `option` is the one whose value the node is, as far as that matters to what is said; or NULL. */
static bool has_kind(const struct yaml_node *node, bool is_good, const char *needed,
                     const struct option *option, struct config_errors *errors)
{
    static const char *const kinds[] = {[YAML_TEXT] = "text", [YAML_LIST] = "a list", [YAML_MAP] = "a map"};
    const char *hint;

    if (node->is_bad)
        return false;
    if (node->is_null)
        report_value(errors, node, "has no value");
    else if (!is_good && (hint = hint_shape(option, node)) != NULL)
        report_value(errors, node, "%s is needed here, not %s; %s", needed, kinds[node->kind], hint);
    else if (!is_good)
        report_value(errors, node, "%s is needed here, not %s", needed, kinds[node->kind]);
    return is_good && !node->is_null;
}

bool schema_is_text(const struct yaml_node *node, struct config_errors *errors)
{
    return has_kind(node, node->kind == YAML_TEXT, "a text", NULL, errors);
}

static bool is_item(const struct shape *shape, const struct yaml_node *node)
{
    return (node->kind == YAML_TEXT && shape->text) || (node->kind == YAML_MAP && shape->map);
}

/* A list with something in it, of items that are what the type asks for. */
static bool check_list(enum option_type type, const struct yaml_node *list, struct config_errors *errors)
{
    const char *needed = type == OPTION_LISTENERS ? shapes[OPTION_LISTENER].name : "a text";
    bool is_good = true;

    if (list->count == 0) {
        report_value(errors, list, "the list is empty");
        return false;
    }
    YAML_FOREACH(item, list) {
        is_good = has_kind(item, is_item(&shapes[type], item), needed, NULL, errors) && is_good;
    }
    return is_good;
}

/* Is a value that is no number what its type asks for? The members of its maps are another matter. */
static bool check_value(const struct option *option, const struct yaml_node *node,
                        struct config_errors *errors)
{
    const struct shape *shape = &shapes[option->type];
    bool is_list = shape->is_list && node->kind == YAML_LIST;

    if (!has_kind(node, is_list || is_item(shape, node), shape->name, option, errors))
        return false;
    return !is_list || option->type == OPTION_LIST || check_list(option->type, node, errors);
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

/* Where to read to, and what that takes. */
struct reading {
    struct option_values *values;
    struct arena *scratch;
    struct config_errors *errors;
};

static enum status read_map(struct reading *r, enum option_section section, const struct yaml_node *node);

static enum status read_value(struct reading *r, const struct option *option, const struct yaml_node *node)
{
    struct option_value *value = &r->values->of[option - option_table];
    bool is_good = option_is_number(option) ? read_number(option, node, &value->number, r->errors)
                                            : check_value(option, node, r->errors);

    value->is_written = true;
    if (!is_good)
        return ST_OK;
    if (!option_is_number(option) && shapes[option->type].is_list && node->kind != YAML_LIST)
        node = yaml_node_list_of(r->scratch, node);
    if (!node)
        return ST_NOMEM;
    value->node = node;
    value->place = NULL;
    if (option->inner != SECTION_NONE && option->type != OPTION_MAPS && option->type != OPTION_APART &&
        node->kind == YAML_MAP)
        return read_map(r, option->inner, node);
    return ST_OK;
}

/* What only one upstream can have. */
static bool has_no_default(const struct option *option)
{
    return option == &option_table[OPT_UPSTREAM_LISTEN] || option == &option_table[OPT_UPSTREAM_LISTEN_TLS] ||
           option == &option_table[OPT_UPSTREAM_URL] || option == &option_table[OPT_UPSTREAM_ROUTES];
}

static enum status read_map(struct reading *r, enum option_section section, const struct yaml_node *node)
{
    enum status status = ST_OK;

    for (const struct yaml_node *member = node->first; member && status == ST_OK; member = member->next) {
        const struct option *option = option_find(section, member->key);

        if (!option)
            report_unknown(section, member, r->errors);
        else if (section == SECTION_DEFAULTS && has_no_default(option))
            report_key(r->errors, member, "belongs to a single upstream and can't be a default");
        else
            status = read_value(r, option, member);
    }
    return status;
}

enum status schema_read(struct option_values *values, enum option_section section,
                        const struct yaml_node *node, struct arena *scratch, struct config_errors *errors)
{
    struct reading reading = {values, scratch, errors};

    if (!has_kind(node, node->kind == YAML_MAP, "a map", NULL, errors))
        return ST_OK;
    return read_map(&reading, section, node);
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
