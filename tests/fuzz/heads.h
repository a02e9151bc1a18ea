#ifndef CURFEW_TESTS_FUZZ_HEADS_H
#define CURFEW_TESTS_FUZZ_HEADS_H

#include "base/text.h"
#include "http/http1.h"
#include "fuzz.h"

/* What is true of every head that the parser has accepted, found out in other ways than the parser's. */

/* Where a head lies in the bytes, if it is not too long. */
struct found {
    enum http1_status status;
    enum cause excess;
    size_t start, end;
};

static inline struct found find_head(struct span bytes, bool is_response, size_t max)
{
    struct http1_scan scan = {.is_response = is_response};
    struct found found = {0};
    struct span head = {bytes.ptr, 0};

    found.status = http1_scan(&scan, bytes, &head, &found.end);
    found.excess = http1_head_excess(&scan, bytes, found.end, max);
    if (found.status == HTTP1_DONE)
        found.start = (size_t)(head.ptr - bytes.ptr);
    return found;
}

/* A first line that is known early is the head's first line, and stays what it was. */
static inline void check_first_line(const struct http1_scan *scan, struct span bytes, struct span *known)
{
    struct span line;

    if (!http1_first_line(scan, bytes, &line)) {
        MUST(known->len == 0);
        return;
    }
    MUST(line.len != 0 && (known->len == 0 || (line.ptr == known->ptr && line.len == known->len)));
    MUST(line.ptr[line.len] == '\n' ? scan->is_response : memcmp(line.ptr + line.len, "\r\n", 2) == 0);
    *known = line;
}

/* As find_head, in pieces; *line is the first line if it is whole, in a copy of its own. */
static inline struct found find_head_in_pieces(struct span bytes, bool is_response, size_t max, uint8_t seed,
                                               struct text *line)
{
    struct arrival arrival = arrival_of(bytes, seed);
    struct http1_scan scan = {.is_response = is_response};
    struct found found = {.status = HTTP1_MORE};
    struct span head = {arrival.block, 0}, known = {NULL, 0};

    while (found.status == HTTP1_MORE && found.excess == CAUSE_NONE && arrival_more(&arrival)) {
        struct span have = arrival_from(&arrival, 0);

        found.status = http1_scan(&scan, have, &head, &found.end);
        found.excess = http1_head_excess(&scan, have, found.end, max);
        check_first_line(&scan, have, &known);
    }
    text_put(line, known);
    if (found.status == HTTP1_DONE)
        found.start = (size_t)(head.ptr - arrival.block);
    arrival_free(&arrival);
    return found;
}

/* The bytes at once, and in pieces: the same head, or one that is too long by the same rule. */
static inline struct found find_head_both_ways(struct span bytes, bool is_response, size_t max, uint8_t seed,
                                               struct text *line)
{
    struct found whole = find_head(bytes, is_response, max);
    struct found pieces = find_head_in_pieces(bytes, is_response, max, seed, line);

    MUST(whole.excess == pieces.excess);
    if (whole.excess == CAUSE_NONE)
        MUST(whole.status == pieces.status && whole.start == pieces.start && whole.end == pieces.end);
    MUST(whole.status != HTTP1_DONE || (whole.excess == CAUSE_NONE) == (whole.end - whole.start <= max));
    return whole;
}

/*
 * Lines end with CRLF or LF alone, there is an empty one at the end and nowhere else, and no byte that could steer a
 * reader. The number of those that end with LF alone.
 */
static inline unsigned check_lines(struct span head)
{
    unsigned lf_alone = 0;
    size_t line = 0;

    for (size_t i = 0; i < head.len; i++) {
        unsigned char c = (unsigned char)head.ptr[i];
        bool ends_line = c == '\n', has_cr = ends_line && i > line && head.ptr[i - 1] == '\r';

        if (c == '\r')
            MUST(i + 1 < head.len && head.ptr[i + 1] == '\n');
        else
            MUST(ends_line || c == '\t' || (c >= 0x20 && c != 0x7f));
        if (!ends_line)
            continue;
        MUST((i - has_cr == line) == (i + 1 == head.len) && i - has_cr != 0);
        lf_alone += !has_cr;
        line = i + 1;
    }
    MUST(line == head.len && line != 0);
    return lf_alone;
}

/* How often the field is there, and its last value. */
static inline unsigned count_fields(const struct http1_head *head, struct span name, struct span *value)
{
    unsigned count = 0;

    *value = (struct span){NULL, 0};
    for (unsigned i = 0; i < head->field_count; i++) {
        if (span_eq_nocase(head->fields[i].name, name)) {
            *value = head->fields[i].value;
            count++;
        }
    }
    return count;
}

