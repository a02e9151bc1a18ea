/* Server-sent events by a schedule: streams that go on, stall, or only keep their connection warm. */
#include <event2/buffer.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"
#include "faulty/behaviours.h"
#include "faulty/conn.h"
#include "faulty/reply.h"

#define MS_PER_DAY 86400000
#define REPEAT_MAX 1000000
/* What is queued for a client that does not read: then events are left out. */
#define QUEUE_MAX  ((size_t)1 << 20)

enum what { EVENT, PING, COMMENT, RETRY, DONE, END, CLOSE, RESET, STALL, AGAIN, WHAT_COUNT };

static const struct {
    const char *word, *text; /* text NULL: it is none that is sent */
} whats[WHAT_COUNT] = {
    [EVENT] = {"event", "data: {\"text\": \"word \"}\n\n"},
    [PING] = {"ping", "event: ping\ndata: {\"type\": \"ping\"}\n\n"}, /* as Anthropic's */
    [COMMENT] = {"comment", ": ping\n\n"},
    [RETRY] = {"retry", "retry: 3000\n\n"},
    [DONE] = {"done", "data: [DONE]\n\n"}, /* as OpenAI's */
    [END] = {"end", NULL},
    [CLOSE] = {"close", NULL},
    [RESET] = {"reset", NULL},
    [STALL] = {"stall", NULL},
    [AGAIN] = {"again", NULL},
};

/* "event", "event~100", which is after 100 ms, or "event*3~100", which is three of them, each after 100 ms. */
struct step {
    enum what what;
    uint64_t count, delay_ms;
};

/* The number behind `sign`, which is cut off the word; as it was if there is no such sign. */
static bool cut_number(struct span *word, char sign, uint64_t max, uint64_t *n)
{
    const char *at = memchr(word->ptr, sign, word->len);
    struct span digits;

    if (at == NULL)
        return true;
    digits = (struct span){at + 1, (size_t)(word->ptr + word->len - at - 1)};
    word->len = (size_t)(at - word->ptr);
    return number_u64(digits, n) == NUMBER_OK && *n <= max;
}

static bool read_step(struct span word, struct step *step)
{
    *step = (struct step){.count = 1};
    if (!cut_number(&word, '~', MS_PER_DAY, &step->delay_ms) ||
        !cut_number(&word, '*', REPEAT_MAX, &step->count))
        return false;
    for (step->what = EVENT; step->what < WHAT_COUNT; step->what++)
        if (span_eq(word, span_of(whats[step->what].word)))
            return step->count != 0 && (step->count == 1 || whats[step->what].text != NULL);
    return false;
}

static bool take_step(struct span *rest, struct step *step)
{
    const char *comma = memchr(rest->ptr, ',', rest->len);
    struct span word = {rest->ptr, comma != NULL ? (size_t)(comma - rest->ptr) : rest->len};

    rest->ptr += word.len + (comma != NULL);
    rest->len -= word.len + (comma != NULL);
    return read_step(word, step);
}

/* One that begins again takes time, or it would never come to an end. */
static bool is_schedule(const struct faulty_args *args)
{
    struct span rest = span_of(args->text);
    uint64_t waits_ms = 0;
    struct step step;

    while (rest.len != 0) {
        if (!take_step(&rest, &step))
            return false;
        waits_ms += step.delay_ms;
        if (step.what == AGAIN && waits_ms == 0)
            return false;
    }
    return true;
}

/* The step that is due, of which `count` have been done, one by one if repeated. Behind the last: the end. */
static struct step due_step(const struct faulty_conn *c)
{
    struct span rest = span_of(c->args.text);
    uint64_t before = 0;
    struct step step;

    while (rest.len != 0 && take_step(&rest, &step)) {
        if (c->count - before < step.count)
            return step;
        before += step.count;
    }
    return (struct step){.what = END, .count = 1};
}

static void put_event(struct faulty_conn *c, const char *text)
{
    char size[16];
    int len = snprintf(size, sizeof(size), "%zx\r\n", strlen(text));

    if (evbuffer_get_length(c->out) > QUEUE_MAX)
        return;
    if (c->minor == 1)
        faulty_conn_put(c, size, (size_t)len);
    faulty_conn_put(c, text, strlen(text));
    if (c->minor == 1)
        faulty_conn_put(c, "\r\n", 2);
}

/* False: nothing follows. */
static bool perform(struct faulty_conn *c, enum what what)
{
    c->count++;
    switch (what) {
    case END:
        if (c->minor == 1)
            faulty_conn_put(c, "0\r\n\r\n", 5);
        faulty_conn_end(c);
        return false;
    case CLOSE:
        c->close = true;
        faulty_conn_end(c);
        return false;
    case RESET: faulty_conn_reset(c); return false;
    case STALL: return false;
    case AGAIN: c->count = 0; return true;
    default: put_event(c, whats[what].text); return true;
    }
}

/* Up to the next step that is due later. */
static void go_on(struct faulty_conn *c)
{
    struct step step = due_step(c);

    while (step.delay_ms == 0) {
        if (!perform(c, step.what))
            return;
        step = due_step(c);
    }
    faulty_conn_tick_every(c, step.delay_ms * 1000);
}

static void answer_sse(struct faulty_conn *c)
{
    if (c->minor == 0)
        c->close = true;
    faulty_reply_head(c, 200,
                      c->minor == 0 ? "Content-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
                                    : "Content-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
                                      "Transfer-Encoding: chunked\r\n");
    c->count = 0;
    if (c->head)
        faulty_conn_end(c);
    else
        go_on(c);
}

static void tick_sse(struct faulty_conn *c)
{
    faulty_conn_tick_stop(c);
    if (perform(c, due_step(c).what))
        go_on(c);
}

const struct faulty_behaviour faulty_events[] = {
    {.path = "/sse/",
     .arg = "EVENT,…",
     .takes_text = true,
     .is_good = is_schedule,
     .help =
         "200 with server-sent events by this schedule: /sse/event*9~100,ping~500,stall; and then the end",
     .answer = answer_sse,
     .tick = tick_sse},
    {.path = NULL},
};
