/*
 * What curfew owes a peer over HTTP/2: never more streams than it is configured for, or than the peer's SETTINGS allow
 * from their acknowledgement on; no content beyond a window; no stream on a connection that goes away, that owes the
 * answer to a PING that went with a reset, or whose budget of resets is used up.
 */
#include "h2_api.h"

#include <stdlib.h>
#include <string.h>

#include "core/slots.h"
#include "frames.h"

#define WINDOW 65535 /* before anybody says otherwise (RFC 9113 6.9.2) */
#define PIECE  16384

struct api_stream {
    struct list_node node;
    uint32_t id;
    uint64_t number;
    uint64_t taken_at;   /* by curfew, of the connection, when it began */
    bool is_whole;       /* the request */
    bool is_noted;       /* somebody has looked at it */
    bool has_said;       /* all of the answer is on its way */
    int64_t window;      /* for content of the request, */
    int64_t may_send;    /* and of the answer */
    size_t length, said; /* content of the answer */
    int64_t rests_until_ns;
};

struct h2_api {
    struct world *world;
    struct world_api *api;
    struct net_end *end;
    struct frames frames;
    struct list_node streams;
    uint32_t open, last;
    uint32_t noted;                 /* the highest one that was looked at */
    uint32_t allowed, allowed_next; /* streams, as acknowledged, and as said last */
    int64_t initial, initial_next;  /* window of a stream, likewise */
    bool has_greeted, is_settling;
    int64_t window, may_send, may_send_initial;
    char *say; /* frames that are not on their way yet */
    size_t say_len, say_cap;
    uint64_t said; /* bytes, with those */
    bool is_away;
    uint32_t away_last;
    uint64_t away_at; /* of what is said: the end of its GOAWAY */
    int64_t away_ns;  /* when that was known; 0: it is not */
    uint32_t pings;   /* that are to be answered */
    char ping[8];
    bool is_asked; /* by a PING, when curfew had taken so much; and it has taken nothing since: */
    uint64_t asked_at, taken_before; /* and before the last step */
    bool has_cut_silent;             /* a stream was reset during which it had taken nothing */
    int64_t doubt_ns;                /* since when both are so; 0: they are not */
    uint32_t resets;
    int64_t full_ns; /* when the budget of resets is as full as can be */
    int64_t retired_ns;
    bool is_narrow; /* takes few bytes at a time */
};

static bool hear_frame(void *arg, const struct frame *frame);

static struct api_stream *stream_at(struct list_node *node)
{
    return CONTAINER_OF(node, struct api_stream, node);
}

struct h2_api *h2_api_new(struct world *world, struct world_api *api, struct net_end *end)
{
    struct h2_api *it = calloc(1, sizeof(*it));

    CHECK(world, it != NULL && frames_init(&it->frames, true));
    it->world = world;
    it->api = api;
    it->end = end;
    list_init(&it->streams);
    it->allowed = UINT32_MAX;
    it->initial = it->window = it->may_send = it->may_send_initial = WINDOW;
    /* Of a pool that lingers, a permit may go back before a reset that nobody takes is out. */
    it->is_narrow = !world->patient && !world->pools[api->pool].lingers && chance(world, 15);
    return it;
}

static void free_stream(struct h2_api *it, struct api_stream *stream)
{
    list_remove(&stream->node);
    free(stream);
    it->open--;
}

void h2_api_free(struct h2_api *it)
{
    if (it == NULL)
        return;
    while (!list_is_empty(&it->streams))
        free_stream(it, stream_at(it->streams.next));
    frames_fini(&it->frames);
    free(it->say);
    free(it);
}

static struct api_stream *find(struct h2_api *it, uint32_t id)
{
    LIST_FOREACH(node, &it->streams)
        if (stream_at(node)->id == id)
            return stream_at(node);
    return NULL;
}

/* ---- what it hears ------------------------------------------------------------------------------------- */

void h2_api_hear(struct h2_api *it, uint32_t *at_work)
{
    struct world *world = it->world;

    CHECK(world, frames_hear_each(&it->frames, it->end, hear_frame, it));
    if (it->is_away && it->away_ns == 0 && it->end->taken >= it->away_at)
        it->away_ns = world->now_ns;
    if (it->end->taken > it->asked_at)
        it->is_asked = false, it->doubt_ns = 0;
    if (it->has_cut_silent && it->is_asked && it->doubt_ns == 0) {
        it->doubt_ns = world->now_ns;
        world->doubts++;
    }
    it->has_cut_silent = false;
    it->taken_before = it->end->taken;
    LIST_FOREACH(node, &it->streams)
        *at_work += !stream_at(node)->has_said;
}

/* What curfew knows of this instant, or what waits for room, it may not have known when it began. */
static bool is_known(const struct h2_api *it, int64_t since_ns)
{
    return since_ns != 0 && since_ns < it->world->now_ns && !it->is_narrow;
}

