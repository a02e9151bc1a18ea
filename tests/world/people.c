/* The callers, and the APIs that they want to reach. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "core/budget.h"
#include "runtime/connect.h"
#include "frames.h"
#include "h2_api.h"
#include "world.h"

/* Of requests on one connection. */
#define REQUESTS_MAX 4

struct sim_caller {
    struct list_node node;
    struct happening script, leaving;
    struct world *world;
    struct world_worker *worker;
    struct world_api *api;
    struct net_end *end;
    uint64_t number; /* of the request whose answer it waits for */
    char *request;   /* with its content, of which `sent` has gone */
    size_t len, sent, stops_at;
    uint32_t left; /* requests to come */
    bool waits, slow;
    bool asks_to_tunnel, is_tunnel, has_ended;
    size_t told, echoed; /* bytes, through the tunnel and back */
    bool speaks_h2;
    uint32_t stream; /* of the request, then */
    struct frames frames;
};

/* A connection to an API, as that sees it. */
struct sim_connection {
    struct list_node node;
    struct happening script;
    struct world *world;
    struct world_api *api;
    struct net_end *end;   /* NULL: it is being made */
    struct net_dial *dial; /* while it is */
    int stage;
    char *answer;            /* of which `sent` has gone */
    size_t len, sent, asked; /* asked: bytes of the request that is being answered */
    size_t solid;            /* of the answer: what is behind its end goes with its last byte */
    size_t owed;             /* of content that was answered before it had come */
    bool ends;               /* behind the answer */
    bool asks_to_tunnel;     /* the request that is being answered */
    bool is_tunnel;          /* behind it, everything comes back */
    struct h2_api *h2;       /* instead of all that, over HTTP/2; NULL: it speaks HTTP/1.1 */
};

static uint32_t some_below(struct world *world, size_t bound)
{
    return bound == 0 ? 0 : below(world, (uint32_t)bound);
}

size_t content_length_of(uint64_t number)
{
    return number % 119 == 0 ? 150000 : number % 13 == 0 ? 0 : number % 17 == 0 ? 40000 : number * 31 % 600;
}

char content_byte_of(uint64_t number, size_t at)
{
    return (char)('a' + (number * 7 + at) % 26);
}

/* Where the empty line behind a head ends; 0: it is not there. */
static size_t head_end(const char *bytes, size_t len)
{
    for (size_t i = 3; i < len; i++)
        if (memcmp(bytes + i - 3, "\r\n\r\n", 4) == 0)
            return i + 1;
    return 0;
}

/* The number behind a word in a head; UINT64_MAX: the word is not there. */
static uint64_t number_behind(const char *head, size_t len, const char *word)
{
    size_t word_len = strlen(word);

    for (size_t i = 0; i + word_len < len; i++)
        if (memcmp(head + i, word, word_len) == 0)
            return strtoull(head + i + word_len, NULL, 10);
    return UINT64_MAX;
}

/* ---- callers ------------------------------------------------------------------------------------------- */

static void leave_for_good(struct sim_caller *caller)
{
    struct world *world = caller->world;

    events_cancel(&world->events, &caller->script);
    events_cancel(&world->events, &caller->leaving);
    net_end_leave(caller->end);
    list_remove(&caller->node);
    frames_fini(&caller->frames);
    free(caller->request);
    free(caller);
}

static void leave(struct happening *event)
{
    struct sim_caller *caller = CONTAINER_OF(event, struct sim_caller, leaving);

    if (!caller->end->we_closed)
        net_reset(caller->end);
    leave_for_good(caller);
}

/* A POST comes once. What has no content may come by a kept connection that is being closed, and once more, in each try. */
static uint8_t most_arrivals(const struct world_api *api, const char *method, size_t content)
{
    if (method[1] == 'O')
        return 1;
    return (uint8_t)(content == 0 ? 2 * api->attempts : api->attempts);
}

