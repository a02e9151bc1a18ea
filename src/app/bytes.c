#include "app/bytes.h"

#include <errno.h>

#include "base/mem.h"

bool bytes_grow(struct bytes *bytes)
{
    size_t cap = bytes->cap != 0 ? bytes->cap * 2 : 16384;
    char *bigger = mem_realloc(bytes->ptr, cap);

    if (bigger == NULL) {
        errno = ENOMEM;
        return false;
    }
    bytes->ptr = bigger;
    bytes->cap = cap;
    return true;
}
