#include "config/report.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/text.h"

#define ELLIPSIS "\xe2\x80\xa6"

/* Is `a` to stand before `b`? */
static bool is_before(const struct config_error *a, const struct config_error *b)
{
    if (a->file_index != b->file_index)
        return a->file_index < b->file_index;
    return a->line != b->line ? a->line < b->line : a->column < b->column;
}

static bool is_same(const struct config_error *a, const struct config_error *b)
{
    return a->file_index == b->file_index && a->line == b->line && a->column == b->column &&
           strcmp(a->text, b->text) == 0;
}

/* Of a full list the last one makes room: what comes first in the file is what to mend first. */
static void insert(struct config_errors *errors, const struct config_error *error)
{
    uint32_t kept = errors->count < CONFIG_ERRORS_MAX ? errors->count : CONFIG_ERRORS_MAX;
    uint32_t at = kept;

    for (uint32_t i = 0; i < kept; i++) {
        if (is_same(&errors->list[i], error))
            return;
    }
    errors->count++;
    while (at > 0 && is_before(error, &errors->list[at - 1]))
        at--;
    if (at == CONFIG_ERRORS_MAX)
        return;
    if (kept == CONFIG_ERRORS_MAX)
        kept--;
    memmove(&errors->list[at + 1], &errors->list[at], (kept - at) * sizeof(errors->list[0]));
    errors->list[at] = *error;
}

/* Where it is: all but the text of an error. */
static struct config_error error_at(const struct config_source *source, uint32_t line, uint32_t column)
{
    return (struct config_error){
        .file = source->name, .file_index = source->index, .line = line, .column = column};
}

static void add(struct config_errors *errors, struct config_error error, struct span path, const char *text)
{
    error.path_len = (uint32_t)path.len;
    (void)snprintf(error.text, sizeof(error.text), "%.*s%s%s", SPAN_FMT(path), path.len != 0 ? ": " : "",
                   text);
    insert(errors, &error);
}

/* Too long a text is cut. */
struct message {
    char text[256];
};

__attribute__((format(printf, 1, 0))) static struct message message_of(const char *format, va_list args)
{
    struct message message;

    (void)vsnprintf(message.text, sizeof(message.text), format, args);
    return message;
}

struct path {
    char bytes[160];
};

static struct span put_path(struct path *path, const struct yaml_node *node, const char *key)
{
    struct text t = text_over(path->bytes, sizeof(path->bytes) - sizeof(ELLIPSIS "."));

    yaml_node_put_path(&t, node);
    if (key && t.len != 0)
        TEXT_LIT(&t, ".");
    if (key)
        text_put(&t, span_of(key));
    t.cap = sizeof(path->bytes);
    if (t.overflow) {
        t.overflow = false;
        TEXT_LIT(&t, ELLIPSIS);
    }
    return text_span(&t);
}

void report_at(struct config_errors *errors, const struct config_source *source, uint32_t line,
               uint32_t column, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    add(errors, error_at(source, line, column), SPAN_LIT(""), message_of(format, args).text);
    va_end(args);
}

void report_place(struct config_errors *errors, const struct place *place, const char *format, ...)
{
    struct config_error error = {
        .file = place->file, .file_index = place->file_index, .line = place->line, .column = place->column};
    va_list args;

    va_start(args, format);
    add(errors, error, span_of(place->path), message_of(format, args).text);
    va_end(args);
}

static struct config_error error_at_value(const struct yaml_node *node)
{
    return error_at(node->source, node->is_null ? node->key_line : node->line,
                    node->is_null ? node->key_column : node->column);
}

void report_value(struct config_errors *errors, const struct yaml_node *node, const char *format, ...)
{
    struct path path;
    va_list args;

    va_start(args, format);
    add(errors, error_at_value(node), put_path(&path, node, NULL), message_of(format, args).text);
    va_end(args);
}

void report_odd(struct config_errors *errors, const struct yaml_node *node, const char *format, ...)
{
    struct path path;
    va_list args;

    if (!errors->warnings)
        return;
    va_start(args, format);
    add(errors->warnings, error_at_value(node), put_path(&path, node, NULL), message_of(format, args).text);
    va_end(args);
}

static struct config_error error_at_key(const struct yaml_node *node)
{
    return error_at(node->source, node->key_line, node->key_column);
}

void report_key(struct config_errors *errors, const struct yaml_node *node, const char *format, ...)
{
    struct path path;
    va_list args;

    va_start(args, format);
    add(errors, error_at_key(node), put_path(&path, node, NULL), message_of(format, args).text);
    va_end(args);
}

void report_missing(struct config_errors *errors, const struct yaml_node *map, const char *key)
{
    struct path path;

    add(errors, error_at_key(map), put_path(&path, map, key), "is missing");
}

struct line_text report_line(const struct yaml_node *node, const struct yaml_node *other)
{
    const char *name = strrchr(other->source->name, '/');
    struct line_text line;

    name = name ? name + 1 : other->source->name;
    if (node->source == other->source)
        (void)snprintf(line.text, sizeof(line.text), "line %u", other->key_line);
    else
        (void)snprintf(line.text, sizeof(line.text), "line %u of %.48s", other->key_line, name);
    return line;
}