static void check_beginning(struct h2_api *it, uint32_t id)
{
    struct world *world = it->world;
    uint32_t number = (uint32_t)(it->api - world->apis);

    CHECK(world, id % 2 == 1 && id > it->last);
    CHECK(world, !is_known(it, it->away_ns) && !is_known(it, it->retired_ns));
    CHECK(world, !is_known(it, it->doubt_ns) || it->end->taken > it->asked_at);
    CHECK(world, it->open <= world->snapshot->upstreams[number].http2.streams && it->open <= it->allowed);
}

static void hear_head(struct h2_api *it, const struct frame *frame)
{
    struct api_stream *stream = find(it, frame->stream);
    struct world *world = it->world;

    CHECK(world, stream == NULL && frame->number < world->begun);
    world->requests[frame->number].sendings++;
    CHECK(world, world->requests[frame->number].sendings <= world->requests[frame->number].most_sendings);
    stream = calloc(1, sizeof(*stream));
    CHECK(world, stream != NULL);
    it->open++;
    check_beginning(it, frame->stream);
    it->last = frame->stream;
    *stream = (struct api_stream){.id = frame->stream,
                                  .number = frame->number,
                                  .taken_at = it->taken_before,
                                  .is_whole = (frame->flags & FRAME_END_STREAM) != 0,
                                  .window = it->initial,
                                  .may_send = it->may_send_initial};
    list_push_back(&it->streams, &stream->node);
    world->most_streams = it->open > world->most_streams ? it->open : world->most_streams;
    if (it->is_away && stream->id > it->away_last)
        free_stream(it, stream);
}

static void hear_content(struct h2_api *it, const struct frame *frame)
{
    struct api_stream *stream = find(it, frame->stream);

    it->window -= (int64_t)frame->len;
    CHECK(it->world, it->window >= 0);
    if (stream == NULL) /* which it has reset, or does not take */
        return;
    stream->window -= (int64_t)frame->len;
    CHECK(it->world, !stream->is_whole && (stream->window >= 0 || frame->len == 0));
    stream->is_whole = (frame->flags & FRAME_END_STREAM) != 0;
    if (stream->is_whole && stream->has_said)
        free_stream(it, stream);
}

/* The budget: so many at once, and then so many a second; and never more than a number in all. */
static void hear_reset(struct h2_api *it, uint32_t id)
{
    struct api_stream *stream = find(it, id);
    struct world *world = it->world;
    int64_t one_ns = NS_PER_S / SLOTS_RESETS_A_S;

    if (stream != NULL) {
        it->has_cut_silent |= stream->taken_at == it->end->taken;
        free_stream(it, stream);
    }
    it->resets++;
    world->resets++;
    world->most_resets = it->resets > world->most_resets ? it->resets : world->most_resets;
    CHECK(world, it->resets < SLOTS_RESETS_MAX);
    it->full_ns = (it->full_ns > world->now_ns ? it->full_ns : world->now_ns) + one_ns;
    if (it->full_ns > world->now_ns + SLOTS_RESETS * one_ns && it->retired_ns == 0) {
        it->retired_ns = world->now_ns;
        world->retired++;
    }
}

static void append(struct h2_api *it, const char *bytes, size_t len)
{
    if (it->say_len + len > it->say_cap) {
        it->say_cap = 2 * (it->say_len + len);
        it->say = realloc(it->say, it->say_cap);
        CHECK(it->world, it->say != NULL);
    }
    memcpy(it->say + it->say_len, bytes, len);
    it->say_len += len;
    it->said += len;
}

/* SETTINGS that differ from those before, if those are acknowledged. */
static void settle(struct h2_api *it)
{
    struct world *world = it->world;
    char out[FRAMES_ROOM];

    if (it->is_settling)
        return;
    it->allowed_next = chance(world, 30) ? UINT32_MAX : 1 + below(world, 6);
    it->initial_next = chance(world, 50) ? INT32_MAX / 2 : 100 + below(world, 4000);
    it->is_settling = true;
    append(it, out, frames_put_settings(out, it->allowed_next, (uint32_t)it->initial_next));
}

static void greet(struct h2_api *it)
{
    char out[FRAMES_ROOM];

    if (it->has_greeted)
        return;
    it->has_greeted = true;
    settle(it);
    if (chance(it->world, 70)) {
        it->window += 1 << 20;
        append(it, out, frames_put_window(out, 0, 1 << 20));
    }
}

