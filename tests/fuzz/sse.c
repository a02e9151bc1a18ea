/*
 * An event stream: the machine that reads it in pieces (http/sse) beside a reader that has all of it, splits it into
 * lines, and goes by the words of the standard (WHATWG HTML, 9.2.6).
 *
 * Input: a byte for how the stream arrives, one for which types are ignored, the stream.
 */
#include <string.h>

#include "http/sse.h"
#include "fuzz.h"

#define BYTES_MAX 4096

static const struct span types[] = {{"ping", 4}, {"message", 7}, {"pinge", 5}, {"p", 1}};

/* One more of the blocks that the stream has. */
struct blocks {
    uint8_t of[BYTES_MAX];
    size_t count;
};

static void add(struct blocks *blocks, enum sse_block block)
{
    MUST(blocks->count < BYTES_MAX);
    blocks->of[blocks->count++] = (uint8_t)block;
}

/* The next line, without its end. False: there is no line that has ended. */
static bool next_line(struct span *rest, struct span *line)
{
    for (size_t i = 0; i < rest->len; i++) {
        char c = rest->ptr[i];

        if (c != '\n' && c != '\r')
            continue;
        *line = (struct span){rest->ptr, i};
        i += c == '\r' && i + 1 < rest->len && rest->ptr[i + 1] == '\n' ? 2 : 1;
        *rest = (struct span){rest->ptr + i, rest->len - i};
        return true;
    }
    return false;
}

static bool is_ignored(const struct sse_terms *terms, struct span type)
{
    if (type.len == 0)
        type = SPAN_LIT("message");
    for (uint32_t i = 0; i < terms->ignore_count; i++) {
        if (span_eq(terms->ignore[i], type))
            return true;
    }
    return false;
}

static void split_field(struct span line, struct span *name, struct span *value)
{
    const char *colon = memchr(line.ptr, ':', line.len);
    size_t at = colon != NULL ? (size_t)(colon - line.ptr) : line.len, behind = colon != NULL ? at + 1 : at;

    if (behind < line.len && line.ptr[behind] == ' ')
        behind++;
    *name = (struct span){line.ptr, at};
    *value = (struct span){line.ptr + behind, line.len - behind};
}

static void read_by_lines(const struct sse_terms *terms, struct span rest, struct blocks *blocks)
{
    struct span line, name, value, type = {"", 0};
    bool has_data = false, has_fields = false;

    if (rest.len >= 3 && memcmp(rest.ptr, "\xef\xbb\xbf", 3) == 0)
        rest = (struct span){rest.ptr + 3, rest.len - 3};
    while (next_line(&rest, &line)) {
        if (line.len == 0) {
            add(blocks, has_data && !is_ignored(terms, type) ? SSE_EVENT
                        : has_fields                         ? SSE_OTHER
                                                             : SSE_COMMENT);
            has_data = has_fields = false;
            type.len = 0;
            continue;
        }
        split_field(line, &name, &value);
        has_fields |= name.len != 0;
        has_data |= span_eq(name, SPAN_LIT("data"));
        if (span_eq(name, SPAN_LIT("event")))
            type = value;
    }
}

static void read_in_pieces(const struct sse_terms *terms, struct span bytes, uint8_t seed,
                           struct blocks *blocks)
{
    struct arrival arrival = arrival_of(bytes, seed);
    size_t read = 0;
    struct sse sse;

    sse_begin(&sse, terms);
    while (arrival_more(&arrival)) {
        struct span rest = arrival_from(&arrival, read);
        enum sse_block block;

        while ((block = sse_next(&sse, terms, &rest)) != SSE_NONE)
            add(blocks, block);
        MUST(rest.len == 0);
        read = arrival.have;
    }
    arrival_free(&arrival);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static struct blocks whole, pieces;
    struct input input = {bytes, len > BYTES_MAX ? BYTES_MAX : len};
    uint8_t seed = input_byte(&input), ignored = input_byte(&input);
    struct span stream = input_rest(&input);
    struct sse_terms terms = {types + (ignored >> 2 & 1), ignored % 4};

    whole.count = pieces.count = 0;
    read_by_lines(&terms, stream, &whole);
    read_in_pieces(&terms, stream, seed, &pieces);
    MUST(whole.count == pieces.count && memcmp(whole.of, pieces.of, whole.count) == 0);
    return 0;
}
