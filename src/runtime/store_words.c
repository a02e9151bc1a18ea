#include "runtime/store_words.h"

#include "base/mem.h"

static size_t bytes_of(const struct span *words, uint32_t count)
{
    size_t bytes = 0;

    for (uint32_t i = 0; i < count; i++)
        bytes += words[i].len;
    return bytes;
}

static char *put(struct span *copy, char *at, const struct span *words, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (words[i].len > 0)
            memcpy(at, words[i].ptr, words[i].len);
        copy[i] = (struct span){at, words[i].len};
        at += words[i].len;
    }
    return at;
}

struct span *store_words_copy(const struct span *words, uint32_t count, const struct span *more,
                              uint32_t more_count)
{
    size_t bytes = bytes_of(words, count) + bytes_of(more, more_count);
    struct span *copy = mem_alloc((count + more_count) * sizeof(*copy) + bytes);

    if (copy != NULL)
        (void)put(&copy[count], put(copy, (char *)&copy[count + more_count], words, count), more, more_count);
    return copy;
}