/* The field lines cover the head from its first line to its empty line, without a gap. */
static inline void check_fields(struct span bytes, const struct http1_head *head)
{
    const char *at = memchr(bytes.ptr, '\n', bytes.len);

    MUST(at != NULL && head->field_count <= HTTP1_FIELDS_IN(bytes.len));
    at++;
    for (unsigned i = 0; i < head->field_count; i++) {
        const struct http1_field *field = &head->fields[i];

        MUST(field->line.ptr == at && field->name.ptr == at);
        MUST(http1_is_token(field->name) && field->name.ptr[field->name.len] == ':');
        MUST(http1_is_field_value(field->value) && span_trim(field->value).len == field->value.len);
        MUST(field->value.ptr > at + field->name.len);
        MUST(field->value.ptr + field->value.len + 1 <= at + field->line.len &&
             at[field->line.len - 1] == '\n');
        at += field->line.len;
    }
    MUST(at + 2 == bytes.ptr + bytes.len || at + 1 == bytes.ptr + bytes.len);
}

/* Decimal digits and nothing else, of a number that 63 bits hold. */
static inline bool is_length(struct span digits, uint64_t *length)
{
    *length = 0;
    for (size_t i = 0; i < digits.len; i++) {
        if (digits.ptr[i] < '0' || digits.ptr[i] > '9' ||
            *length > (INT64_MAX - (uint64_t)(digits.ptr[i] - '0')) / 10)
            return false;
        *length = *length * 10 + (uint64_t)(digits.ptr[i] - '0');
    }
    return digits.len != 0;
}

/* Each element of each field that has this name is the same length. *count: how many elements there are. */
static inline bool agree_on_length(const struct http1_head *head, uint64_t *length, unsigned *count)
{
    *count = 0;
    for (unsigned i = 0; i < head->field_count; i++) {
        struct span value = head->fields[i].value;
        size_t start = 0;

        if (!span_eq_nocase(head->fields[i].name, SPAN_LIT("content-length")))
            continue;
        for (size_t at = 0; at <= value.len; at++) {
            uint64_t number;

            if (at != value.len && value.ptr[at] != ',')
                continue;
            if (!is_length(span_trim((struct span){value.ptr + start, at - start}), &number) ||
                (*count != 0 && number != *length))
                return false;
            *length = number;
            ++*count;
            start = at + 1;
        }
    }
    return true;
}

/* RFC 9112 6: how the fields alone delimit the content. */
struct framing_seen {
    bool sound; /* in one way; of a length, said `count` times */
    enum http1_framing framing;
    uint64_t length;
    unsigned count;
};

static inline struct framing_seen framing_of_fields(const struct http1_head *head)
{
    struct span coding, digits;
    unsigned codings = count_fields(head, SPAN_LIT("transfer-encoding"), &coding);
    unsigned lengths = count_fields(head, SPAN_LIT("content-length"), &digits);
    struct framing_seen seen = {.framing = HTTP1_NO_CONTENT, .sound = true};

    if (codings != 0) {
        seen.framing = HTTP1_CHUNKED;
        seen.sound =
            codings == 1 && lengths == 0 && head->minor == 1 && span_eq_nocase(coding, SPAN_LIT("chunked"));
    } else if (lengths != 0) {
        seen.framing = HTTP1_LENGTH;
        seen.sound = agree_on_length(head, &seen.length, &seen.count);
    }
    return seen;
}

static inline bool is_among(struct span name, const struct span *names, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (span_eq_nocase(names[i], name))
            return true;
    return false;
}

/* No field that the sender's neighbour alone was to see, and none that Connection named, but `ours`. */
static inline void check_hop_fields_are_gone(const struct http1_head *before, const struct http1_head *after,
                                             const struct span *ours, unsigned ours_count)
{
    static const struct span never[] = {{"keep-alive", 10}, {"proxy-connection", 16}, {"upgrade", 7}};
    struct span value;

    for (unsigned i = 0; i < 3; i++)
        MUST(count_fields(after, never[i], &value) == 0);
    for (unsigned i = 0; i < before->field_count; i++)
        if (before->fields[i].nominated && before->fields[i].id != HTTP1_FIELD_TE &&
            !is_among(before->fields[i].name, ours, ours_count))
            MUST(count_fields(after, before->fields[i].name, &value) == 0);
}

#endif
