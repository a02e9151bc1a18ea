#include "config/variable.h"

#define NAME_MAX_LEN 255
/* Defaults inside defaults. */
#define DEPTH_MAX    8

/*
 * A value is gone through twice: first for its length, with `out` NULL, then to write it.
 */
struct expansion {
    const struct config_files *files;
    struct text *why;
    char *out;
    size_t len;
};

static bool is_first(char c)
{
    return ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '_';
}

static size_t name_length(struct span s)
{
    size_t len = 0;

    while (len < s.len && (is_first(s.ptr[len]) || (len != 0 && s.ptr[len] >= '0' && s.ptr[len] <= '9')))
        len++;
    return len;
}

static struct span skip(struct span s, size_t bytes)
{
    return (struct span){s.ptr + bytes, s.len - bytes};
}

static bool starts_with(struct span s, struct span prefix)
{
    return s.len >= prefix.len && memcmp(s.ptr, prefix.ptr, prefix.len) == 0;
}

static enum status put(struct expansion *e, struct span s)
{
    if (s.len > VARIABLE_BYTES_MAX - e->len) {
        TEXT_LIT(e->why, "the value is longer than 1MiB with its variables");
        return ST_BAD;
    }
    if (e->out && s.len != 0)
        memcpy(e->out + e->len, s.ptr, s.len);
    e->len += s.len;
    return ST_OK;
}

/* NULL: it is unset. */
static const char *look_up(const struct expansion *e, struct span name)
{
    char terminated[NAME_MAX_LEN + 1] = "";

    if (!e->files || !e->files->variable || name.len > NAME_MAX_LEN)
        return NULL;
    memcpy(terminated, name.ptr, name.len);
    return e->files->variable(e->files->arg, terminated);
}

/* Bytes up to the brace that closes what `s` is inside of; s.len: there is none. */
static size_t find_end(struct span s)
{
    size_t depth = 0;

    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '$' && i + 1 < s.len && s.ptr[i + 1] == '{')
            depth++;
        else if (s.ptr[i] == '}' && depth-- == 0)
            return i;
    }
    return s.len;
}

static enum status refuse(struct expansion *e, const char *what)
{
    text_put(e->why, span_of(what));
    TEXT_LIT(e->why, "; a variable is written ${NAME} or ${NAME:-default}, and a dollar $$");
    return ST_BAD;
}

static enum status refuse_unset(struct expansion *e, struct span name)
{
    if (name.len > 64)
        return refuse(e, "a variable with a name of more than 64 bytes is not set");
    TEXT_LIT(e->why, "the environment has no variable ");
    text_put(e->why, name);
    TEXT_LIT(e->why, "; ${");
    text_put(e->why, name);
    TEXT_LIT(e->why, ":-default} has a value without it");
    return ST_BAD;
}

static enum status expand(struct expansion *e, struct span s, int depth);

/* Takes "NAME}" or "NAME:-default}" off *s. */
static enum status put_variable(struct expansion *e, struct span *s, int depth)
{
    struct span name = {s->ptr, name_length(*s)};
    struct span inside = {s->ptr, find_end(*s)}, rest = skip(inside, name.len);
    const char *value = look_up(e, name);
    bool has_default = starts_with(rest, SPAN_LIT(":-"));

    if (inside.len == s->len)
        return refuse(e, "${ without its }");
    if (rest.len != 0 && !has_default)
        return refuse(e, "not a variable");
    if (depth > DEPTH_MAX)
        return refuse(e, "too many defaults inside each other");
    *s = skip(*s, inside.len + 1);
    if (has_default && (!value || *value == '\0'))
        return expand(e, skip(rest, 2), depth + 1);
    return value ? put(e, span_of(value)) : refuse_unset(e, name);
}

/* Takes a dollar, with what belongs to it, off *s. */
static enum status put_dollar(struct expansion *e, struct span *s, int depth)
{
    if (starts_with(*s, SPAN_LIT("${")) && name_length(skip(*s, 2)) != 0) {
        *s = skip(*s, 2);
        return put_variable(e, s, depth);
    }
    *s = skip(*s, starts_with(*s, SPAN_LIT("$$")) ? 2 : 1);
    return put(e, SPAN_LIT("$"));
}

