#include "core/lines.h"

#include <string.h>

#include "base/invariant.h"

static bool is_one_of(const char *characters, char c)
{
    return c != '\0' && strchr(characters, c) != NULL;
}

static size_t find_any(struct span s, const char *characters)
{
    size_t at = 0;

    while (at < s.len && !is_one_of(characters, s.ptr[at]))
        at++;
    return at;
}

static void skip(struct span *s, size_t len)
{
    PRE(len <= s->len);
    s->ptr += len;
    s->len -= len;
}

static void cut(struct span *line, char c)
{
    const char *at = memchr(line->ptr, c, line->len);

    if (at != NULL)
        line->len = (size_t)(at - line->ptr);
}

bool lines_next(struct span *rest, const char *comment, struct span *line)
{
    if (rest->len == 0)
        return false;
    *line = *rest;
    cut(line, '\n');
    skip(rest, line->len < rest->len ? line->len + 1 : line->len);
    for (; *comment != '\0'; comment++)
        cut(line, *comment);
    return true;
}

bool lines_next_word(struct span *line, struct span *word)
{
    while (line->len != 0 && is_one_of(" \t\r\f\v", line->ptr[0]))
        skip(line, 1);
    *word = (struct span){line->ptr, find_any(*line, " \t\r\f\v")};
    skip(line, word->len);
    return word->len != 0;
}
