#include "base/span.h"

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

bool span_eq_nocase(struct span a, struct span b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        if (lower(a.ptr[i]) != lower(b.ptr[i]))
            return false;
    }
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct span span_trim(struct span s)
{
    while (s.len != 0 && is_blank(s.ptr[0])) {
        s.ptr++;
        s.len--;
    }
    while (s.len != 0 && is_blank(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

/* Cuts *rest at its first comma; what stands before it. */
static struct span cut_at_comma(struct span *rest)
{
    const char *comma = memchr(rest->ptr, ',', rest->len);
    struct span before = {rest->ptr, comma ? (size_t)(comma - rest->ptr) : rest->len};
    size_t gone = before.len + (comma ? 1 : 0);

    rest->ptr += gone;
    rest->len -= gone;
    return before;
}

bool span_next_element(struct span *rest, struct span *element)
{
    while (rest->len != 0) {
        *element = span_trim(cut_at_comma(rest));
        if (element->len != 0)
            return true;
    }
    return false;
}