static enum status expand(struct expansion *e, struct span s, int depth)
{
    enum status status = ST_OK;

    while (s.len != 0 && status == ST_OK) {
        const char *dollar = memchr(s.ptr, '$', s.len);
        struct span before = {s.ptr, dollar ? (size_t)(dollar - s.ptr) : s.len};

        status = put(e, before);
        s = skip(s, before.len);
        if (dollar && status == ST_OK)
            status = put_dollar(e, &s, depth);
    }
    return status;
}

enum status variable_expand(struct arena *arena, const struct config_files *files, struct span text,
                            struct span *out, struct text *why)
{
    struct expansion e = {.files = files, .why = why};
    enum status status = expand(&e, text, 0);

    if (status != ST_OK)
        return status;
    e.out = arena_calloc(arena, e.len + 1, 1);
    if (!e.out)
        return ST_NOMEM;
    e.len = 0;
    status = expand(&e, text, 0);
    *out = (struct span){e.out, e.len};
    return status;
}

/* ---- what is none ------------------------------------------------------------------------------------------ */

/* "$NAME", "$(NAME)", "${" before what is no name; past "$$" and what is a variable. */
static bool has_odd_dollar(struct span s)
{
    for (const char *dollar; (dollar = memchr(s.ptr, '$', s.len)) != NULL;) {
        struct span rest;

        s = skip(s, (size_t)(dollar - s.ptr) + 1);
        rest = skip(s, s.len != 0 && (s.ptr[0] == '{' || s.ptr[0] == '(') ? 1 : 0);
        if (starts_with(s, SPAN_LIT("$")))
            s = skip(s, 1);
        else if (starts_with(s, SPAN_LIT("{")) ? name_length(rest) == 0 : name_length(rest) != 0)
            return true;
    }
    return false;
}

/* "%{NAME}", "#{NAME}", "%(NAME)": of Apache, Ruby and Python. */
static bool has_odd_brace(struct span s)
{
    for (size_t i = 0; i + 2 < s.len; i++) {
        bool is_open = ((s.ptr[i] == '%' || s.ptr[i] == '#') && s.ptr[i + 1] == '{') ||
                       (s.ptr[i] == '%' && s.ptr[i + 1] == '(');
        size_t end = i + 2 + (is_open ? name_length(skip(s, i + 2)) : 0);

        if (is_open && end > i + 2 && end < s.len && s.ptr[end] == (s.ptr[i + 1] == '{' ? '}' : ')'))
            return true;
    }
    return false;
}

/* "env:NAME", and nothing else. */
static bool is_env_name(struct span s)
{
    return starts_with(s, SPAN_LIT("env:")) && s.len > 4 && name_length(skip(s, 4)) == s.len - 4;
}

/* "%NAME%" that stands between blanks, so that it is no percent-encoding. */
static bool has_percent_name(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        size_t len = s.ptr[i] == '%' ? name_length(skip(s, i + 1)) : 0, end = i + 1 + len;

        if (len != 0 && (i == 0 || s.ptr[i - 1] == ' ') && end < s.len && s.ptr[end] == '%' &&
            (end + 1 == s.len || s.ptr[end + 1] == ' '))
            return true;
    }
    return false;
}

static bool holds(struct span s, struct span what)
{
    return s.len >= what.len && memmem(s.ptr, s.len, what.ptr, what.len) != NULL;
}

const char *variable_odd(struct span text)
{
    if (holds(text, SPAN_LIT("{file:")) || starts_with(text, SPAN_LIT("file:/")) ||
        starts_with(text, SPAN_LIT("@/")))
        return "a file is not read inside a text; its value is {file: PATH, prefix: \"what stands before it\"}";
    if (has_odd_dollar(text) || has_odd_brace(text) || has_percent_name(text) || is_env_name(text) ||
        holds(text, SPAN_LIT("{env.")) || holds(text, SPAN_LIT("{env:")) || holds(text, SPAN_LIT("{{")))
        return "what looks like a variable is none and stays as it is; a variable is written ${NAME}, a dollar $$";
    return NULL;
}