/* One in a hundred is none: its version, or its path, is missing. */
static size_t put_request(struct sim_caller *caller, const char *method, uint32_t left_ms, size_t content)
{
    bool is_bad = below(caller->world, 100) == 0;
    char *out = caller->request;
    size_t len;

    if (!caller->speaks_h2) {
        len = (size_t)sprintf(out, "%s /%llu HTTP/%s\r\n", method, (unsigned long long)caller->number,
                              is_bad ? "9.9" : "1.1\r\nHost: sim");
        if (left_ms != 0 && !is_bad)
            len += (size_t)sprintf(out + len, "X-T: %u\r\n", left_ms);
        if (caller->asks_to_tunnel && !is_bad)
            len += (size_t)sprintf(out + len, "Connection: Upgrade\r\nUpgrade: websocket\r\n");
        if (content != 0 && !is_bad)
            len += (size_t)sprintf(out + len, "Content-Length: %zu\r\n", content);
        len += (size_t)sprintf(out + len, "\r\n");
        memset(out + len, 'x', is_bad ? 0 : content);
        return len + (is_bad ? 0 : content);
    }
    len = caller->stream == 0 ? frames_put_greeting(out) : 0;
    caller->stream += caller->stream == 0 ? 1 : 2;
    frames_next(&caller->frames);
    return len + frames_put_request(out + len, caller->stream, is_bad ? "G T" : method, caller->number,
                                    left_ms, content);
}

static void write_request(struct sim_caller *caller)
{
    struct world *world = caller->world;
    static const char *const methods[] = {"GET", "GET", "GET", "POST", "PUT"};
    const char *method = methods[below(world, 5)];
    size_t content = method[0] == 'P' && chance(world, 70) ? some_below(world, 3000) : 0;
    struct world_request *request;

    if (world->begun == world->request_cap) {
        world->request_cap = 2 * world->request_cap + 64;
        world->requests = realloc(world->requests, world->request_cap * sizeof(*world->requests));
        CHECK(world, world->requests != NULL);
    }
    caller->asks_to_tunnel =
        caller->api->upgrades && !caller->speaks_h2 && method[0] == 'G' && chance(world, 40);
    caller->number = world->begun++;
    request = &world->requests[caller->number];
    *request = (struct world_request){.most = most_arrivals(caller->api, method, content),
                                      .most_sendings = (uint8_t)(2 * caller->api->attempts)};
    caller->request = realloc(caller->request, content + FRAMES_ROOM);
    CHECK(world, caller->request != NULL);
    caller->len =
        put_request(caller, method, !world->patient && chance(world, 10) ? 1 + below(world, 40) : 0, content);
    caller->sent = 0;
    caller->stops_at = !world->patient && chance(world, 3) ? some_below(world, caller->len) : caller->len;
    caller->waits = true;
}

/* A piece of its request, mostly all of it. */
static void send_some(struct sim_caller *caller)
{
    struct world *world = caller->world;
    size_t left = caller->stops_at - caller->sent;
    size_t len = chance(world, 80) ? left : some_below(world, left + 1);

    if (caller->end->we_closed)
        return;
    net_send(caller->end, caller->request + caller->sent, len);
    caller->sent += len;
    if (caller->sent < caller->stops_at)
        plan(world, &caller->script, some_time(world, 6));
}

/* Content in chunks, and what there is of it; false: its end is not there yet. */
static bool dechunk(const char *bytes, size_t len, char *out, size_t *out_len, size_t *used)
{
    size_t at = 0;

    *out_len = 0;
    for (;;) {
        const char *line_end = memchr(bytes + at, '\n', len - at);
        size_t size;

        if (line_end == NULL)
            return false;
        size = strtoull(bytes + at, NULL, 16);
        at = (size_t)(line_end - bytes) + 1;
        if (at + size + 2 > len)
            return false;
        memcpy(out + *out_len, bytes + at, size);
        *out_len += size;
        at += size + 2;
        if (size == 0) {
            *used = at;
            return true;
        }
    }
}

