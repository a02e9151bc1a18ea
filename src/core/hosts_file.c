#include "core/hosts_file.h"

#include "base/invariant.h"
#include "core/lines.h"

/* Is it among the names of a line whose address has been taken? */
static bool has_name(struct span line, struct span name)
{
    struct span word;

    while (lines_next_word(&line, &word))
        if (span_eq_nocase(word, name))
            return true;
    return false;
}

uint32_t hosts_file_find(struct span text, struct span name, struct ip *out, uint32_t max)
{
    struct span line, address;
    uint32_t count = 0;

    while (count < max && lines_next(&text, "#", &line))
        if (lines_next_word(&line, &address) && has_name(line, name) && ip_read(address, &out[count]))
            count++;
    POST(count <= max);
    return count;
}
