#include "call/flow.h"

void flow_fini(struct flow *flow)
{
    h1_writer_fini(&flow->writer);
}

void flow_open(struct flow *flow, bool is_response, enum http1_framing from, uint64_t length,
               enum http1_framing to)
{
    h1_reader_open(&flow->reader, is_response, from, length);
    flow->writer.framing = to;
}

/* More content once what there was is written, or none if the source has to be read first; FLOW_STARVED in both. */
static enum flow_result decode(struct flow *flow, struct buffer *source)
{
    struct h1_reader *reader = &flow->reader;
    enum http1_status status = HTTP1_MORE;
    struct span trailers;

    if (reader->data != 0 || h1_writer_is_within_chunk(&flow->writer) || reader->ended)
        return FLOW_STARVED;
    while (status == HTTP1_MORE)
        status = h1_reader_decode(reader, buffer_span(source), &trailers);
    buffer_consume(source, h1_reader_take(reader, 0));
    if (status == HTTP1_BAD)
        return FLOW_BROKEN;
    if (reader->ended && !h1_writer_end(&flow->writer, trailers, flow->rules))
        return FLOW_NOMEM;
    if (flow->writer.head.len != 0 && !reader->ended && h1_reader_is_broken(reader, buffer_span(source)))
        return FLOW_BROKEN;
    if (reader->data != 0)
        h1_writer_begin(&flow->writer, reader->data);
    return FLOW_STARVED;
}

static enum flow_result write_some(struct flow *flow, struct buffer *source, struct transport *sink,
                                   bool *progress)
{
    struct span data = h1_reader_data(&flow->reader, buffer_span(source));
    struct iovec pieces[H1_WRITER_PIECES];
    int count = h1_writer_gather(&flow->writer, data, pieces);
    size_t written = 0;

    switch (transport_write(sink, pieces, count, &written)) {
    case ST_OK:
        *progress = true;
        written = h1_writer_advance(&flow->writer, data.len, written);
        buffer_consume(source, h1_reader_take(&flow->reader, written));
        return FLOW_STARVED;
    case ST_AGAIN: return FLOW_BLOCKED;
    default: return FLOW_REFUSED;
    }
}

enum flow_result flow_pump(struct flow *flow, struct buffer *source, struct transport *sink, bool *progress)
{
    enum flow_result result = FLOW_STARVED;

    while (result == FLOW_STARVED) {
        if (flow->reader.open)
            result = decode(flow, source);
        if (result != FLOW_STARVED)
            break;
        if (flow->reader.data == 0 && !h1_writer_has_more(&flow->writer))
            return flow->reader.open && flow->reader.ended ? FLOW_DONE : FLOW_STARVED;
        result = write_some(flow, source, sink, progress);
    }
    return result;
}

enum flow_result flow_source_ended(struct flow *flow)
{
    bool had_ended = flow->reader.ended;

    if (!h1_reader_end(&flow->reader))
        return FLOW_BROKEN;
    if (!had_ended && !h1_writer_end(&flow->writer, (struct span){0}, NULL))
        return FLOW_NOMEM;
    return FLOW_DONE;
}

bool flow_discard(struct flow *flow, struct buffer *source)
{
    buffer_consume(source, h1_reader_discard(&flow->reader, buffer_span(source)));
    return flow->reader.ended;
}
