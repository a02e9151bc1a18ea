#include "call/replay.h"

#include <string.h>

#include "base/invariant.h"
#include "base/list.h"
#include "base/mem.h"

#define BLOCK_MIN 1024u

static struct replay *of(struct stream *stream)
{
    return CONTAINER_OF(stream, struct replay, stream);
}

/* ---- what is kept --------------------------------------------------------------------------------------- */

static bool reserve(struct replay_store *store, uint64_t bytes, uint64_t most)
{
    if (atomic_fetch_add_explicit(&store->bytes, bytes, memory_order_relaxed) + bytes <= most)
        return true;
    atomic_fetch_sub_explicit(&store->bytes, bytes, memory_order_relaxed);
    return false;
}

/* Room for `needed` bytes in all: the next power of two, but no more than there may be. */
static bool make_room(struct replay *replay, uint64_t needed)
{
    uint64_t cap = replay->cap != 0 ? replay->cap : BLOCK_MIN;
    char *data;

    while (cap < needed)
        cap *= 2;
    if (cap > replay->max)
        cap = replay->max;
    if (needed > cap || !reserve(replay->store, cap - replay->cap, replay->most))
        return false;
    data = mem_realloc(replay->data, cap);
    if (data == NULL) {
        atomic_fetch_sub_explicit(&replay->store->bytes, cap - replay->cap, memory_order_relaxed);
        return false;
    }
    replay->data = data;
    replay->cap = (uint32_t)cap;
    return true;
}

static void drop(struct replay *replay)
{
    atomic_fetch_sub_explicit(&replay->store->bytes, replay->cap + replay->trailers_len,
                              memory_order_relaxed);
    mem_free(replay->data);
    mem_free(replay->trailers);
    replay->data = replay->trailers = NULL;
    replay->len = replay->cap = replay->at = replay->trailers_len = 0;
    replay->keeps = false;
    replay->is_lost = true;
}

/* Behind what is there. Without room nothing is kept. */
static void keep_content(struct replay *replay, struct span bytes)
{
    uint64_t needed = (uint64_t)replay->len + bytes.len;

    PRE(replay->at == replay->len); /* what is kept goes first */
    if (bytes.len == 0)
        return;
    if (!replay->keeps || (needed > replay->cap && !make_room(replay, needed))) {
        drop(replay);
        return;
    }
    memcpy(replay->data + replay->len, bytes.ptr, bytes.len);
    replay->at = replay->len = (uint32_t)needed;
}

static void keep_trailers(struct replay *replay, struct span lines)
{
    bool has_room = replay->keeps && reserve(replay->store, lines.len, replay->most);

    PRE(replay->trailers == NULL);
    replay->trailers = has_room ? mem_dup(lines.ptr, lines.len) : NULL;
    if (replay->trailers != NULL)
        replay->trailers_len = (uint32_t)lines.len;
    else if (has_room)
        atomic_fetch_sub_explicit(&replay->store->bytes, lines.len, memory_order_relaxed);
    if (replay->trailers == NULL)
        drop(replay);
}

void replay_drop(struct replay *replay)
{
    replay->keeps = false;
    if (replay->at == replay->len)
        drop(replay);
}

void replay_rewind(struct replay *replay)
{
    PRE(!replay->is_lost);
    replay->at = 0;
    replay->stream.ended = false;
}

/* ---- the stream ----------------------------------------------------------------------------------------- */

static enum stream_result peek_caller(struct replay *replay, bool is_first, struct stream_piece *piece)
{
    enum stream_result result = stream_peek(replay->from, is_first, piece);

    if (result == STREAM_BAD) {
        replay->stream.fault = replay->from->fault;
        return STREAM_BAD;
    }
    replay->shown = piece->data;
    if (piece->trailers.len != 0)
        keep_trailers(replay, piece->trailers);
    else if (piece->last && replay->trailers_len != 0)
        piece->trailers = (struct span){replay->trailers, replay->trailers_len};
    replay->stream.received = replay->from->received;
    replay->stream.ended = replay->from->ended;
    return result;
}

static enum stream_result peek(struct stream *stream, bool is_first, struct stream_piece *piece)
{
    struct replay *replay = of(stream);

    if (replay->at == replay->len)
        return peek_caller(replay, is_first, piece);
    *piece = (struct stream_piece){.data = {replay->data + replay->at, replay->len - replay->at}};
    return STREAM_OK;
}

static void take(struct stream *stream, size_t len)
{
    struct replay *replay = of(stream);

    if (replay->at != replay->len) {
        PRE(len <= replay->len - replay->at);
        replay->at += (uint32_t)len;
        return;
    }
    PRE(len <= replay->shown.len);
    keep_content(replay, (struct span){replay->shown.ptr, len});
    stream_take(replay->from, len);
}

static enum stream_result receive(struct stream *stream)
{
    struct replay *replay = of(stream);
    enum stream_result result;

    stream->paused = false;
    if (replay->at != replay->len)
        return STREAM_OK;
    result = stream_receive(replay->from);
    if (result != STREAM_OK)
        stream->fault = replay->from->fault;
    return result;
}

/* Only what a relay asks of its source. */
static const struct stream_ops ops = {.protocol = "replay", .peek = peek, .take = take, .receive = receive};

struct replay *replay_new(struct stream *from, struct replay_store *store, uint64_t max, uint64_t most)
{
    struct replay *replay = mem_zalloc(sizeof(*replay));

    if (replay == NULL)
        return NULL;
    replay->stream.ops = &ops;
    replay->from = from;
    replay->store = store;
    replay->max = max;
    replay->most = most;
    replay->keeps = true;
    return replay;
}

static bool copy_kept(struct replay *to, const struct replay *from)
{
    if (!reserve(to->store, from->len + from->trailers_len, to->most))
        return false;
    to->data = from->len != 0 ? mem_dup(from->data, from->len) : NULL;
    to->trailers = from->trailers_len != 0 ? mem_dup(from->trailers, from->trailers_len) : NULL;
    to->len = to->cap = from->len;
    to->trailers_len = from->trailers_len;
    return (from->len == 0 || to->data != NULL) && (from->trailers_len == 0 || to->trailers != NULL);
}

struct replay *replay_copy(const struct replay *replay)
{
    struct replay *copy = replay_new(replay->from, replay->store, replay->max, replay->most);

    PRE(!replay->is_lost && replay->at == replay->len && replay->from->ended);
    if (copy == NULL || copy_kept(copy, replay))
        return copy;
    replay_free(copy);
    return NULL;
}

void replay_free(struct replay *replay)
{
    if (replay != NULL)
        drop(replay);
    mem_free(replay);
}
