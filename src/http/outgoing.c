#include "http/outgoing.h"

#include <string.h>

#include "base/invariant.h"
#include "http/forward_rules.h"
#include "http/forwarded.h"

/* Colon, space and line end of the field, and the empty line. */
#define END_LEN 6u

static uint32_t shortened(struct span target)
{
    return (uint32_t)(target.len < OUTGOING_TARGET_MAX ? target.len : OUTGOING_TARGET_MAX);
}

/* The target as it came stands in the head as it is sent, or else behind it. */
static bool is_in_head(const struct http1_head *head, const struct forward_rules *rules)
{
    return head->authority.len == 0 && rules->authority.len == 0;
}

static uint32_t find_target(const struct outgoing *outgoing, const struct http1_head *head,
                            const struct forward_rules *rules)
{
    if (!is_in_head(head, rules))
        return outgoing->cap;
    return (uint32_t)(head->method.len + 1 + (head->path.ptr[0] != '*' ? rules->base_path.len : 0));
}

static struct span host_to_keep(const struct http1_head *head, const struct forward_rules *rules)
{
    struct span host = forwarded_host(head);

    return rules->rewrites_location && host.len <= OUTGOING_HOST_MAX ? host : SPAN_LIT("");
}

static char *put(char *at, struct span bytes)
{
    if (bytes.len != 0)
        memcpy(at, bytes.ptr, bytes.len);
    return at + bytes.len;
}

bool outgoing_init(struct outgoing *outgoing, struct slab *slab, struct span text,
                   const struct http1_head *head, const struct forward_rules *rules, uint32_t room,
                   struct span kept)
{
    struct span host = host_to_keep(head, rules), target = {head->target.ptr, shortened(head->target)};
    char *behind;

    PRE(outgoing->bytes == NULL && head->method.len <= UINT8_MAX); /* HTTP1_METHOD_MAX of it are read */
    outgoing->len = (uint32_t)text.len;
    outgoing->cap = outgoing->len + room + END_LEN;
    outgoing->size = outgoing->cap + (uint32_t)(host.len + kept.len) +
                     (is_in_head(head, rules) ? 0 : (uint32_t)target.len);
    outgoing->bytes = slab_take(slab, outgoing->size);
    if (outgoing->bytes == NULL)
        return false;
    outgoing->method = head->method_id;
    outgoing->framing = head->framing;
    outgoing->method_len = (uint8_t)head->method.len;
    outgoing->target_at = find_target(outgoing, head, rules);
    outgoing->target_len = (uint32_t)target.len;
    outgoing->host_len = (uint16_t)host.len;
    outgoing->kept_len = (uint32_t)kept.len;
    put(outgoing->bytes, text);
    behind = outgoing->bytes + outgoing->cap;
    if (!is_in_head(head, rules))
        behind = put(behind, target);
    behind = put(put(behind, host), kept);
    POST(behind == outgoing->bytes + outgoing->size);
    POST(outgoing->target_at + outgoing->target_len <= outgoing->size);
    return true;
}

bool outgoing_copy(struct outgoing *to, struct slab *slab, const struct outgoing *from)
{
    PRE(from->bytes != NULL && from->cap != 0);
    *to = *from;
    to->bytes = slab_take(slab, from->size);
    if (to->bytes == NULL)
        return false;
    put(to->bytes, (struct span){from->bytes, from->size});
    return true;
}

void outgoing_note(struct outgoing *outgoing, struct slab *slab, struct span method, struct span target)
{
    uint32_t target_len = shortened(target);

    PRE(outgoing->bytes == NULL && method.len <= UINT8_MAX);
    outgoing->len = outgoing->cap = 0; /* of a head that there was no memory for */
    if (method.len == 0)
        return;
    outgoing->size = (uint32_t)method.len + target_len;
    outgoing->bytes = slab_take(slab, outgoing->size);
    if (outgoing->bytes == NULL)
        return;
    put(put(outgoing->bytes, method), (struct span){target.ptr, target_len});
    outgoing->method_len = (uint8_t)method.len;
    outgoing->target_at = (uint32_t)method.len;
    outgoing->target_len = target_len;
}

void outgoing_fini(struct outgoing *outgoing, struct slab *slab)
{
    slab_give(slab, outgoing->bytes, outgoing->size);
    outgoing->bytes = NULL;
}

struct span outgoing_method(const struct outgoing *outgoing)
{
    return (struct span){outgoing->bytes, outgoing->bytes != NULL ? outgoing->method_len : 0};
}

struct span outgoing_target(const struct outgoing *outgoing)
{
    if (outgoing->bytes == NULL)
        return SPAN_LIT("");
    return (struct span){outgoing->bytes + outgoing->target_at, outgoing->target_len};
}

struct span outgoing_host(const struct outgoing *outgoing)
{
    PRE(outgoing->bytes != NULL);
    return (struct span){outgoing->bytes + outgoing->size - outgoing->kept_len - outgoing->host_len,
                         outgoing->host_len};
}

struct span outgoing_kept(const struct outgoing *outgoing)
{
    PRE(outgoing->bytes != NULL);
    return (struct span){outgoing->bytes + outgoing->size - outgoing->kept_len, outgoing->kept_len};
}

bool outgoing_has_field(const struct outgoing *outgoing, struct span name)
{
    const char *at = outgoing->bytes, *end;

    if (at == NULL)
        return false; /* nor is there memory for it */
    end = at + outgoing->len;
    while ((at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
        at++;
        if ((size_t)(end - at) > name.len && at[name.len] == ':' &&
            span_eq_nocase((struct span){at, name.len}, name))
            return true;
    }
    return false;
}

static char *put_field(char *at, struct span name, struct span value)
{
    return put(put(put(put(at, name), SPAN_LIT(": ")), value), SPAN_LIT("\r\n"));
}

void outgoing_tell(struct outgoing *outgoing, struct span name, struct span value)
{
    uint32_t len = (uint32_t)(name.len + value.len) + OUTGOING_FIELD_ROOM;

    PRE(outgoing->len != 0 && outgoing->len + len <= outgoing->cap && len <= UINT16_MAX);
    put_field(outgoing->bytes + outgoing->len, name, value);
    outgoing->told_len += (uint16_t)len;
    outgoing->len += len;
}

void outgoing_untell(struct outgoing *outgoing)
{
    PRE(outgoing->told_len <= outgoing->len);
    outgoing->len -= outgoing->told_len;
    outgoing->told_len = 0;
}

struct span outgoing_close(struct outgoing *outgoing, struct span name, struct span value)
{
    char *end = outgoing->bytes + outgoing->len;

    PRE(outgoing->len != 0 && outgoing->len + name.len + value.len + END_LEN <= outgoing->cap);
    if (name.len != 0)
        end = put_field(end, name, value);
    end = put(end, SPAN_LIT("\r\n"));
    return (struct span){outgoing->bytes, (size_t)(end - outgoing->bytes)};
}
