#include "http/upgrade.h"

#include "base/invariant.h"

static const struct span *find(struct span asked, const struct span *protocols, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (span_eq_nocase(asked, protocols[i]))
            return &protocols[i];
    return NULL;
}

/* In the order in which the caller prefers them. */
static const struct span *find_listed(struct span list, const struct span *protocols, uint32_t count)
{
    const struct span *found = NULL;
    struct span element;

    while (found == NULL && span_next_element(&list, &element))
        found = find(element, protocols, count);
    return found;
}

static bool has_content(const struct http1_head *request)
{
    return request->framing == HTTP1_CHUNKED ||
           (request->framing == HTTP1_LENGTH && request->content_length != 0);
}

const struct span *upgrade_asked(const struct http1_head *request, const struct span *protocols,
                                 uint32_t count)
{
    const struct span *found = NULL;

    if ((request->known & HTTP1_BIT(UPGRADE)) == 0 || request->method_id != HTTP1_GET ||
        request->minor != 1 || has_content(request))
        return found;
    for (uint32_t i = 0; i < request->field_count && found == NULL; i++) {
        const struct http1_field *field = &request->fields[i];

        if (field->id == HTTP1_FIELD_UPGRADE && field->nominated)
            found = find_listed(field->value, protocols, count);
    }
    return found;
}

bool upgrade_is_granted(const struct http1_head *response, struct span protocol)
{
    unsigned granted = 0, other = 0;

    PRE(response->code == 101 && protocol.len != 0);
    for (uint32_t i = 0; i < response->field_count; i++) {
        struct span rest = response->fields[i].value, element;

        if (response->fields[i].id != HTTP1_FIELD_UPGRADE)
            continue;
        while (span_next_element(&rest, &element)) {
            if (span_eq_nocase(element, protocol))
                granted++;
            else
                other++;
        }
    }
    return granted == 1 && other == 0;
}