/* Ours hold when they are acknowledged. */
static void hear_settings(struct h2_api *it, const struct frame *frame)
{
    char out[FRAMES_ROOM];
    uint32_t initial;

    if ((frame->flags & FRAME_ACK) == 0) {
        if (frame_setting(frame, FRAME_INITIAL_WINDOW, &initial)) {
            LIST_FOREACH(node, &it->streams)
                stream_at(node)->may_send += initial - it->may_send_initial;
            it->may_send_initial = initial;
        }
        greet(it); /* which comes first */
        append(it, out, frames_put_ack(out));
        return;
    }
    CHECK(it->world, it->is_settling);
    it->is_settling = false;
    it->allowed = it->allowed_next;
    LIST_FOREACH(node, &it->streams)
        stream_at(node)->window += it->initial_next - it->initial;
    it->initial = it->initial_next;
}

static void hear_window(struct h2_api *it, const struct frame *frame)
{
    struct api_stream *stream = find(it, frame->stream);
    uint32_t more = frame_u31(frame);

    CHECK(it->world, more != 0);
    if (frame->stream == 0)
        it->may_send += more;
    else if (stream != NULL)
        stream->may_send += more;
    CHECK(it->world, it->may_send <= INT32_MAX && (stream == NULL || stream->may_send <= INT32_MAX));
}

static void hear_ping(struct h2_api *it, const struct frame *frame)
{
    if ((frame->flags & FRAME_ACK) != 0)
        return;
    memcpy(it->ping, frame->bytes, 8);
    it->pings++;
    it->is_asked = true;
    it->asked_at = it->end->taken;
    it->world->pings++;
}

static bool hear_frame(void *arg, const struct frame *frame)
{
    struct h2_api *it = arg;

    switch (frame->type) {
    case FRAME_HEADERS: hear_head(it, frame); break;
    case FRAME_DATA: hear_content(it, frame); break;
    case FRAME_RST_STREAM: hear_reset(it, frame->stream); break;
    case FRAME_SETTINGS: hear_settings(it, frame); break;
    case FRAME_WINDOW_UPDATE: hear_window(it, frame); break;
    case FRAME_PING: hear_ping(it, frame); break;
    default: break;
    }
    return true;
}

/* ---- what it says -------------------------------------------------------------------------------------- */

static void put_reset(struct h2_api *it, struct api_stream *stream, uint32_t code)
{
    char out[FRAMES_ROOM];

    append(it, out, frames_put_reset(out, stream->id, code));
    free_stream(it, stream);
}

/* Those above `last` nobody has looked at, and nobody will. */
static void go_away(struct h2_api *it)
{
    struct world *world = it->world;
    struct list_node *next = it->streams.next;
    char out[FRAMES_ROOM];
    uint32_t last = 0;

    LIST_FOREACH(node, &it->streams)
        if (stream_at(node)->is_noted && stream_at(node)->id > last)
            last = stream_at(node)->id;
    if (it->is_away)
        return;
    last = chance(world, 50) ? it->last : last > it->noted ? last : it->noted;
    it->is_away = true;
    it->away_last = last;
    while (next != &it->streams) {
        struct api_stream *stream = stream_at(next);

        next = next->next;
        if (stream->id <= last)
            continue;
        CHECK(world, !stream->is_noted);
        free_stream(it, stream);
        world->refused++;
    }
    append(it, out, frames_put_goaway(out, last, chance(world, 10) ? NGHTTP2_ENHANCE_YOUR_CALM : 0));
    it->away_at = it->said;
}

/* The head of the answer; false: the stream has gone with it. */
static bool put_head(struct h2_api *it, struct api_stream *stream)
{
    struct world *world = it->world;
    struct world_wait wait;
    char out[FRAMES_ROOM];
    size_t at = 0;

    stream->length = content_length_of(stream->number);
    if (chance(world, it->api->asks_to_wait)) {
        wait = world_draw_wait(world);
        stream->length = 0;
        at = frames_put_head(out, stream->id, wait.status, SIZE_MAX, true, wait.name, wait.value);
    } else if (chance(world, it->api->garbles)) {
        stream->length = 0;
        at = frames_put_head(out, stream->id, chance(world, 50) ? "2x0" : "503", SIZE_MAX, true, NULL, NULL);
    } else {
        if (chance(world, 5))
            at = frames_put_head(out, stream->id, "103", SIZE_MAX, false, NULL, NULL);
        at += frames_put_head(out + at, stream->id, "200", chance(world, 70) ? stream->length : SIZE_MAX,
                              stream->length == 0, NULL, NULL);
    }
    append(it, out, at);
    stream->has_said = stream->length == 0;
    if (!stream->has_said || !stream->is_whole)
        return true;
    free_stream(it, stream);
    return false;
}

