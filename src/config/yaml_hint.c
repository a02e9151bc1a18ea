#include "config/yaml_hint.h"

#include <string.h>

static struct span skip(struct span s, size_t bytes)
{
    return (struct span){s.ptr + bytes, s.len - bytes};
}

static bool starts_with(struct span s, const char *prefix)
{
    return s.len >= strlen(prefix) && memcmp(s.ptr, prefix, strlen(prefix)) == 0;
}

static const char *find(struct span s, const char *what)
{
    return memmem(s.ptr, s.len, what, strlen(what));
}

static bool is_word(char c)
{
    return ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_';
}

static bool is_address(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') || c == ':' || c == '.';
}

/* ---- what may be wrong with a line; each takes it from its first character that is no blank ------------------ */

/* "[::1]" without a quote before it. */
static bool has_ipv6(struct span line)
{
    for (size_t i = 0; i < line.len; i++) {
        size_t end = i + 1, colons = 0;

        if (line.ptr[i] != '[' || (i != 0 && (line.ptr[i - 1] == '"' || line.ptr[i - 1] == '\'')))
            continue;
        for (; end < line.len && is_address(line.ptr[end]); end++)
            colons += line.ptr[end] == ':';
        if (colons >= 2 && end < line.len && line.ptr[end] == ']')
            return true;
    }
    return false;
}

/* "*:8080", or "*" alone. */
static bool has_star(struct span line)
{
    const char *star = memchr(line.ptr, '*', line.len);
    struct span rest = star ? skip(line, (size_t)(star - line.ptr) + 1) : (struct span){line.ptr, 0};

    return star && (rest.len == 0 || rest.ptr[0] == ':' || rest.ptr[0] == ' ');
}

static bool has_template(struct span line)
{
    return find(line, "{{") != NULL;
}

static bool has_variable(struct span line)
{
    return find(line, "${") != NULL;
}

/* "Bearer {file: /x}": something between the key and the brace. */
static bool has_file_in_text(struct span line)
{
    const char *file = find(line, "{file:");

    while (file && file > line.ptr && file[-1] == ' ')
        file--;
    return file && file > line.ptr && file[-1] != ':' && file[-1] != ',' && file[-1] != '{' &&
           file[-1] != '-';
}

bool yaml_hint_lacks_blank(struct span text)
{
    size_t len = 0;

    if (starts_with(text, "- "))
        text = skip(text, 2);
    while (len < text.len && is_word(text.ptr[len]))
        len++;
    if (len == 0 || len + 1 >= text.len || text.ptr[len] != ':')
        return false;
    text = skip(text, len + 1);
    return text.ptr[0] != ' ' && text.ptr[0] != '\r' && !starts_with(text, "//");
}

static bool has_no_break_space(struct span line)
{
    return find(line, "\xc2\xa0") != NULL;
}

static bool has_equals_sign(struct span line)
{
    size_t len = 0;

    while (len < line.len && is_word(line.ptr[len]))
        len++;
    while (len < line.len && line.ptr[len] == ' ')
        len++;
    return len != 0 && len < line.len && line.ptr[len] == '=';
}

/* ": " twice, and no braces. */
static bool has_two_colons(struct span line)
{
    const char *colon = find(line, ": ");

    return colon && !memchr(line.ptr, '{', line.len) &&
           find(skip(line, (size_t)(colon - line.ptr) + 2), ": ") != NULL;
}

/* "unix:", "127.0.0.1:": what was to stand behind it is missing. */
static bool has_colon_at_end(struct span line)
{
    const char *colon = find(line, ": ");

    while (line.len != 0 && (line.ptr[line.len - 1] == ' ' || line.ptr[line.len - 1] == '\r'))
        line.len--;
    return colon && line.len != 0 && line.ptr[line.len - 1] == ':' && !memchr(line.ptr, '{', line.len);
}

/* A value that begins with a character that YAML keeps for itself. */
static bool has_reserved(struct span line)
{
    const char *colon = find(line, ": ");
    struct span value = colon ? skip(line, (size_t)(colon - line.ptr) + 2) : line;

    while (starts_with(value, " ") || starts_with(value, "-"))
        value = skip(value, 1);
    return value.len != 0 && memchr("@`%", value.ptr[0], 3) != NULL;
}

