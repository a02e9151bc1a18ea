#ifndef CURFEW_TESTS_FUZZ_SINK_H
#define CURFEW_TESTS_FUZZ_SINK_H

#include "base/text.h"
#include "fuzz.h"
#include "http/h1_reader.h"
#include "http/h1_writer.h"

/* In place of a socket: takes now much, now little, now nothing. */
struct sink {
    struct text text;
    struct luck luck;
    bool greedy; /* takes all, always */
};

static inline void sink_init(struct sink *sink, char *block, size_t cap, uint8_t seed)
{
    *sink = (struct sink){.text = text_over(block, cap), .luck = luck_of(seed), .greedy = seed == 0};
}

/* Returns how many bytes it took. */
static inline size_t sink_take(struct sink *sink, const struct iovec *pieces, int count)
{
    size_t room = SIZE_MAX, before = sink->text.len;

    MUST(count > 0 && count <= H1_WRITER_PIECES);
    if (!sink->greedy) {
        if (luck_below(&sink->luck, 8) == 0)
            return 0;
        room = 1 + luck_below(&sink->luck, 1u << luck_below(&sink->luck, 10));
    }
    for (int i = 0; i < count; i++) {
        size_t part = pieces[i].iov_len < room ? pieces[i].iov_len : room;

        MUST(pieces[i].iov_len != 0);
        text_bytes(&sink->text, pieces[i].iov_base, part);
        MUST(!sink->text.overflow);
        room -= part;
    }
    return sink->text.len - before;
}

/* ---- from a reader to a writer ------------------------------------------------------------------------- */

/* What has come of the source's bytes, and is not done with. */
struct source {
    char *data;
    size_t start, end;
};

static inline struct span source_span(const struct source *source)
{
    return (struct span){source->data + source->start, source->end - source->start};
}

enum pump_result { PUMP_STARVED, PUMP_BLOCKED, PUMP_DONE, PUMP_BROKEN };

/* False: the framing is broken. */
static inline bool pump_decode(struct h1_reader *reader, struct h1_writer *writer, struct source *source)
{
    struct span trailers;
    size_t front;
    bool is_sound = h1_reader_show(reader, source_span(source), writer->head.len != 0, &trailers, &front);

    source->start += front;
    if (!is_sound)
        return false;
    if (reader->ended)
        MUST(h1_writer_end(writer, trailers));
    if (reader->data != 0)
        h1_writer_begin(writer, reader->data);
    return true;
}

/* One round of decoding and writing. STARVED: the source has no more, or there may be another round. */
static inline enum pump_result pump_some(struct h1_reader *reader, struct h1_writer *writer,
                                         struct source *source, struct sink *sink, bool *more)
{
    struct iovec pieces[H1_WRITER_PIECES];
    struct span data;
    size_t written;

    *more = false;
    if (reader->data == 0 && !h1_writer_is_within_chunk(writer) && !reader->ended &&
        !pump_decode(reader, writer, source))
        return PUMP_BROKEN;
    if (reader->data == 0 && !h1_writer_has_more(writer))
        return reader->ended ? PUMP_DONE : PUMP_STARVED;
    data = h1_reader_data(reader, source_span(source));
    written = sink_take(sink, pieces, h1_writer_gather(writer, data, pieces));
    if (written == 0)
        return PUMP_BLOCKED;
    source->start += h1_reader_take(reader, h1_writer_advance(writer, data.len, written));
    *more = true;
    return PUMP_STARVED;
}

/* As far as it goes. */
static inline enum pump_result pump(struct h1_reader *reader, struct h1_writer *writer, struct source *source,
                                    struct sink *sink)
{
    enum pump_result result;
    bool more;

    do {
        result = pump_some(reader, writer, source, sink, &more);
    } while (more);
    return result;
}

/* The source has ended. False: it is in the middle of the message. */
static inline bool pump_end(struct h1_reader *reader, struct h1_writer *writer)
{
    bool had_ended = reader->ended;

    if (!h1_reader_end(reader))
        return false;
    if (!had_ended)
        MUST(h1_writer_end(writer, (struct span){0}));
    return true;
}

#endif