/* Looks at the request, or does not. */
static bool begin_answer(struct h2_api *it, struct api_stream *stream)
{
    struct world *world = it->world;

    if (!stream->is_whole && !chance(world, it->api->answers_early))
        return false;
    if (chance(world, it->api->refuses / 2)) {
        put_reset(it, stream, NGHTTP2_REFUSED_STREAM);
        world->refused++;
        return false;
    }
    stream->is_noted = true;
    if (stream->id > it->noted)
        it->noted = stream->id;
    world_note_arrival(world, stream->number);
    world->reused += stream->id > 1;
    world->early += !stream->is_whole;
    if (chance(world, it->api->loses / 2)) {
        put_reset(it, stream, NGHTTP2_INTERNAL_ERROR);
        world->given_up++;
        return false;
    }
    return put_head(it, stream);
}

/* As much content as windows and lots allow. */
static void put_content(struct h2_api *it, struct api_stream *stream)
{
    struct world *world = it->world;
    size_t left = stream->length - stream->said, len = left;
    int64_t room = it->may_send < stream->may_send ? it->may_send : stream->may_send;
    char *out;

    if (!chance(world, 100 - it->api->drips))
        len = below(world, (uint32_t)left + 1);
    world->narrow += room < (int64_t)len;
    if (room < (int64_t)len)
        len = room > 0 ? (size_t)room : 0;
    if (len == 0)
        return;
    out = malloc(len + (len / PIECE + 1) * FRAMES_ROOM);
    CHECK(world, out != NULL);
    append(
        it, out,
        frames_put_content(out, stream->id, content_byte_of, stream->number, stream->said, len, len == left));
    free(out);
    it->may_send -= (int64_t)len;
    stream->may_send -= (int64_t)len;
    stream->said += len;
    stream->has_said = len == left;
    if (stream->has_said && stream->is_whole)
        free_stream(it, stream);
}

static void open_windows(struct h2_api *it, struct api_stream *stream)
{
    char out[FRAMES_ROOM];
    uint32_t more = 2000;

    if (!stream->is_whole && stream->window < 2000) {
        stream->window += more;
        append(it, out, frames_put_window(out, stream->id, more));
    }
    if (it->window < WINDOW / 2) {
        it->window += WINDOW;
        append(it, out, frames_put_window(out, 0, WINDOW));
    }
}

static void go_on_with(struct h2_api *it, struct api_stream *stream)
{
    struct world *world = it->world;

    if (stream->rests_until_ns > world->now_ns || chance(world, 20))
        return;
    if (chance(world, it->api->stalls)) {
        stream->rests_until_ns = world->now_ns + 200 * NS_PER_MS;
        return;
    }
    open_windows(it, stream);
    if (stream->has_said) /* and waits for the rest of the request */
        return;
    if (stream->is_noted && chance(world, it->api->loses / 6)) {
        put_reset(it, stream, NGHTTP2_INTERNAL_ERROR);
        world->given_up++;
    } else if (stream->is_noted || begin_answer(it, stream)) {
        put_content(it, stream);
    }
}

static void answer_pings(struct h2_api *it)
{
    char out[FRAMES_ROOM];

    for (; it->pings != 0; it->pings--)
        append(it, out, frames_put_pong(out, it->ping));
}

/* What it has to say goes in pieces of any length. */
static void speak(struct h2_api *it)
{
    struct world *world = it->world;
    size_t len = chance(world, 70) ? it->say_len : below(world, (uint32_t)it->say_len + 1);

    net_send(it->end, it->say, len);
    memmove(it->say, it->say + len, it->say_len - len);
    it->say_len -= len;
}

static enum h2_api_end end_it(struct h2_api *it)
{
    return chance(it->world, 50) ? H2_API_ENDS : H2_API_RESETS;
}

enum h2_api_end h2_api_serve(struct h2_api *it)
{
    struct world *world = it->world;
    const struct world_api *api = it->api;
    struct list_node *next;

    if (it->is_narrow)
        net_make_room(it->end, 200);
    greet(it);
    if (list_is_empty(&it->streams) ? chance(world, api->closes_idle / 8) : chance(world, api->loses / 6))
        return end_it(it);
    if (it->is_away && list_is_empty(&it->streams) && it->say_len == 0 && chance(world, 50))
        return end_it(it);
    if (chance(world, api->closes_idle / 15))
        go_away(it);
    if (chance(world, 2))
        settle(it);
    next = it->streams.next;
    while (next != &it->streams) {
        struct api_stream *stream = stream_at(next);

        next = next->next;
        go_on_with(it, stream);
    }
    answer_pings(it);
    if (!list_is_empty(&it->streams) &&
        below(world, 5000) < api->garbles) { /* an answer that nobody has asked for */
        char out[FRAMES_ROOM];

        append(it, out, frames_put_head(out, it->last + 1000, "200", SIZE_MAX, true, NULL, NULL));
    }
    speak(it);
    return chance(world, api->stalls / 3) ? H2_API_STALLS : H2_API_GOES_ON;
}
