#include "admin/clients.h"

#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/invariant.h"
#include "base/mem.h"
#include "core/cause.h"
#include "http/date.h"
#include "http/forward.h"
#include "wire/h1_caller.h"
#include "wire/stream.h"

#define PATIENCE_NS (CLIENT_SECONDS * NS_PER_S)

/* The answer that needs no memory. */
#define NO_MEMORY_LINES                                                                                      \
    "Content-Type: application/problem+json\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
#define NO_MEMORY                                                                                            \
    "{\"type\":\"about:blank\",\"title\":\"Service Unavailable\",\"status\":503,"                            \
    "\"detail\":\"There is not enough memory for this answer.\"}\n"
#define NO_MEMORY_LEN "121"
_Static_assert(sizeof(NO_MEMORY) - 1 == 121, "NO_MEMORY_LEN");

struct client {
    struct h1_caller h1;
    struct deferred_free deferred_free;
    struct list_node node; /* on clients.all */
    struct clients *clients;
    struct timer time_over;
    struct stream *stream; /* NULL: no request has begun */
    /* The one whose answer is waited for; or whose content is still to come: then has_head. */
    struct admin_request *request;
    bool has_head;
    bool is_answering; /* content is to be sent: */
    struct content content;
    struct span rest; /* of it, or of what is fixed */
};

static void receive_request(struct client *client);

/* ---- coming and going ---------------------------------------------------------------------------------- */

static void free_deferred(struct deferred_free *deferred_free)
{
    mem_free(CONTAINER_OF(deferred_free, struct client, deferred_free));
}

static void refill_spares(struct clients *clients)
{
    bool is_full = true;

    for (int i = 0; i < CLIENTS_SPARE; i++) {
        if (clients->spare[i] < 0)
            clients->spare[i] = eventfd(0, EFD_CLOEXEC);
        is_full &= clients->spare[i] >= 0;
    }
    timer_set(&clients->loop->timers, &clients->refill,
              is_full ? NS_NEVER : loop_now(clients->loop) + NS_PER_S);
}

static void closed(void *owner)
{
    struct client *client = owner;
    struct clients *clients = client->clients;

    PRE(clients->count > 0);
    if (client->request != NULL)
        client->request->client = NULL;
    content_fini(&client->content);
    timer_fini(&clients->loop->timers, &client->time_over);
    list_remove(&client->node);
    clients->count--;
    loop_free_later(clients->loop, &client->deferred_free, free_deferred);
    refill_spares(clients);
}

/* What is being answered goes on, for nobody. */
static void drop_unheard(struct client *client)
{
    if (client->request == NULL || !client->has_head)
        return;
    mem_free(client->request);
    client->request = NULL;
}

static void cut(struct client *client)
{
    struct stream *stream = client->stream;

    client->stream = NULL;
    drop_unheard(client);
    if (stream != NULL)
        stream_cut(stream);
    else
        h1_caller_close(&client->h1);
}

static void time_is_over(struct timer *timer, int64_t now_ns)
{
    (void)now_ns;
    cut(CONTAINER_OF(timer, struct client, time_over));
}

static bool is_asking(const struct client *client)
{
    return client->is_answering || (client->request != NULL && !client->has_head);
}

/* Its time begins again, and it is the youngest. */
static void renew(struct client *client)
{
    struct clients *clients = client->clients;

    timer_set(&clients->loop->timers, &client->time_over, loop_now(clients->loop) + PATIENCE_NS);
    list_remove(&client->node);
    list_push_back(&clients->all, &client->node);
}

/* Of the older half, the oldest silent one, or else the oldest. NULL: there is none. */
static struct client *find_superfluous(const struct clients *clients)
{
    struct client *oldest = NULL;
    uint32_t seen = 0;

    LIST_FOREACH(node, &clients->all) {
        struct client *client = CONTAINER_OF(node, struct client, node);

        if (!is_asking(client))
            return client;
        if (oldest == NULL)
            oldest = client;
        if (++seen == CLIENTS_MAX / 2)
            break;
    }
    return oldest;
}

static bool cut_one(struct clients *clients)
{
    struct client *superfluous = find_superfluous(clients);

    if (superfluous == NULL)
        return false;
    cut(superfluous);
    return true;
}

