#include "view/prometheus.h"

#include <stdlib.h>
#include <string.h>

/* Longest number. */
#define NUMBER_MAX 64

static struct span take_line(struct span *page)
{
    const char *end = memchr(page->ptr, '\n', page->len);
    size_t len = end != NULL ? (size_t)(end - page->ptr) : page->len;
    struct span line = {page->ptr, len};

    page->ptr += end != NULL ? len + 1 : len;
    page->len -= end != NULL ? len + 1 : len;
    return line;
}

/* The length of what stands before the closing brace, quotes respected; the whole length if there is none. */
static size_t labels_len(struct span text)
{
    bool quoted = false;
    size_t i;

    for (i = 0; i < text.len && (quoted || text.ptr[i] != '}'); i++) {
        if (quoted && text.ptr[i] == '\\')
            i++;
        else if (text.ptr[i] == '"')
            quoted = !quoted;
    }
    return i < text.len ? i : text.len;
}

static bool read_number(struct span text, double *value)
{
    char number[NUMBER_MAX];
    char *end;

    text = span_trim(text);
    if (text.len == 0 || text.len >= sizeof(number))
        return false;
    memcpy(number, text.ptr, text.len);
    number[text.len] = '\0';
    *value = strtod(number, &end);
    return *end == '\0';
}

static bool read_sample(struct span line, struct prometheus_sample *sample)
{
    size_t name_len = 0, taken;

    while (name_len < line.len && line.ptr[name_len] != '{' && line.ptr[name_len] != ' ')
        name_len++;
    if (name_len == 0 || name_len == line.len || line.ptr[0] == '#')
        return false;
    sample->name = (struct span){line.ptr, name_len};
    sample->labels = (struct span){line.ptr + name_len, 0};
    taken = name_len;
    if (line.ptr[name_len] == '{') {
        struct span rest = {line.ptr + name_len + 1, line.len - name_len - 1};

        sample->labels = (struct span){rest.ptr, labels_len(rest)};
        taken = name_len + 1 + sample->labels.len + 1;
    }
    return taken < line.len && read_number((struct span){line.ptr + taken, line.len - taken}, &sample->value);
}

bool prometheus_next(struct span *page, struct prometheus_sample *sample)
{
    while (page->len != 0)
        if (read_sample(take_line(page), sample))
            return true;
    return false;
}

/* Takes NAME="VALUE" and the comma behind it off *labels. */
static bool take_label(struct span *labels, struct span *name, struct span *value)
{
    const char *equals = memchr(labels->ptr, '=', labels->len);
    size_t at, from;

    if (equals == NULL)
        return false;
    *name = (struct span){labels->ptr, (size_t)(equals - labels->ptr)};
    from = at = name->len + 2;
    while (at < labels->len && labels->ptr[at] != '"')
        at += labels->ptr[at] == '\\' ? 2 : 1;
    if (at >= labels->len)
        return false;
    *value = (struct span){labels->ptr + from, at - from};
    at += at + 1 < labels->len ? 2 : 1;
    *labels = (struct span){labels->ptr + at, labels->len - at};
    return true;
}

bool prometheus_label(const struct prometheus_sample *sample, const char *name, struct span *value)
{
    struct span labels = sample->labels, found;

    while (labels.len != 0 && take_label(&labels, &found, value))
        if (span_eq(found, span_of(name)))
            return true;
    return false;
}
