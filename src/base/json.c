#include "base/json.h"

#include "base/invariant.h"

#define DEPTH_MAX (sizeof(((struct jsonw *)0)->comma))

struct jsonw jsonw_on(struct text *out)
{
    return (struct jsonw){.out = out};
}

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

void jsonw_quote(struct text *out, struct span value)
{
    const unsigned char *bytes = (const unsigned char *)value.ptr;
    size_t at = 0;

    TEXT_LIT(out, "\"");
    while (at < value.len) {
        size_t start = at;

        while (at < value.len && is_plain(bytes[at]))
            at++;
        text_bytes(out, value.ptr + start, at - start);
        if (at < value.len)
            at += put_special(out, bytes + at, value.len - at);
    }
    TEXT_LIT(out, "\"");
}

/* What stands before a member's value: the comma that is due, and the key. */
static void begin_member(struct jsonw *j, const char *key)
{
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

void jsonw_open_object(struct jsonw *j, const char *key_or_null)
{
    MUST_HOLD(j->depth < DEPTH_MAX);
    begin_member(j, key_or_null);
    TEXT_LIT(j->out, "{");
    j->comma[j->depth++] = false;
}

void jsonw_close_object(struct jsonw *j)
{
    MUST_HOLD(j->depth > 0);
    j->depth--;
    TEXT_LIT(j->out, "}");
}

void jsonw_string(struct jsonw *j, const char *key, struct span value)
{
    begin_member(j, key);
    jsonw_quote(j->out, value);
}

void jsonw_u64(struct jsonw *j, const char *key, uint64_t value)
{
    begin_member(j, key);
    text_u64(j->out, value);
}

void jsonw_bool(struct jsonw *j, const char *key, bool value)
{
    begin_member(j, key);
    text_put(j->out, value ? SPAN_LIT("true") : SPAN_LIT("false"));
}

void jsonw_ms(struct jsonw *j, const char *key, int64_t ns)
{
    begin_member(j, key);
    text_ms(j->out, ns);
}