static void check_content(const struct sim_caller *caller, const char *content, size_t len)
{
    const struct world *world = caller->world;

    CHECK(world, len == content_length_of(caller->number));
    for (size_t i = 0; i < len; i++)
        CHECK(world, content[i] == content_byte_of(caller->number, i));
}

/* Whom its pool has refused is told how long to wait, and no other time. */
static void check_told(const struct sim_caller *caller, uint64_t seconds)
{
    const struct world_request *request = &caller->world->requests[caller->number];

    CHECK(caller->world, request->told_s == 0 || seconds == request->told_s);
    caller->world->told_long += request->told_s > 1;
}

/* A whole answer is there, and is taken out; false: none. */
static bool read_answer(struct sim_caller *caller)
{
    struct world *world = caller->world;
    struct net_end *end = caller->end;
    size_t head = head_end(end->out, end->out_len), used = 0, len = 0;
    uint64_t status, length;
    char *content;
    bool whole;

    if (head == 0)
        return false;
    CHECK(world, caller->waits); /* nobody gets an answer who has not asked */
    status = number_behind(end->out, head, "HTTP/1.1 ");
    if (status == 101) {
        CHECK(world, caller->asks_to_tunnel);
        caller->is_tunnel = true;
        net_take(end, head);
        return false;
    }
    if (status < 200) {
        net_take(end, head);
        return read_answer(caller);
    }
    length = number_behind(end->out, head, "Content-Length: ");
    content = malloc(end->out_len);
    CHECK(world, content != NULL && status >= 200 && status < 600);
    if (length != UINT64_MAX) {
        used = head + length;
        whole = used <= end->out_len;
        if (whole)
            memcpy(content, end->out + head, len = length);
    } else {
        whole = dechunk(end->out + head, end->out_len - head, content, &len, &used);
        used += head;
    }
    if (whole && status == 200)
        check_content(caller, content, len);
    if (status == 503)
        check_told(caller, number_behind(end->out, head, "Retry-After: "));
    free(content);
    if (!whole)
        return false;
    caller->waits = false;
    world->answers++;
    net_take(end, used);
    return true;
}

/* As read_answer, over HTTP/2. A reset is an end, too, and never looks whole. */
static bool read_frames(struct sim_caller *caller)
{
    struct world *world = caller->world;
    struct frames *frames = &caller->frames;

    if (caller->sent < FRAMES_PREFACE && caller->stream == 1) /* it has not said yet what it speaks */
        return read_answer(caller);
    CHECK(world, frames_hear(frames, caller->end));
    if (!caller->waits || frames->stream == 0 || (!frames->ended && !frames->was_reset))
        return false;
    CHECK(world, frames->stream == caller->stream);
    if (frames->ended) {
        CHECK(world, frames->number >= 200 && frames->number < 600);
        if (frames->number == 200)
            check_content(caller, frames->content, frames->len);
        if (frames->number == 503)
            check_told(caller, frames->retry_after);
        world->answers++;
    }
    world->cut_answers += !frames->ended;
    world->streams++;
    caller->waits = false;
    return true;
}

/* What comes back is what it has said. */
static void hear_echo(struct sim_caller *caller)
{
    struct net_end *end = caller->end;

    CHECK(caller->world, caller->echoed + end->out_len <= caller->told);
    for (size_t i = 0; i < end->out_len; i++)
        CHECK(caller->world, end->out[i] == content_byte_of(caller->number, caller->echoed + i));
    caller->echoed += end->out_len;
    caller->world->echoed += end->out_len;
    net_take(end, end->out_len);
}

static void say_more(struct sim_caller *caller)
{
    struct world *world = caller->world;
    char bytes[300];
    size_t len = below(world, sizeof(bytes));

    for (size_t i = 0; i < len; i++)
        bytes[i] = content_byte_of(caller->number, caller->told + i);
    net_send(caller->end, bytes, len);
    caller->told += len;
}

