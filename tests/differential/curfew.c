/*
 * Reads records with curfew's parser and says what it saw: for each record a line of messages, "/" behind each.
 * Every record is read three times: all at once, byte by byte, and in random pieces. If that makes a difference, the
 * line begins with "SPLIT".
 *
 *   end,method or code,minor,keep-alive,target,fields,content,trailers   (texts in hex)
 *
 * `end` is the offset behind the message; "-" if it is not whole. The last entry says why reading has stopped:
 * "bad AT", "more AT" (in a head: "head AT"), "closed AT"; AT: bytes up to here were taken.
 */
#include "http/http1.h"

#include <stdio.h>
#include <stdlib.h>

#include "records.h"

enum split { AT_ONCE, BYTE_BY_BYTE, RANDOM, SPLITS };

struct reader {
    const struct record *record;
    enum split split;
    uint64_t random;
    size_t have, start; /* bytes that have come; where the next message, or its next part, begins */
    char *copy;         /* RANDOM: a block that ends where the bytes that have come end */
    unsigned final_responses;
    struct text out;
};

static struct http1_field fields[HTTP1_FIELDS_IN(1 << 16)];
static struct http1_head head = HTTP1_HEAD_OVER(fields);

static struct span unread(const struct reader *reader)
{
    const char *base = reader->copy != NULL ? reader->copy : reader->record->bytes;

    return (struct span){base + reader->start, reader->have - reader->start};
}

static uint64_t next_random(struct reader *reader)
{
    reader->random ^= reader->random << 13;
    reader->random ^= reader->random >> 7;
    reader->random ^= reader->random << 17;
    return reader->random;
}

/* False: all have come already. */
static bool more_comes(struct reader *reader)
{
    size_t left = reader->record->len - reader->have;

    if (left == 0)
        return false;
    switch (reader->split) {
    case AT_ONCE: reader->have += left; break;
    case BYTE_BY_BYTE: reader->have++; break;
    default: reader->have += 1 + next_random(reader) % (left < 40 ? left : 40); break;
    }
    if (reader->split == RANDOM) {
        free(reader->copy);
        reader->copy = malloc(reader->have);
        if (reader->copy == NULL)
            abort();
        memcpy(reader->copy, reader->record->bytes, reader->have);
    }
    return true;
}

/* The words between the end, which is not known yet, and the content. */
static void put_head(struct text *out, bool is_response)
{
    if (is_response)
        text_u64(out, head.code);
    else
        text_put(out, head.method);
    TEXT_LIT(out, ",");
    text_u64(out, head.minor);
    text_put(out, head.keep_alive ? SPAN_LIT(",1,") : SPAN_LIT(",0,"));
    if (!is_response)
        put_hex(out, head.target);
    TEXT_LIT(out, ",");
    for (unsigned i = 0; i < head.field_count; i++)
        put_field(out, head.fields[i].name, head.fields[i].value);
    TEXT_LIT(out, ",");
}

static void put_stop(struct reader *reader, const char *why)
{
    text_put(&reader->out, span_of(why));
    TEXT_LIT(&reader->out, " ");
    text_u64(&reader->out, reader->start);
}

/* What reads the request line early must see what the whole head's reader sees. */
static bool first_line_agrees(const struct http1_scan *scan, struct span bytes)
{
    static struct http1_head early;
    struct span line;

    return http1_first_line(scan, bytes, &line) && http1_parse_request_line(line, &early) == CAUSE_NONE &&
           span_eq(early.method, head.method) && span_eq(early.path, head.path) && early.minor == head.minor;
}

static enum cause parse_head(struct reader *reader, struct span bytes)
{
    const char *detail;

    if (!reader->record->responses)
        return http1_parse_request(bytes, &head, &detail);
    return http1_parse_response(
        bytes, record_method(reader->record, reader->final_responses) == 'H' ? HTTP1_HEAD : HTTP1_GET, &head,
        &detail);
}

