#include "config/yaml_tree.h"

#include <stdio.h>
#include <yaml.h>

#include "base/json.h"
#include "config/report.h"
#include "config/variable.h"
#include "config/yaml_hint.h"

/* One variable may be put in often. */
#define EXPANDED_BYTES_MAX ((size_t)16 << 20)

/* libyaml's events one after another, and where the tree goes. */
struct reader {
    yaml_parser_t parser;
    yaml_event_t event; /* the latest; empty if there is none */
    struct arena *arena;
    const struct config_files *files;
    struct config_errors *errors;
    const struct config_source *source;
    struct span bytes; /* without a byte order mark */
    size_t expanded;   /* bytes of values with variables in them */
};

/* Line and column, from 1, of a byte of the file; columns count characters. */
static void locate(struct span bytes, size_t offset, uint32_t *line, uint32_t *column)
{
    *line = *column = 1;
    for (size_t i = 0; i < offset && i < bytes.len; i++) {
        unsigned char c = (unsigned char)bytes.ptr[i];

        if (c == '\n') {
            (*line)++;
            *column = 1;
        } else if ((c & 0xc0) != 0x80) {
            (*column)++;
        }
    }
}

/* libyaml's marks count characters. False if that one is another one, or behind the end. */
static bool is_tab(struct span bytes, size_t index)
{
    size_t at = 0;

    while (at < bytes.len && (((unsigned char)bytes.ptr[at] & 0xc0) == 0x80 || index-- != 0))
        at++;
    return at < bytes.len && bytes.ptr[at] == '\t';
}

static void report_mark(struct reader *r, const yaml_mark_t *mark, const char *what)
{
    report_at(r->errors, r->source, (uint32_t)mark->line + 1, (uint32_t)mark->column + 1, "%s", what);
}

/* Something at a mark that is no YAML, or none that a configuration is made of; `what` is the last resort. */
static enum status refuse_mark(struct reader *r, const yaml_mark_t *mark, const char *what)
{
    uint32_t line = (uint32_t)mark->line + 1, column = (uint32_t)mark->column + 1;
    struct yaml_hint hint;

    if (yaml_hint_find(r->bytes, line, &hint))
        report_at(r->errors, r->source, hint.line, hint.line == line ? column : hint.column,
                  "not valid YAML: %s", hint.text);
    else
        report_at(r->errors, r->source, line, column, "%s", what);
    return ST_BAD;
}

/* What libyaml did not expect, in its own words where nothing better is known. */
static void put_problem(const struct reader *r, char *what, size_t cap)
{
    const yaml_parser_t *p = &r->parser;
    const yaml_mark_t *mark = &p->problem_mark, *since = &p->context_mark;
    const char *context = p->context ? p->context : "";
    bool begins_line = yaml_hint_begins_line(r->bytes, (uint32_t)mark->line + 1, (uint32_t)mark->column + 1);
    const char *plain = yaml_hint_problem(context, p->problem, begins_line);

    if (!plain)
        (void)snprintf(what, cap, "not valid YAML: %s%s%s", context, *context ? ", " : "", p->problem);
    else if ((strstr(context, " flow ") || strstr(context, " key")) && since->line < mark->line)
        (void)snprintf(what, cap, "not valid YAML: %s (since line %zu)", plain, since->line + 1);
    else
        (void)snprintf(what, cap, "not valid YAML: %s", plain);
}

static enum status fail_grammar(struct reader *r)
{
    const yaml_parser_t *p = &r->parser;
    char what[200];

    if (is_tab(r->bytes, p->problem_mark.index)) {
        report_mark(r, &p->problem_mark, "a tab where only spaces may stand");
        return ST_BAD;
    }
    if (p->context && strcmp(p->context, "while scanning a quoted scalar") == 0) {
        report_mark(r, &p->context_mark, "not valid YAML: a quote that is not closed");
        return ST_BAD;
    }
    put_problem(r, what, sizeof(what));
    return refuse_mark(r, &p->problem_mark, what);
}

/* What libyaml could not read: bytes that are no text have an offset, all else a mark. */
static enum status fail_parse(struct reader *r)
{
    const yaml_parser_t *p = &r->parser;
    bool is_utf16 = r->bytes.len >= 2 &&
                    (memcmp(r->bytes.ptr, "\xff\xfe", 2) == 0 || memcmp(r->bytes.ptr, "\xfe\xff", 2) == 0);
    uint32_t line, column;

    if (p->error == YAML_MEMORY_ERROR)
        return ST_NOMEM;
    if (p->error != YAML_READER_ERROR)
        return fail_grammar(r);
    locate(r->bytes, p->problem_offset, &line, &column);
    report_at(r->errors, r->source, line, column, "not a text in UTF-8: %s",
              is_utf16 ? "it is UTF-16; save it as UTF-8" : p->problem);
    return ST_BAD;
}

