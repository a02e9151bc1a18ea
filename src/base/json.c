#include "base/json.h"

#include <stdio.h>
#include <string.h>

#include "base/invariant.h"

/* What is written between two looks at the room that is left needs no more: a key, and a number or an escape. */
#define PIECE_MAX 256

#define DEPTH_MAX (sizeof(((struct jsonw *)0)->comma))

struct jsonw jsonw_on(struct text *out)
{
    return (struct jsonw){.out = out};
}

struct jsonw jsonw_flushed(struct text *out, jsonw_flush_fn flush)
{
    return (struct jsonw){.out = out, .flush = flush};
}

static void make_room(struct jsonw *j)
{
    if (j->flush != NULL && j->out->cap - j->out->len < PIECE_MAX)
        j->flush(j);
}

static void put_bytes(struct jsonw *j, const char *bytes, size_t len)
{
    size_t room;

    while (j->flush != NULL && len > (room = j->out->cap - j->out->len)) {
        text_bytes(j->out, bytes, room);
        bytes += room;
        len -= room;
        j->flush(j);
    }
    text_bytes(j->out, bytes, len);
}

/* ---- strings ---------------------------------------------------------------------------------------------- */

static bool is_continuation(unsigned char c, unsigned char lowest, unsigned char highest)
{
    return c >= lowest && c <= highest;
}

/* Length of the well-formed UTF-8 sequence of two bytes or more that `p` starts with (Unicode, table 3-7), or 0. */
static size_t sequence_length(const unsigned char *p, size_t left)
{
    size_t len = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    unsigned char lowest = p[0] == 0xe0 ? 0xa0 : p[0] == 0xf0 ? 0x90 : 0x80;
    unsigned char highest = p[0] == 0xed ? 0x9f : p[0] == 0xf4 ? 0x8f : 0xbf;

    if (p[0] < 0xc2 || p[0] > 0xf4 || left < len || !is_continuation(p[1], lowest, highest))
        return 0;
    for (size_t i = 2; i < len; i++) {
        if (!is_continuation(p[i], 0x80, 0xbf))
            return 0;
    }
    return len;
}

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

static void put_escape(struct text *out, unsigned c)
{
    const char digits[] = "0123456789abcdef";
    char escape[6] = {'\\', 'u', '0', '0', digits[c >> 4 & 15], digits[c & 15]};

    switch (c) {
    case '"': TEXT_LIT(out, "\\\""); break;
    case '\\': TEXT_LIT(out, "\\\\"); break;
    case '\n': TEXT_LIT(out, "\\n"); break;
    case '\r': TEXT_LIT(out, "\\r"); break;
    case '\t': TEXT_LIT(out, "\\t"); break;
    default: text_bytes(out, escape, sizeof(escape)); break;
    }
}

/* Writes what `p` starts with and is not plain; how many bytes of it. C1 controls would steer a terminal too. */
static size_t put_special(struct text *out, const unsigned char *p, size_t left)
{
    size_t len;

    if (p[0] < 0x80) {
        put_escape(out, p[0]);
        return 1;
    }
    len = sequence_length(p, left);
    if (len == 0) {
        TEXT_LIT(out, "\xef\xbf\xbd");
        return 1;
    }
    if (p[0] == 0xc2 && p[1] < 0xa0)
        put_escape(out, p[1]);
    else
        text_bytes(out, (const char *)p, len);
    return len;
}

static void put_escaped(struct jsonw *j, struct span value)
{
    const unsigned char *bytes = (const unsigned char *)value.ptr;
    size_t at = 0;

    while (at < value.len) {
        size_t start = at;

        while (at < value.len && is_plain(bytes[at]))
            at++;
        put_bytes(j, value.ptr + start, at - start);
        make_room(j);
        if (at < value.len)
            at += put_special(j->out, bytes + at, value.len - at);
    }
}

void jsonw_quote(struct text *out, struct span value)
{
    struct jsonw j = jsonw_on(out);

    jsonw_string(&j, NULL, value);
}