/* False: reading has stopped. */
static bool read_head(struct reader *reader)
{
    struct http1_scan scan = {.is_response = reader->record->responses};
    enum http1_status status;
    struct span bytes;
    size_t end;

    do {
        status = http1_scan(&scan, unread(reader), &bytes, &end);
    } while (status == HTTP1_MORE && more_comes(reader));
    if (status == HTTP1_MORE)
        put_stop(reader, "head");
    else if (status == HTTP1_BAD || parse_head(reader, bytes) != CAUSE_NONE)
        put_stop(reader, "bad");
    else if (!reader->record->responses && !first_line_agrees(&scan, unread(reader)))
        put_stop(reader, "FIRST LINE");
    else
        return reader->start += end, true;
    return false;
}

/* Content and trailers of a message, and its end if that is reached. */
struct content_seen {
    struct text data, trailers;
    bool whole;
};

static void put_trailers(struct content_seen *seen, struct span trailers)
{
    struct http1_field field;
    bool bad;

    while (http1_next_trailer(&trailers, &field, &bad))
        put_field(&seen->trailers, field.name, field.value);
}

static enum http1_status read_content(struct reader *reader, struct content_seen *seen)
{
    struct http1_content content;
    enum http1_status status;

    http1_content_init(&content, reader->record->responses, head.framing, head.content_length);
    for (;;) {
        struct span data, trailers;
        size_t used;

        status = http1_content_next(&content, unread(reader), &used, &data, &trailers);
        put_hex(&seen->data, data);
        put_trailers(seen, trailers);
        reader->start += used;
        if (status != HTTP1_MORE || ((used == 0 || unread(reader).len == 0) && !more_comes(reader)))
            break;
    }
    seen->whole = status == HTTP1_DONE || (status == HTTP1_MORE && head.framing == HTTP1_UNTIL_CLOSE);
    return status;
}

/* False: reading has stopped. */
static bool read_message(struct reader *reader)
{
    static char head_block[1 << 20], data_block[1 << 20], trailers_block[1 << 16];
    struct text words = text_over(head_block, sizeof(head_block));
    struct content_seen seen = {text_over(data_block, sizeof(data_block)),
                                text_over(trailers_block, sizeof(trailers_block)), false};
    enum http1_status status;

    if (!read_head(reader))
        return false;
    put_head(&words, reader->record->responses);
    status = read_content(reader, &seen);
    if (seen.whole)
        text_u64(&reader->out, reader->start);
    else
        TEXT_LIT(&reader->out, "-");
    TEXT_LIT(&reader->out, ",");
    text_put(&reader->out, text_span(&words));
    text_put(&reader->out, text_span(&seen.data));
    TEXT_LIT(&reader->out, ",");
    text_put(&reader->out, text_span(&seen.trailers));
    TEXT_LIT(&reader->out, "/");
    if (seen.whole && reader->record->responses && head.code >= 200)
        reader->final_responses++;
    if (seen.whole && head.keep_alive)
        return true;
    put_stop(reader, seen.whole ? "closed" : status == HTTP1_BAD ? "bad" : "more");
    return false;
}

static struct span read_record(const struct record *record, enum split split, char *block, size_t cap)
{
    struct reader reader = {
        .record = record, .split = split, .random = record->len * 2654435761u + 88172645463325252u};

    reader.out = text_over(block, cap);
    while (read_message(&reader))
        ;
    free(reader.copy);
    if (reader.out.overflow)
        abort();
    return text_span(&reader.out);
}

int main(void)
{
    static struct record record;
    static char blocks[SPLITS][1 << 22];

    while (record_read(&record)) {
        struct span seen[SPLITS];

        for (enum split split = AT_ONCE; split < SPLITS; split++)
            seen[split] = read_record(&record, split, blocks[split], sizeof(blocks[split]));
        if (!span_eq(seen[AT_ONCE], seen[BYTE_BY_BYTE]) || !span_eq(seen[AT_ONCE], seen[RANDOM]))
            fputs("SPLIT", stdout);
        fwrite(seen[AT_ONCE].ptr, 1, seen[AT_ONCE].len, stdout);
        putchar('\n');
    }
    free(record.bytes);
    return 0;
}
