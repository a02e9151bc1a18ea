#include "admin/request.h"

#include <string.h>

#include "base/invariant.h"
#include "base/mem.h"

static const struct span names[REQUEST_FIELDS] = {
    [REQUEST_HOST] = {"Host", 4},
    [REQUEST_ORIGIN] = {"Origin", 6},
    [REQUEST_FETCH_SITE] = {"Sec-Fetch-Site", 14},
    [REQUEST_FETCH_MODE] = {"Sec-Fetch-Mode", 14},
    [REQUEST_ACCEPT] = {"Accept", 6},
    [REQUEST_IF_NONE_MATCH] = {"If-None-Match", 13},
};

/* An empty value: not there. */
static struct span find(const struct http1_head *head, struct span name)
{
    for (uint32_t i = 0; i < head->field_count; i++) {
        if (span_eq_nocase(head->fields[i].name, name))
            return head->fields[i].value;
    }
    return (struct span){0};
}

static const char *keep(struct text *texts, struct span text)
{
    const char *kept = texts->ptr + texts->len;

    text_put(texts, text);
    text_bytes(texts, "", 1);
    return kept;
}

/* "/x?y" has a path and a query; "?y" is short for "/?y". */
static void keep_target(struct admin_request *request, struct text *texts, struct span target)
{
    const char *mark = target.len != 0 ? memchr(target.ptr, '?', target.len) : NULL;
    size_t path_len = mark != NULL ? (size_t)(mark - target.ptr) : target.len;

    request->path = keep(texts, path_len != 0 ? (struct span){target.ptr, path_len} : SPAN_LIT("/"));
    if (mark != NULL)
        request->query = keep(texts, (struct span){mark + 1, target.len - path_len - 1});
}

struct admin_request *request_new(struct client *client, const struct http1_head *head)
{
    struct span values[REQUEST_FIELDS];
    size_t room = head->path.len + sizeof("/") + sizeof("");
    struct admin_request *request;
    struct text texts;

    for (int i = 0; i < REQUEST_FIELDS; i++) {
        values[i] = find(head, names[i]);
        room += values[i].len + 1;
    }
    request = mem_zalloc(sizeof(*request) + room);
    if (request == NULL)
        return NULL;
    request->client = client;
    request->method = head->method_id;
    request->lines = text_over(request->line_block, sizeof(request->line_block));
    texts = text_over(request->texts, room);
    keep_target(request, &texts, head->path);
    for (int i = 0; i < REQUEST_FIELDS; i++) {
        if (values[i].ptr != NULL)
            request->fields[i] = keep(&texts, values[i]);
    }
    POST(!texts.overflow);
    return request;
}

void request_add_line(struct admin_request *request, const char *name, const char *value)
{
    text_printf(&request->lines, "%s: %s\r\n", name, value);
    POST(!request->lines.overflow);
}

bool request_has_line(const struct admin_request *request, const char *name)
{
    size_t len = strlen(name);

    for (size_t at = 0; at + len < request->lines.len;) {
        const char *end = memchr(request->lines.ptr + at, '\n', request->lines.len - at);

        if (memcmp(request->lines.ptr + at, name, len) == 0 && request->lines.ptr[at + len] == ':')
            return true;
        at = end != NULL ? (size_t)(end - request->lines.ptr) + 1 : request->lines.len;
    }
    return false;
}
