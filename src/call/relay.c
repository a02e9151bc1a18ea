#include "call/relay.h"

/* Times that the source is asked for more in one turn, so that others get theirs. */
#define ROUNDS 8

static enum relay_end end_at_sink(struct stream *from, enum stream_result result)
{
    switch (result) {
    case STREAM_WAIT: from->paused = true; return RELAY_WAIT;
    case STREAM_NOMEM: return RELAY_NOMEM;
    default: return RELAY_SINK;
    }
}

static enum relay_end end_at_source(enum stream_result result)
{
    switch (result) {
    case STREAM_WAIT: return RELAY_WAIT;
    case STREAM_NOMEM: return RELAY_NOMEM;
    default: return RELAY_SOURCE;
    }
}

/* What has come goes on. AGAIN: the source has to give more. */
static enum relay_end pass_on(struct stream *from, struct stream *to, relay_watch_fn watch, void *arg)
{
    struct stream_piece piece;
    enum stream_result result;
    size_t taken;

    do {
        if (stream_peek(from, to->head_waits, &piece) == STREAM_BAD)
            return RELAY_SOURCE;
        if (watch != NULL)
            watch(arg, &piece);
        result = stream_send(to, &piece, &taken);
        stream_take(from, taken);
        if (result != STREAM_OK)
            return end_at_sink(from, result);
        if (piece.last)
            return RELAY_DONE;
    } while (piece.data.len != 0);
    return RELAY_AGAIN;
}

enum relay_end relay_run(struct stream *from, struct stream *to, relay_watch_fn watch, void *arg)
{
    for (int round = 0; round < ROUNDS; round++) {
        enum relay_end end = pass_on(from, to, watch, arg);
        enum stream_result more;

        if (end != RELAY_AGAIN)
            return end;
        more = stream_receive(from);
        if (more != STREAM_OK)
            return end_at_source(more);
    }
    return RELAY_AGAIN;
}

enum relay_end relay_head(struct stream *from, struct stream *to)
{
    static const struct stream_piece nothing = {.last = true};
    enum stream_result result;
    size_t taken;

    result = stream_send(to, &nothing, &taken);
    stream_take(from, 0); /* by which the room goes back that the head has taken */
    return result == STREAM_OK ? RELAY_DONE : end_at_sink(from, result);
}
