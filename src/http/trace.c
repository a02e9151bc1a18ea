#include "http/trace.h"

#include <string.h>

#include "base/invariant.h"
#include "http/octet.h"

/* VERSION-TRACE_ID-PARENT_ID-FLAGS: where these stand. */
#define ID_AT     3
#define PARENT_AT 36
#define FLAGS_AT  53
#define VALUE_LEN 55

static bool is_hex(const char *digits, size_t count)
{
    return octet_all((struct span){digits, count}, OCTET_LOWER_HEX);
}

static bool is_id(const char *digits, size_t count)
{
    return is_hex(digits, count) && memcmp(digits, "00000000000000000000000000000000", count) != 0;
}

/* Version 00 ends with its flags; a later one may go on behind another dash; ff is none. */
static bool ends_as_its_version_says(struct span value)
{
    if (!is_hex(value.ptr, 2) || memcmp(value.ptr, "ff", 2) == 0)
        return false;
    return value.len == VALUE_LEN || (value.ptr[VALUE_LEN] == '-' && memcmp(value.ptr, "00", 2) != 0);
}

bool trace_parse(struct span value, struct trace *out)
{
    const char *at = value.ptr;

    if (value.len < VALUE_LEN || at[ID_AT - 1] != '-' || at[PARENT_AT - 1] != '-' || at[FLAGS_AT - 1] != '-')
        return false;
    if (!ends_as_its_version_says(value) || !is_hex(at + FLAGS_AT, 2) ||
        !is_id(at + ID_AT, sizeof(out->id)) || !is_id(at + PARENT_AT, sizeof(out->parent)))
        return false;
    memcpy(out->id, at + ID_AT, sizeof(out->id));
    memcpy(out->parent, at + PARENT_AT, sizeof(out->parent));
    return true;
}

static void put_hex(char *digits, uint64_t n)
{
    for (unsigned i = 0; i < 16; i++)
        digits[i] = "0123456789abcdef"[n >> (60 - 4 * i) & 15];
}

/* Zero is no id. */
void trace_begin(struct trace *trace, const uint64_t random[3])
{
    put_hex(trace->id, random[0]);
    put_hex(trace->id + 16, random[1] != 0 ? random[1] : 1);
    put_hex(trace->parent, random[2] != 0 ? random[2] : 1);
    POST(is_id(trace->id, sizeof(trace->id)) && is_id(trace->parent, sizeof(trace->parent)));
}

/*
 * Flags 01, "sampled": what curfew knows of the call is written down, in the access log. Flags 00 would be worse than
 * no field at all: most tracers follow their caller's decision, so the API would then record none of these calls.
 * The flag for random ids of Level 2 (02) is left out, because receivers that know Level 1 alone take 03 for invalid.
 */
void trace_put_line(struct text *out, const struct trace *trace)
{
    TEXT_LIT(out, "traceparent: 00-");
    text_put(out, trace_id(trace));
    TEXT_LIT(out, "-");
    text_put(out, trace_parent(trace));
    TEXT_LIT(out, "-01\r\n");
}