/* ---- members ---------------------------------------------------------------------------------------------- */

/* What stands before a member's value: the comma that is due, and the key. */
static void begin_member(struct jsonw *j, const char *key)
{
    make_room(j);
    if (j->depth != 0) {
        if (j->comma[j->depth - 1])
            TEXT_LIT(j->out, ",");
        j->comma[j->depth - 1] = true;
    }
    if (key) {
        TEXT_LIT(j->out, "\"");
        text_put(j->out, span_of(key));
        TEXT_LIT(j->out, "\":");
    }
}

static void open_with(struct jsonw *j, const char *key, const char *bracket)
{
    MUST_HOLD(j->depth < DEPTH_MAX);
    begin_member(j, key);
    text_bytes(j->out, bracket, 1);
    j->comma[j->depth++] = false;
}

static void close_with(struct jsonw *j, const char *bracket)
{
    MUST_HOLD(j->depth > 0);
    make_room(j);
    j->depth--;
    text_bytes(j->out, bracket, 1);
}

void jsonw_open_object(struct jsonw *j, const char *key)
{
    open_with(j, key, "{");
}

void jsonw_close_object(struct jsonw *j)
{
    close_with(j, "}");
}

void jsonw_open_array(struct jsonw *j, const char *key)
{
    open_with(j, key, "[");
}

void jsonw_close_array(struct jsonw *j)
{
    close_with(j, "]");
}

void jsonw_string(struct jsonw *j, const char *key, struct span value)
{
    jsonw_joined(j, key, &value, 1);
}

void jsonw_joined(struct jsonw *j, const char *key, const struct span *parts, size_t count)
{
    begin_member(j, key);
    TEXT_LIT(j->out, "\"");
    for (size_t i = 0; i < count; i++)
        put_escaped(j, parts[i]);
    TEXT_LIT(j->out, "\"");
}

void jsonw_text(struct jsonw *j, const char *key, const char *value)
{
    if (value != NULL)
        jsonw_string(j, key, span_of(value));
    else
        jsonw_null(j, key);
}

void jsonw_hex(struct jsonw *j, const char *key, uint64_t value)
{
    begin_member(j, key);
    TEXT_LIT(j->out, "\"");
    text_hex(j->out, value);
    TEXT_LIT(j->out, "\"");
}

void jsonw_u64(struct jsonw *j, const char *key, uint64_t value)
{
    begin_member(j, key);
    text_u64(j->out, value);
}

void jsonw_i64(struct jsonw *j, const char *key, int64_t value)
{
    begin_member(j, key);
    if (value < 0)
        TEXT_LIT(j->out, "-");
    text_u64(j->out, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

/* "1e-05" becomes 1e-5, and "2" 2.0, so that it stays a real number where it is read. */
void jsonw_real(struct jsonw *j, const char *key, double value, int digits)
{
    char block[40];
    char *exponent;

    snprintf(block, sizeof(block), "%.*g", digits, value);
    begin_member(j, key);
    exponent = strchr(block, 'e');
    if (exponent == NULL) {
        text_put(j->out, span_of(block));
        if (strchr(block, '.') == NULL)
            TEXT_LIT(j->out, ".0");
        return;
    }
    text_bytes(j->out, block, (size_t)(exponent - block) + 1);
    if (exponent[1] == '-')
        TEXT_LIT(j->out, "-");
    text_put(j->out, span_of(exponent + 2 + strspn(exponent + 2, "0")));
}

void jsonw_bool(struct jsonw *j, const char *key, bool value)
{
    begin_member(j, key);
    text_put(j->out, value ? SPAN_LIT("true") : SPAN_LIT("false"));
}

void jsonw_null(struct jsonw *j, const char *key)
{
    begin_member(j, key);
    TEXT_LIT(j->out, "null");
}

void jsonw_ms(struct jsonw *j, const char *key, int64_t ns)
{
    begin_member(j, key);
    text_ms(j->out, ns);
}
