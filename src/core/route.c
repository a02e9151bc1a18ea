#include "core/route.h"

#include <string.h>

#include "base/invariant.h"

/* Byte order; of two paths one of which begins with the other, the shorter is less. */
static int compare(struct span a, struct span b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len == 0 ? 0 : memcmp(a.ptr, b.ptr, len);

    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

/* How many of the sorted entries are not greater than `path`. */
static uint32_t count_up_to(const struct route_entry *entries, uint32_t count, struct span path)
{
    uint32_t low = 0, high = count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (compare(entries[middle].path, path) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Each entry goes behind those before it that are not greater, so equal ones keep their order. */
void route_sort(struct route_entry *entries, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        struct route_entry entry = entries[i];
        uint32_t at = count_up_to(entries, i, entry.path);

        PRE(entry.path.len == 1 || entry.path.ptr[entry.path.len - 1] != '/');
        memmove(&entries[at + 1], &entries[at], (i - at) * sizeof(entry));
        entries[at] = entry;
    }
}

static bool takes_method(const struct route_entry *entry, struct span method)
{
    for (uint32_t i = 0; i < entry->method_count; i++)
        if (span_eq(entry->methods[i], method))
            return true;
    return entry->method_count == 0;
}

/*
 * The longest prefix of at most `len` bytes of the path that ends on a segment border; "/" is the shortest.
 */
static size_t border(struct span path, size_t len)
{
    PRE(len <= path.len);
    while (len > 1 && len < path.len && path.ptr[len] != '/')
        len--;
    return len;
}

static size_t common_len(struct span a, struct span b)
{
    size_t len = 0;

    while (len < a.len && len < b.len && a.ptr[len] == b.ptr[len])
        len++;
    return len;
}

/*
 * Entries that begin the path sort before it, and the last entry that sorts before it shares with it whatever
 * they share: so what is not common with that one needs not be looked for, and a path of many segments costs
 * no more than the entries have.
 */
uint32_t route_find(const struct route_entry *entries, uint32_t count, struct span path, struct span method,
                    uint32_t otherwise)
{
    const char *query = path.len == 0 ? NULL : memchr(path.ptr, '?', path.len);
    size_t len;

    if (query != NULL)
        path.len = (size_t)(query - path.ptr);
    if (path.len == 0)
        path = SPAN_LIT("/");
    len = path.len;
    while (len > 0) {
        struct span prefix = {path.ptr, len};
        uint32_t end = count_up_to(entries, count, prefix), first = end;

        while (first > 0 && span_eq(entries[first - 1].path, prefix))
            first--;
        for (uint32_t i = first; i < end; i++)
            if (takes_method(&entries[i], method))
                return entries[i].id;
        if (first == 0)
            break;
        count = first;
        len = border(path, common_len(entries[first - 1].path, prefix));
    }
    return otherwise;
}
