#include "http/sse.h"

#include "base/invariant.h"
#include "http/octet.h"

/*
 * Where in a line the next byte lies. A line is `name: value`, of which the space may be missing, or a name alone; of
 * names two matter, and of values the one of `event`. All else is passed over sixteen bytes at a time.
 */
enum {
    AT_MARK, /* within the byte order mark that may begin the stream */
    AT_LINE, /* at the first byte of a line */
    IN_DATA, /* as far as it has come, the name is that of `data` … */
    IN_EVENT,
    AT_TYPE, /* behind "event:" */
    IN_TYPE,
    IN_REST,
};

static const char mark[] = "\xef\xbb\xbf";

/* Of an event without a type, and of one with an empty type. */
static bool is_message_ignored(const struct sse_terms *terms)
{
    for (uint32_t i = 0; i < terms->ignore_count; i++) {
        if (span_eq(terms->ignore[i], SPAN_LIT("message")))
            return true;
    }
    return false;
}

static void begin_block(struct sse *sse)
{
    sse->state = AT_LINE;
    sse->has_fields = sse->has_data = false;
    sse->is_ignored = sse->ignores_messages;
}

void sse_begin(struct sse *sse, const struct sse_terms *terms)
{
    PRE(terms->ignore_count <= SSE_IGNORE_MAX);
    *sse = (struct sse){.ignores_messages = is_message_ignored(terms)};
    begin_block(sse);
    sse->state = AT_MARK;
}

static enum sse_block end_block(struct sse *sse)
{
    enum sse_block block = SSE_COMMENT;

    if (sse->has_data && !sse->is_ignored)
        block = SSE_EVENT;
    else if (sse->has_fields)
        block = SSE_OTHER;
    begin_block(sse);
    return block;
}

/* The type is one of those that are ignored: as long as what was read of it, and the same so far. */
static bool is_type_ignored(const struct sse *sse, const struct sse_terms *terms)
{
    for (uint32_t i = 0; i < terms->ignore_count; i++) {
        if ((sse->candidates >> i & 1) != 0 && terms->ignore[i].len == sse->at)
            return true;
    }
    return false;
}

/* The line ends here: a name may be complete by it, or a type. */
static void end_line(struct sse *sse, const struct sse_terms *terms)
{
    switch (sse->state) {
    case IN_DATA: sse->has_data |= sse->at == strlen("data"); break;
    case IN_EVENT:
        if (sse->at == strlen("event"))
            sse->is_ignored = sse->ignores_messages;
        break;
    case AT_TYPE: sse->is_ignored = sse->ignores_messages; break;
    case IN_TYPE: sse->is_ignored = sse->at == 0 ? sse->ignores_messages : is_type_ignored(sse, terms); break;
    case AT_MARK: sse->has_fields = true; break;
    default: break;
    }
    sse->state = AT_LINE;
}

/* A CR or LF. NONE: the block goes on. */
static enum sse_block take_line_end(struct sse *sse, const struct sse_terms *terms, char c)
{
    bool is_second_half = c == '\n' && sse->after_cr;
    bool is_empty = sse->state == AT_LINE || (sse->state == AT_MARK && sse->at == 0);

    sse->after_cr = c == '\r';
    if (is_second_half)
        return SSE_NONE;
    if (is_empty)
        return end_block(sse);
    end_line(sse, terms);
    return SSE_NONE;
}

static void begin_line(struct sse *sse, char c)
{
    sse->at = 1;
    sse->has_fields |= c != ':';
    sse->state = c == 'd' ? IN_DATA : c == 'e' ? IN_EVENT : IN_REST;
}

static void take_of_mark(struct sse *sse, char c)
{
    if (c == mark[sse->at]) {
        if (++sse->at == strlen(mark))
            sse->state = AT_LINE;
        return;
    }
    if (sse->at == 0) {
        begin_line(sse, c);
        return;
    }
    sse->has_fields = true;
    sse->state = IN_REST;
}

static void take_of_name(struct sse *sse, struct span name, char c)
{
    if (sse->at < name.len && c == name.ptr[sse->at]) {
        sse->at++;
        return;
    }
    if (c != ':' || sse->at != name.len) {
        sse->state = IN_REST;
    } else if (sse->state == IN_DATA) {
        sse->has_data = true;
        sse->state = IN_REST;
    } else {
        sse->state = AT_TYPE;
    }
}

static void take_of_type(struct sse *sse, const struct sse_terms *terms, char c)
{
    for (uint32_t i = 0; i < terms->ignore_count; i++) {
        if (terms->ignore[i].len <= sse->at || terms->ignore[i].ptr[sse->at] != c)
            sse->candidates &= (uint16_t) ~(1u << i);
    }
    sse->at++;
    sse->state = IN_TYPE;
    if (sse->candidates != 0)
        return;
    sse->is_ignored = false;
    sse->state = IN_REST;
}

static void begin_type(struct sse *sse, const struct sse_terms *terms, char c)
{
    sse->candidates = (uint16_t)((1u << terms->ignore_count) - 1);
    sse->at = 0;
    sse->state = IN_TYPE;
    if (c != ' ')
        take_of_type(sse, terms, c);
}

/* Any byte but CR and LF. */
static void take_byte(struct sse *sse, const struct sse_terms *terms, char c)
{
    switch (sse->state) {
    case AT_MARK: take_of_mark(sse, c); break;
    case AT_LINE: begin_line(sse, c); break;
    case IN_DATA: take_of_name(sse, SPAN_LIT("data"), c); break;
    case IN_EVENT: take_of_name(sse, SPAN_LIT("event"), c); break;
    case AT_TYPE: begin_type(sse, terms, c); break;
    case IN_TYPE: take_of_type(sse, terms, c); break;
    default: break;
    }
}

/* Most lines are "data: …": where their name lies whole in the bytes at `at`, it is taken at once. */
static size_t take_data_name(struct sse *sse, struct span bytes, size_t at)
{
    static const char name[] = {'d', 'a', 't', 'a', ':'};

    if (sse->state != AT_LINE || bytes.len - at < sizeof(name) ||
        memcmp(bytes.ptr + at, name, sizeof(name)) != 0)
        return at;
    sse->has_fields = sse->has_data = true;
    sse->after_cr = false;
    sse->state = IN_REST;
    return at + sizeof(name);
}

enum sse_block sse_next(struct sse *sse, const struct sse_terms *terms, struct span *rest)
{
    struct span bytes = *rest;
    enum sse_block block = SSE_NONE;
    size_t at = 0;

    while (at < bytes.len && block == SSE_NONE) {
        char c;

        at = take_data_name(sse, bytes, at);
        if (sse->state == IN_REST) {
            at = octet_find_line_break(bytes, at);
            if (at == bytes.len)
                break;
            if (bytes.len - at >= 2 && bytes.ptr[at] == '\n' && bytes.ptr[at + 1] == '\n') {
                at += 2;
                block = end_block(sse);
                break;
            }
        }
        c = bytes.ptr[at++];
        if (c == '\n' || c == '\r') {
            block = take_line_end(sse, terms, c);
        } else {
            sse->after_cr = false;
            take_byte(sse, terms, c);
        }
    }
    *rest = (struct span){bytes.ptr + at, bytes.len - at};
    POST(block != SSE_NONE || rest->len == 0);
    return block;
}

uint32_t sse_count(struct sse *sse, const struct sse_terms *terms, struct span bytes)
{
    uint32_t events = 0;

    while (bytes.len != 0)
        events += sse_next(sse, terms, &bytes) == SSE_EVENT;
    return events;
}