static enum status next_event(struct reader *r)
{
    yaml_event_delete(&r->event);
    if (yaml_parser_parse(&r->parser, &r->event))
        return ST_OK;
    return fail_parse(r);
}

/* Why an event can't be part of a tree; NULL if it can. */
static const char *refuse_event(const yaml_event_t *event)
{
    const yaml_char_t *anchor = NULL, *tag = NULL;

    if (event->type == YAML_SCALAR_EVENT) {
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
        if (memchr(event->data.scalar.value, 0, event->data.scalar.length))
            return "a text with a NUL byte in it";
    } else if (event->type == YAML_SEQUENCE_START_EVENT) {
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
    } else if (event->type == YAML_MAPPING_START_EVENT) {
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
    }
    if (anchor || event->type == YAML_ALIAS_EVENT)
        return "anchors and aliases (&name, *name) are not supported; defaults has what all upstreams share";
    return tag ? "tags (!name) are not supported" : NULL;
}

static enum status check_event(struct reader *r)
{
    const char *why = refuse_event(&r->event);

    if (!why)
        return ST_OK;
    report_mark(r, &r->event.start_mark, why);
    return ST_BAD;
}

static bool is_null_word(struct span s)
{
    return s.len == 0 || span_eq(s, SPAN_LIT("~")) || span_eq_nocase(s, SPAN_LIT("null"));
}

/* The event's text as a copy in the arena. */
static enum status copy_text(struct reader *r, struct span *out)
{
    struct span text = {(const char *)r->event.data.scalar.value, r->event.data.scalar.length};
    char *copy = arena_text(r->arena, text);

    if (!copy)
        return ST_NOMEM;
    *out = (struct span){copy, text.len};
    return ST_OK;
}

static struct yaml_node *new_node(struct reader *r)
{
    struct yaml_node *node = arena_calloc(r->arena, 1, sizeof(*node));

    if (!node)
        return NULL;
    node->source = r->source;
    node->line = node->key_line = (uint32_t)r->event.start_mark.line + 1;
    node->column = node->key_column = (uint32_t)r->event.start_mark.column + 1;
    return node;
}

static enum status append(struct reader *r, struct yaml_node *parent, struct yaml_node *child)
{
    if (parent->count == YAML_ENTRIES_MAX) {
        report_value(r->errors, parent, "more than %d entries", YAML_ENTRIES_MAX);
        return ST_BAD;
    }
    child->parent = parent;
    child->index = parent->count++;
    if (parent->last)
        parent->last->next = child;
    else
        parent->first = child;
    parent->last = child;
    return ST_OK;
}

static enum status read_node(struct reader *r, int depth, struct yaml_node *node);

static enum status read_list(struct reader *r, int depth, struct yaml_node *list)
{
    enum status status;

    while ((status = next_event(r)) == ST_OK && r->event.type != YAML_SEQUENCE_END_EVENT) {
        struct yaml_node *child = new_node(r);

        if (!child)
            return ST_NOMEM;
        if ((status = append(r, list, child)) != ST_OK || (status = read_node(r, depth + 1, child)) != ST_OK)
            return status;
    }
    return status;
}

/* The event is a key: makes the node for the value behind it. */
static enum status read_key(struct reader *r, struct yaml_node **member)
{
    enum status status = check_event(r);

    if (status != ST_OK)
        return status;
    if (r->event.type != YAML_SCALAR_EVENT)
        return refuse_mark(r, &r->event.start_mark, "a key must be text");
    *member = new_node(r);
    return *member ? copy_text(r, &(*member)->key) : ST_NOMEM;
}

/* The value behind a key. A key's second value is read as well, for what is wrong in it, and then left aside. */
static enum status read_member(struct reader *r, int depth, struct yaml_node *map, struct yaml_node *member)
{
    const struct yaml_node *first = yaml_node_get(map, member->key);
    enum status status;

    if (first) {
        member->parent = map;
        report_key(r->errors, member, "duplicate key; the first is on line %u", first->key_line);
    } else if ((status = append(r, map, member)) != ST_OK) {
        return status;
    }
    if ((status = next_event(r)) != ST_OK)
        return status;
    member->line = (uint32_t)r->event.start_mark.line + 1;
    member->column = (uint32_t)r->event.start_mark.column + 1;
    return read_node(r, depth + 1, member);
}

static enum status read_map(struct reader *r, int depth, struct yaml_node *map)
{
    enum status status;

    while ((status = next_event(r)) == ST_OK && r->event.type != YAML_MAPPING_END_EVENT) {
        struct yaml_node *member = NULL;

        if ((status = read_key(r, &member)) != ST_OK ||
            (status = read_member(r, depth, map, member)) != ST_OK)
            return status;
    }
    return status;
}

