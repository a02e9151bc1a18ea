#include "wire/h2_list.h"

#include "base/mem.h"

bool h2_list_make(struct h2_list *list, const struct h2_field *fields, size_t count)
{
    list->fields = count <= H2_LIST_HERE ? list->here : mem_calloc(count, sizeof(*list->fields));
    if (list->fields == NULL)
        return false;
    for (size_t i = 0; i < count; i++)
        list->fields[i] =
            (nghttp2_nv){.name = (uint8_t *)(uintptr_t)fields[i].name.ptr,
                         .namelen = fields[i].name.len,
                         .value = (uint8_t *)(uintptr_t)fields[i].value.ptr,
                         .valuelen = fields[i].value.len,
                         .flags = fields[i].never_indexed ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE};
    return true;
}

void h2_list_free(struct h2_list *list)
{
    if (list->fields != list->here)
        mem_free(list->fields);
}