/* Before it has asked for anything: it may take that for the answer, or find the connection closed. */
static void turn_away(int fd)
{
    static const struct span refusal =
        SPAN_LIT("HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n" NO_MEMORY_LINES
                 "Content-Length: " NO_MEMORY_LEN "\r\n\r\n" NO_MEMORY);

    if (send(fd, refusal.ptr, refusal.len, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
        (void)shutdown(fd, SHUT_WR);
    close(fd);
}

static void accepted(struct acceptor *acceptor, int fd, const struct sockaddr *peer)
{
    struct clients *clients = CONTAINER_OF(acceptor, struct clients, acceptor);
    struct client *client = mem_zalloc(sizeof(*client));

    (void)peer;
    if (client == NULL || timer_init(&clients->loop->timers, &client->time_over, time_is_over) != ST_OK) {
        turn_away(fd);
        mem_free(client);
        return;
    }
    if (h1_caller_open(&client->h1, &clients->common, client, fd, false) != ST_OK) {
        timer_fini(&clients->loop->timers, &client->time_over);
        mem_free(client);
        return;
    }
    client->clients = clients;
    if (clients->count >= CLIENTS_MAX)
        (void)cut_one(clients);
    list_push_back(&clients->all, &client->node);
    clients->count++;
    renew(client);
}

/* ---- descriptors, when there are none ------------------------------------------------------------------ */

static bool give_up_spare(struct clients *clients)
{
    for (int i = 0; i < CLIENTS_SPARE; i++) {
        if (clients->spare[i] < 0)
            continue;
        close(clients->spare[i]);
        clients->spare[i] = -1;
        return true;
    }
    return false;
}

static bool find_descriptor(struct acceptor *acceptor)
{
    struct clients *clients = CONTAINER_OF(acceptor, struct clients, acceptor);

    return give_up_spare(clients) || (cut_one(clients) && give_up_spare(clients));
}

static void time_to_refill(struct timer *timer, int64_t now_ns)
{
    (void)now_ns;
    refill_spares(CONTAINER_OF(timer, struct clients, refill));
}

/* ---- requests ------------------------------------------------------------------------------------------ */

static void answer_without_memory(struct client *client)
{
    struct answer answer = {.status = 503, .lines = SPAN_LIT(NO_MEMORY_LINES), .fixed = SPAN_LIT(NO_MEMORY)};

    client->has_head = false;
    client->stream->persistent = false;
    client_answer(client, &answer);
}

static void refuse(struct client *client, enum cause cause, const char *detail)
{
    static const struct http1_head unknown = {.method_id = HTTP1_METHOD_OTHER};
    struct admin_request *request = request_new(client, &unknown);

    if (request == NULL) {
        answer_without_memory(client);
        return;
    }
    client->request = request;
    client->has_head = false;
    client->stream->persistent = false;
    request->refused = cause;
    request->why = detail != NULL ? detail : cause_title(cause);
    client->clients->came(request, client->clients->arg);
}

static void hand_over(struct client *client)
{
    struct clients *clients = client->clients;

    client->has_head = false;
    renew(client);
    clients->came(client->request, clients->arg);
}

/* The content is thrown away. False: more of it is to come, or the client has gone. */
static bool has_content(struct client *client)
{
    struct stream_piece piece;

    if (stream_peek(client->stream, true, &piece) == STREAM_BAD) {
        drop_unheard(client);
        refuse(client, client->stream->fault.cause, client->stream->fault.detail);
        return false;
    }
    stream_take(client->stream, piece.data.len);
    if (client->stream->received > CLIENT_CONTENT_BYTES) {
        drop_unheard(client);
        refuse(client, CAUSE_CONTENT_TOO_LARGE, NULL);
        return false;
    }
    return piece.last;
}

/* Whoever waits for it is told to send its content, which is read in any case. */
static void invite_content(struct client *client)
{
    static const struct http1_head go_on = {.code = 100, .minor = 1};
    static const struct forward_own own;
    static const struct stream_piece nothing;
    size_t taken;

    if (!client->clients->head.expect_continue)
        return;
    if (stream_send_response(client->stream, &go_on, &own) == STREAM_OK)
        (void)stream_send(client->stream, &nothing, &taken);
}

static bool take_head(struct client *client)
{
    struct http1_head *head;

    switch (stream_head(client->stream, &head)) {
    case STREAM_OK: break;
    case STREAM_WAIT:
    case STREAM_LINE: return true;
    default: refuse(client, client->stream->fault.cause, client->stream->fault.detail); return false;
    }
    client->request = request_new(client, head);
    if (client->request == NULL) {
        answer_without_memory(client);
        return false;
    }
    client->has_head = true;
    if (!client->stream->lost)
        invite_content(client);
    if (!client->stream->lost)
        return true;
    cut(client);
    return false;
}

static void receive_request(struct client *client)
{
    enum stream_result result;

    do {
        if (!client->has_head && !take_head(client))
            return;
        if (client->has_head && has_content(client)) {
            hand_over(client);
            return;
        }
        if (client->stream == NULL || is_asking(client))
            return;
        result = stream_receive(client->stream);
    } while (result == STREAM_OK);
    if (result == STREAM_BAD)
        refuse(client, client->stream->fault.cause, client->stream->fault.detail);
    else if (result == STREAM_NOMEM)
        answer_without_memory(client);
    else if (result != STREAM_WAIT)
        cut(client);
}

/* ---- answers ------------------------------------------------------------------------------------------- */

static void answered(struct client *client)
{
    struct stream *stream = client->stream;

    client->is_answering = false;
    content_fini(&client->content);
    client->stream = NULL;
    renew(client);
    stream_finish(stream);
}

static void send_rest(struct client *client)
{
    struct stream_piece piece = {.data = client->rest, .last = true};
    size_t taken;

    switch (stream_send(client->stream, &piece, &taken)) {
    case STREAM_OK: answered(client); return;
    case STREAM_WAIT:
        client->rest.ptr += taken;
        client->rest.len -= taken;
        return;
    default: cut(client);
    }
}

static void ready(struct stream *stream)
{
    struct client *client = stream->user;

    if (stream->lost)
        cut(client);
    else if (client->is_answering)
        send_rest(client);
    else if (client->request == NULL || client->has_head)
        receive_request(client);
}

static bool begin(void *owner, struct stream *stream, int64_t now_ns)
{
    struct client *client = owner;

    (void)now_ns;
    stream->ready = ready;
    stream->user = client;
    client->stream = stream;
    return true;
}

static struct http1_head head_of(const struct answer *answer, size_t len)
{
    struct http1_head head = {.code = answer->status, .minor = 1};

    if (answer->is_bare)
        return head;
    head.framing = answer->head_only ? HTTP1_NO_CONTENT : HTTP1_LENGTH;
    head.described = HTTP1_LENGTH;
    head.content_length = len;
    return head;
}

void client_answer(struct client *client, struct answer *answer)
{
    char block[DATE_LEN];
    struct text date = text_over(block, sizeof(block));
    struct span all = answer->content.bytes != NULL
                          ? (struct span){answer->content.bytes, answer->content.len}
                          : answer->fixed;
    struct http1_head head = head_of(answer, all.len);
    struct forward_own own = {.lines = answer->lines};

    PRE(client->stream != NULL && !client->is_answering);
    date_put(&date, time(NULL));
    own.date = text_span(&date);
    client->request = NULL;
    client->is_answering = true;
    client->content = answer->content;
    answer->content = (struct content){0};
    client->rest = head.framing == HTTP1_LENGTH ? all : SPAN_LIT("");
    if (!client->stream->lost && stream_send_response(client->stream, &head, &own) == STREAM_OK)
        send_rest(client);
    else
        cut(client);
}

/* ---- all ----------------------------------------------------------------------------------------------- */

static const struct caller_user user = {.begin = begin, .closed = closed};

enum status clients_init(struct clients *clients, struct loop *loop, int fd, admin_request_fn came, void *arg)
{
    *clients = (struct clients){.loop = loop, .came = came, .arg = arg};
    clients->head.fields = clients->fields;
    clients->head.field_cap = CLIENT_FIELDS;
    clients->common = (struct caller_common){
        .loop = loop,
        .user = &user,
        .parsed = &clients->head,
        .text = clients->text,
        .text_cap = sizeof(clients->text),
        .request_head_max = CLIENT_HEAD_BYTES,
        .response_head_max = CLIENT_HEAD_BYTES,
        .idle_ns = PATIENCE_NS,
    };
    list_init(&clients->all);
    for (int i = 0; i < CLIENTS_SPARE; i++)
        clients->spare[i] = -1;
    if (timer_init(&loop->timers, &clients->refill, time_to_refill) != ST_OK)
        return ST_NOMEM;
    if (acceptor_init(&clients->acceptor, loop, fd, accepted) != ST_OK) {
        timer_fini(&loop->timers, &clients->refill);
        return ST_NOMEM;
    }
    clients->acceptor.shortage = find_descriptor;
    refill_spares(clients);
    acceptor_start(&clients->acceptor);
    return ST_OK;
}

void clients_fini(struct clients *clients)
{
    acceptor_stop(&clients->acceptor);
    while (!list_is_empty(&clients->all))
        cut(CONTAINER_OF(clients->all.next, struct client, node));
    timer_fini(&clients->loop->timers, &clients->refill);
    while (give_up_spare(clients))
        ;
}