/* The event's text with its variables put in. */
static enum status expand_text(struct reader *r, struct yaml_node *node)
{
    struct span text = {(const char *)r->event.data.scalar.value, r->event.data.scalar.length};
    char block[240];
    struct text why = text_over(block, sizeof(block));
    enum status status = variable_expand(r->arena, r->files, text, &node->text, &why);

    r->expanded += status == ST_OK ? node->text.len : 0;
    if (r->expanded > EXPANDED_BYTES_MAX) {
        report_value(r->errors, node, "all values together are longer than 16MiB with their variables");
        return ST_BAD;
    }
    if (status != ST_BAD)
        return status;
    report_value(r->errors, node, "%.*s", SPAN_FMT(text_span(&why)));
    node->is_bad = true;
    node->text = SPAN_LIT("");
    return ST_OK;
}

static enum status read_text(struct reader *r, struct yaml_node *node)
{
    struct span written = {(const char *)r->event.data.scalar.value, r->event.data.scalar.length};
    bool is_plain = r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    const char *odd = variable_odd(written);
    enum status status;

    node->kind = YAML_TEXT;
    status = memchr(written.ptr, '$', written.len) ? expand_text(r, node) : copy_text(r, &node->text);
    if (odd && !node->is_bad)
        report_odd(r->errors, node, "%s", odd);
    node->is_null = is_plain && !node->is_bad && is_null_word(node->text);
    if (node->is_null && !is_null_word(written)) {
        report_value(r->errors, node, "has no value: what its variable holds is %s",
                     node->text.len == 0 ? "empty" : "YAML's word for nothing");
        node->is_bad = true;
        node->is_null = false;
    }
    return status;
}

/* Fills `node`, whose place in the tree is known, from the event and those that belong to it. */
static enum status read_node(struct reader *r, int depth, struct yaml_node *node)
{
    enum status status = check_event(r);

    if (status != ST_OK)
        return status;
    if (depth > YAML_DEPTH_MAX) {
        report_value(r->errors, node, "nested more than %d deep", YAML_DEPTH_MAX);
        return ST_BAD;
    }
    switch (r->event.type) {
    case YAML_SEQUENCE_START_EVENT: node->kind = YAML_LIST; return read_list(r, depth, node);
    case YAML_MAPPING_START_EVENT: node->kind = YAML_MAP; return read_map(r, depth, node);
    default: return read_text(r, node);
    }
}

/* Passes over events that start the stream and the document. What follows may be the end of the stream. */
static enum status enter_document(struct reader *r)
{
    enum status status;

    do {
        if ((status = next_event(r)) != ST_OK)
            return status;
    } while (r->event.type == YAML_STREAM_START_EVENT || r->event.type == YAML_DOCUMENT_START_EVENT);
    return ST_OK;
}

/* After the root: nothing may follow but the end. */
static enum status leave_document(struct reader *r)
{
    enum status status;

    do {
        if ((status = next_event(r)) != ST_OK)
            return status;
    } while (r->event.type == YAML_DOCUMENT_END_EVENT);
    if (r->event.type == YAML_STREAM_END_EVENT)
        return ST_OK;
    report_mark(r, &r->event.start_mark, "a second document; a file is one document");
    return ST_BAD;
}

static enum status read_document(struct reader *r, struct yaml_node **root)
{
    enum status status = enter_document(r);
    struct yaml_node *node;

    *root = NULL;
    if (status != ST_OK || r->event.type == YAML_STREAM_END_EVENT)
        return status;
    node = new_node(r);
    if (!node)
        return ST_NOMEM;
    if ((status = read_node(r, 0, node)) != ST_OK || (status = leave_document(r)) != ST_OK)
        return status;
    if (node->is_null)
        return ST_OK;
    if (node->kind != YAML_MAP) {
        report_value(r->errors, node, "a map of keys and values is needed here");
        return ST_BAD;
    }
    *root = node;
    return ST_OK;
}

/* A byte order mark would count as a column. */
static struct span skip_mark(struct span bytes)
{
    if (bytes.len >= 3 && memcmp(bytes.ptr, "\xef\xbb\xbf", 3) == 0)
        return (struct span){bytes.ptr + 3, bytes.len - 3};
    return bytes;
}

enum status yaml_tree_read(struct arena *arena, const struct config_source *source,
                           const struct config_files *files, struct config_errors *errors,
                           struct yaml_node **root)
{
    struct reader r = {
        .arena = arena,
        .files = files,
        .errors = errors,
        .source = source,
        .bytes = skip_mark(source->bytes),
    };
    enum status status;

    if (source->bytes.len > YAML_BYTES_MAX) {
        report_at(errors, source, 1, 1, "the file is larger than 1MiB");
        return ST_BAD;
    }
    if (!yaml_parser_initialize(&r.parser))
        return ST_NOMEM;
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)r.bytes.ptr, r.bytes.len);
    status = read_document(&r, root);
    yaml_event_delete(&r.event);
    yaml_parser_delete(&r.parser);
    return status;
}