/* True: it goes on. */
static bool tunnel(struct sim_caller *caller)
{
    struct world *world = caller->world;
    struct net_end *end = caller->end;

    hear_echo(caller);
    if (end->we_closed || end->we_ended) {
        if (!end->we_closed && !caller->has_ended)
            net_end_side(end);
        if (!end->we_closed)
            net_reset(end);
        leave_for_good(caller);
        return false;
    }
    if (!caller->has_ended && chance(world, 10)) {
        caller->has_ended = true;
        net_end_side(end);
    } else if (!caller->has_ended && chance(world, 70)) {
        say_more(caller);
    }
    plan(world, &caller->script, NS_PER_MS + some_time(world, chance(world, 90) ? 5 : 40));
    return true;
}

static void go_on_calling(struct sim_caller *caller)
{
    struct world *world = caller->world;
    struct net_end *end = caller->end;

    if (caller->slow)
        net_make_room(end, 400);
    if (!caller->is_tunnel && caller->asks_to_tunnel && caller->waits && !end->we_closed)
        (void)read_answer(caller);
    if (caller->is_tunnel) {
        (void)tunnel(caller);
        return;
    }
    if ((caller->speaks_h2 ? read_frames(caller) : read_answer(caller)) && !end->we_ended &&
        !end->we_closed && caller->left > 0 && caller->sent == caller->len) {
        caller->left--;
        write_request(caller);
    }
    if (end->we_closed || end->we_ended || !caller->waits) {
        /* What did not come whole is plainly not whole: the connection was reset, or is not there. */
        world->cut_answers += caller->waits && (end->out_len != 0 || caller->frames.stream != 0);
        CHECK(world, caller->speaks_h2 || !caller->waits || end->out_len == 0 || end->we_reset ||
                         end->in_len != 0 || caller->sent < caller->len || end->we_closed);
        if (!end->we_closed)
            net_end_side(end), net_reset(end);
        leave_for_good(caller);
        return;
    }
    if (caller->sent < caller->stops_at)
        send_some(caller);
    if (caller->script.place == 0)
        plan(world, &caller->script, NS_PER_MS + some_time(world, 5));
}

static void call_on(struct happening *event)
{
    go_on_calling(CONTAINER_OF(event, struct sim_caller, script));
}

static void arrive(struct world *world)
{
    static const struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    struct sim_caller *caller = calloc(1, sizeof(*caller));
    struct world_worker *worker = &world->workers[below(world, WORKERS)];
    uint32_t upstream = below(world, UPSTREAMS);

    CHECK(world, caller != NULL);
    caller->world = world;
    caller->worker = worker;
    caller->api = &world->apis[upstream];
    caller->script.fn = call_on;
    caller->leaving.fn = leave;
    caller->left = below(world, REQUESTS_MAX);
    caller->slow = !world->patient && chance(world, caller->api->callers_dawdle);
    caller->speaks_h2 = chance(world, 40);
    CHECK(world, !caller->speaks_h2 || frames_init(&caller->frames, false));
    caller->end = net_end_new(&worker->loop, caller);
    if (caller->slow)
        caller->end->room = 400;
    list_push_back(&world->callers, &caller->node);
    world_begin_turn(worker);
    downstream_accepted(&worker->listeners[upstream].acceptor, caller->end->fd, &nobody);
    world_end_turn(worker);
    write_request(caller);
    send_some(caller);
    if (chance(world, caller->api->callers_leave))
        plan(world, &caller->leaving, some_time(world, 60));
    if (caller->script.place == 0)
        plan(world, &caller->script, some_time(world, 5));
}

void people_arrive(struct world *world)
{
    for (uint32_t i = below(world, world->burst) + 1; i > 0 && world->begun < world->wanted; i--)
        arrive(world);
}

/* ---- APIs ---------------------------------------------------------------------------------------------- */

static void free_connection(struct sim_connection *connection)
{
    events_cancel(&connection->world->events, &connection->script);
    list_remove(&connection->node);
    if (connection->end != NULL)
        net_end_leave(connection->end);
    h2_api_free(connection->h2);
    free(connection->answer);
    free(connection);
}