#define KEY_AND_VALUE "a key and its value are written key: value"
#define LACKS_BLANK   "a blank is missing behind the colon: " KEY_AND_VALUE

static const struct {
    bool (*is_so)(struct span line);
    const char *text;
} hints[] = {
    {has_no_break_space, "a no-break space (U+00A0) stands where a blank is meant"},
    {has_ipv6, "an IPv6 address is written in quotes: \"[::1]:8080\""},
    {has_star, "for every address of the machine write 0.0.0.0:8080 (IPv4) or \"[::]:8080\" (IPv6)"},
    {has_template, "a template, {{ }}, that nothing has filled in; a variable of the environment is ${NAME}"},
    {has_file_in_text, "what stands before a file's value is its prefix: {file: PATH, prefix: \"Bearer \"}"},
    {yaml_hint_lacks_blank, LACKS_BLANK},
    {has_equals_sign, KEY_AND_VALUE},
    {has_variable, "between braces or brackets, a variable is written in quotes: \"${NAME}\""},
    {has_reserved, "a value that begins with @, ` or % is written in quotes"},
    {has_two_colons, "a value with a colon and a blank in it is written in quotes"},
    {has_colon_at_end, "the value ends with a colon: what stands behind it is missing"},
};

const char *yaml_hint_line(struct span text)
{
    if (yaml_hint_lacks_blank(text))
        return LACKS_BLANK;
    return has_equals_sign(text) ? KEY_AND_VALUE : NULL;
}

/* The line without its end and the blanks before it; their number is the column less one. */
static bool get_line(struct span file, uint32_t number, struct span *out, uint32_t *column)
{
    struct span rest = file;
    const char *end;

    for (; number > 1; number--) {
        end = memchr(rest.ptr, '\n', rest.len);
        if (!end)
            return false;
        rest = skip(rest, (size_t)(end - rest.ptr) + 1);
    }
    end = memchr(rest.ptr, '\n', rest.len);
    *out = (struct span){rest.ptr, end ? (size_t)(end - rest.ptr) : rest.len};
    for (*column = 1; starts_with(*out, " "); (*column)++)
        *out = skip(*out, 1);
    return out->len != 0 && out->ptr[0] != '#';
}

static const char *explain(struct span line)
{
    for (size_t i = 0; i < sizeof(hints) / sizeof(hints[0]); i++) {
        if (hints[i].is_so(line))
            return hints[i].text;
    }
    return NULL;
}

bool yaml_hint_begins_line(struct span file, uint32_t line, uint32_t column)
{
    struct span text;
    uint32_t first;

    return get_line(file, line, &text, &first) && column == first;
}

const char *yaml_hint_problem(const char *context, const char *problem, bool begins_line)
{
    static const char flow[] = "while parsing a flow ";

    if (strncmp(context, flow, sizeof(flow) - 1) == 0)
        return "a { or [ that is not closed, or a comma is missing";
    if (strcmp(context, "while scanning a simple key") == 0)
        return "a key without a colon: " KEY_AND_VALUE;
    if (strcmp(context, "while parsing a block mapping") == 0 && begins_line)
        return "this line is indented like none above it; keys of one map begin in one column";
    if (strcmp(context, "while parsing a block mapping") == 0)
        return "the value has ended before this";
    if (strcmp(problem, "mapping values are not allowed in this context") == 0)
        return "a key inside of a value: its line is indented deeper than the one above it, or quotes are missing "
               "around the value";
    return NULL;
}

bool yaml_hint_find(struct span file, uint32_t line, struct yaml_hint *out)
{
    for (uint32_t back = 0; back < 2 && back < line; back++) {
        struct span text;

        *out = (struct yaml_hint){.line = line - back};
        if (get_line(file, out->line, &text, &out->column))
            out->text = explain(text);
        if (out->text)
            return true;
    }
    return false;
}