static void let_go(struct sim_connection *connection)
{
    if (!connection->end->we_closed)
        net_reset(connection->end);
    free_connection(connection);
}

struct world_wait world_draw_wait(struct world *world)
{
    struct world_wait wait = {.status = chance(world, 70) ? "429" : "503", .name = "retry-after"};
    uint32_t kind = below(world, 10);

    if (kind < 5) {
        wait.name = "retry-after-ms";
        (void)sprintf(wait.value, "%u", below(world, 60));
    } else if (kind < 7) {
        (void)sprintf(wait.value, "0.%03u", below(world, 60));
    } else if (kind == 7) {
        (void)sprintf(wait.value, "%u", below(world, 4));
    } else if (kind == 8) {
        (void)sprintf(wait.value, "soon");
    } else {
        wait.name = NULL;
    }
    return wait;
}

static void compose(struct sim_connection *connection, uint64_t number)
{
    static const char unavailable[] = "HTTP/1.1 503 Busy\r\nContent-Length: 5\r\nRetry-After: 0\r\n\r\nlater";
    struct world *world = connection->world;
    size_t length = content_length_of(number), at;
    char *out = connection->answer = realloc(connection->answer, 2 * length + 512);

    CHECK(world, out != NULL);
    connection->sent = connection->solid = 0;
    connection->ends = false;
    if (chance(world, connection->api->asks_to_wait)) {
        struct world_wait wait = world_draw_wait(world);

        connection->len =
            (size_t)sprintf(out, "HTTP/1.1 %s Later\r\n%s%s%s%sContent-Length: 5\r\n\r\nlater", wait.status,
                            wait.name != NULL ? wait.name : "", wait.name != NULL ? ": " : "",
                            wait.name != NULL ? wait.value : "", wait.name != NULL ? "\r\n" : "");
        connection->solid = connection->len;
        return;
    }
    if (chance(world, connection->api->garbles)) {
        connection->len =
            (size_t)sprintf(out, "%s", chance(world, 50) ? "HTTP/1.1 2x0 junk\r\n\r\n" : unavailable);
        connection->solid = connection->len;
        return;
    }
    at = chance(world, 5) ? (size_t)sprintf(out, "HTTP/1.1 103 Early Hints\r\n\r\n") : 0;
    if (connection->asks_to_tunnel && chance(world, 80)) {
        at += (size_t)sprintf(
            out + at,
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
        connection->is_tunnel = true;
        connection->len = connection->solid = at;
        return;
    }
    if (chance(world, 70)) {
        at += (size_t)sprintf(out + at, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", length);
        for (size_t i = 0; i < length; i++)
            out[at++] = content_byte_of(number, i);
    } else {
        size_t half = length / 2;

        at += (size_t)sprintf(out + at, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        for (size_t i = 0, part; i < length; i += part) {
            part = i == 0 && half != 0 ? half : length - i;
            at += (size_t)sprintf(out + at, "%zx\r\n", part);
            for (size_t j = 0; j < part; j++)
                out[at++] = content_byte_of(number, i + j);
            at += (size_t)sprintf(out + at, "\r\n");
        }
        at += (size_t)sprintf(out + at, "0\r\n\r\n");
    }
    connection->solid = at;
    if (chance(world, connection->api->garbles / 2)) /* what nobody has asked for */
        at += (size_t)sprintf(out + at, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad");
    connection->len = at;
    connection->ends = chance(world, 15);
}

void world_note_arrival(struct world *world, uint64_t number)
{
    struct world_request *request;

    CHECK(world, number < world->begun);
    request = &world->requests[number];
    request->arrivals++;
    CHECK(world, request->arrivals <= request->most);
    world->sent_twice += request->arrivals == 2;
}

/* Takes the next request in. False: there is none to be answered. */
static bool hear(struct sim_connection *connection)
{
    struct world *world = connection->world;
    struct net_end *end = connection->end;
    size_t head = head_end(end->out, end->out_len);
    uint64_t number, length;

    if (head == 0)
        return false;
    number = number_behind(end->out, head, " /");
    length = number_behind(end->out, head, "Content-Length: ");
    length = length == UINT64_MAX ? 0 : length;
    connection->asks_to_tunnel = number_behind(end->out, head, "Upgrade: websocket") != UINT64_MAX;
    if (end->out_len < head + length && !chance(world, connection->api->answers_early))
        return false;
    world_note_arrival(world, number);
    world->reused += connection->stage++ > 3;
    connection->asked = head + length;
    compose(connection, number);
    world->early += end->out_len < connection->asked;
    return true;
}

/* A piece of the answer. */
static void answer_some(struct sim_connection *connection)
{
    struct world *world = connection->world;
    struct net_end *end = connection->end;
    size_t left = connection->len - connection->sent;
    size_t len = chance(world, 100 - connection->api->drips) ? left : some_below(world, left + 1);

    /* What comes later than the answer may be taken for the next one by anybody: it can't be told from that. */
    if (connection->sent + len >= connection->solid)
        len = left;
    net_send(end, connection->answer + connection->sent, len);
    connection->sent += len;
    if (connection->sent < connection->len)
        return;
    connection->len = connection->sent = 0;
    if (end->out_len < connection->asked) {
        connection->owed = connection->asked - end->out_len;
        connection->asked = end->out_len;
    }
    net_take(end, connection->asked);
    if (connection->ends)
        net_end_side(end);
}

/* Where the rest of a request is due, nothing else comes. */
static void take_owed(struct sim_connection *connection)
{
    struct net_end *end = connection->end;
    size_t len = end->out_len < connection->owed ? end->out_len : connection->owed;

    for (size_t i = 0; i < len; i++)
        CHECK(connection->world, end->out[i] == 'x');
    net_take(end, len);
    connection->owed -= len;
}

/* Everything comes back, in pieces. */
static void serve_tunnel(struct sim_connection *connection)
{
    struct world *world = connection->world;
    struct net_end *end = connection->end;
    size_t len = chance(world, 60) ? end->out_len : some_below(world, end->out_len + 1);

    net_send(end, end->out, len);
    net_take(end, len);
    if (chance(world, connection->api->loses / 4)) {
        let_go(connection);
        return;
    }
    if ((end->we_ended && end->out_len == 0) || chance(world, 2))
        net_end_side(end);
    plan(world, &connection->script,
         chance(world, connection->api->stalls) ? 200 * NS_PER_MS : NS_PER_MS / 2 + some_time(world, 4));
}

static void serve_h2(struct sim_connection *connection)
{
    struct world *world = connection->world;
    int64_t in_ns = NS_PER_MS / 2 + some_time(world, 4);

    switch (h2_api_serve(connection->h2)) {
    case H2_API_GOES_ON: break;
    case H2_API_STALLS: in_ns = 200 * NS_PER_MS; break;
    case H2_API_ENDS: net_end_side(connection->end); break;
    case H2_API_RESETS: let_go(connection); return;
    }
    plan(world, &connection->script, in_ns);
}

static void serve(struct sim_connection *connection)
{
    struct world *world = connection->world;
    const struct world_api *api = connection->api;
    bool is_idle;

    if (connection->end->we_closed || connection->end->peer_ended) {
        if (connection->end->we_closed)
            free_connection(connection);
        else
            plan(world, &connection->script, NS_PER_MS);
        return;
    }
    if (connection->h2 != NULL) {
        serve_h2(connection);
        return;
    }
    if (connection->is_tunnel && connection->len == 0) {
        serve_tunnel(connection);
        return;
    }
    take_owed(connection);
    is_idle = connection->len == 0 && connection->end->out_len == 0;
    if (is_idle ? chance(world, api->closes_idle / 8) : chance(world, api->loses / 2)) {
        if (connection->len == 0 && chance(world, 50))
            (void)hear(connection);
        if (chance(world, 50)) {
            let_go(connection);
            return;
        }
        net_end_side(connection->end);
    } else if (connection->len != 0 || hear(connection)) {
        answer_some(connection);
    }
    if (!is_idle && chance(world, api->stalls))
        plan(world, &connection->script, 200 * NS_PER_MS);
    else
        plan(world, &connection->script, NS_PER_MS / 2 + some_time(world, 4));
}

static void fail_to_connect(struct sim_connection *connection)
{
    static const enum cause failures[] = {CAUSE_DNS, CAUSE_REFUSED, CAUSE_UNROUTABLE, CAUSE_TLS_PROTOCOL};
    struct world *world = connection->world;
    struct connect *connect = connection->dial->connect;

    list_remove(&connection->dial->node);
    free(connection->dial);
    connect->active = false;
    free_connection(connection);
    connect->events->done(connect, failures[below(world, 4)], NULL);
}

/* The next step of a connection that is being made. */
static void connect_on(struct sim_connection *connection)
{
    static const enum phase phases[] = {PHASE_DNS, PHASE_CONNECT, PHASE_TLS};
    struct world *world = connection->world;
    struct connect *connect = connection->dial->connect;
    struct world_worker *worker = CONTAINER_OF(connect->loop, struct world_worker, loop);

    world_begin_turn(worker);
    if (chance(world, connection->api->refuses / 3)) {
        fail_to_connect(connection);
    } else if (connection->stage < 3) {
        connect->events->phase(connect, phases[connection->stage++]);
        plan(world, &connection->script,
             chance(world, connection->api->stalls) ? 200 * NS_PER_MS : some_time(world, 3));
    } else {
        struct net_dial *dial = connection->dial;

        connection->dial = NULL;
        connection->end = net_connected(dial, connection);
        if (connection->api->speaks_h2)
            connection->h2 = h2_api_new(world, connection->api, connection->end);
        plan(world, &connection->script, some_time(world, 3));
    }
    world_end_turn(worker);
}

static void stir(struct happening *event)
{
    struct sim_connection *connection = CONTAINER_OF(event, struct sim_connection, script);

    if (connection->dial != NULL)
        connect_on(connection);
    else
        serve(connection);
}

bool people_dialled(struct net_dial *dial)
{
    struct world_worker *worker = CONTAINER_OF(dial->connect->loop, struct world_worker, loop);
    struct world *world = worker->world;
    struct sim_connection *connection;

    if (below(world, 500) == 0) /* no memory */
        return false;
    connection = calloc(1, sizeof(*connection));
    CHECK(world, connection != NULL);
    connection->world = world;
    for (uint32_t i = 0; i < UPSTREAMS; i++)
        if (dial->connect->origin == &world->snapshot->upstreams[i].origin)
            connection->api = &world->apis[i];
    CHECK(world, connection->api != NULL);
    connection->dial = dial;
    connection->script.fn = stir;
    dial->script = connection;
    list_push_back(&world->connections, &connection->node);
    plan(world, &connection->script, some_time(world, 2));
    return true;
}

void people_given_up(struct net_dial *dial)
{
    free_connection(dial->script);
}

void people_listen(struct world *world, uint32_t at_work[POOLS])
{
    LIST_FOREACH(node, &world->connections) {
        struct sim_connection *connection = CONTAINER_OF(node, struct sim_connection, node);
        uint32_t closed = 0;
        bool is_there = connection->end != NULL && !connection->end->we_closed;

        if (connection->h2 != NULL)
            h2_api_hear(connection->h2, is_there ? &at_work[connection->api->pool] : &closed);
    }
}

void people_end(struct world *world)
{
    while (!list_is_empty(&world->callers))
        leave(&CONTAINER_OF(world->callers.next, struct sim_caller, node)->leaving);
    LIST_FOREACH(node, &world->connections) {
        CHECK(world, CONTAINER_OF(node, struct sim_connection, node)->dial == NULL);
    }
    while (!list_is_empty(&world->connections))
        let_go(CONTAINER_OF(world->connections.next, struct sim_connection, node));
}
