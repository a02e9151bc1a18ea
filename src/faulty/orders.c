/* Failures in an order, or at times: what retries, breakers and pauses are tried with. */
#include <event2/event.h>
#include <stdio.h>
#include <string.h>

#include "base/number.h"
#include "faulty/behaviours.h"
#include "faulty/conn.h"
#include "faulty/reply.h"

#define MS_PER_DAY 86400000
#define HALF_BYTES 1000

/* What a request is answered with: "503", "reset", "200~50", which is 200 after 50 ms. */
struct step {
    enum { STEP_STATUS, STEP_RESET, STEP_CLOSE, STEP_HALF, STEP_GARBAGE, STEP_STUCK } what;
    uint64_t status;
    uint64_t delay_ms;
};

static bool read_what(struct span word, struct step *step)
{
    static const char *const words[] = {[STEP_RESET] = "reset",
                                        [STEP_CLOSE] = "close",
                                        [STEP_HALF] = "half",
                                        [STEP_GARBAGE] = "garbage",
                                        [STEP_STUCK] = "stuck"};

    for (unsigned i = STEP_RESET; i <= STEP_STUCK; i++) {
        step->what = i;
        if (span_eq(word, span_of(words[i])))
            return true;
    }
    step->what = STEP_STATUS;
    return number_u64(word, &step->status) == NUMBER_OK && step->status >= 100 && step->status <= 599;
}

static bool read_step(struct span word, struct step *step)
{
    const char *tilde = memchr(word.ptr, '~', word.len);
    struct span delay;

    *step = (struct step){0};
    if (tilde == NULL)
        return read_what(word, step);
    delay = (struct span){tilde + 1, (size_t)(word.ptr + word.len - tilde - 1)};
    word.len = (size_t)(tilde - word.ptr);
    return number_u64(delay, &step->delay_ms) == NUMBER_OK && step->delay_ms <= MS_PER_DAY &&
           read_what(word, step);
}

/* The last one stands for all that follow. */
static bool take_step(struct span *rest, struct step *step)
{
    const char *comma = memchr(rest->ptr, ',', rest->len);
    struct span word = {rest->ptr, comma != NULL ? (size_t)(comma - rest->ptr) : rest->len};

    rest->ptr += word.len + (comma != NULL);
    rest->len -= word.len + (comma != NULL);
    return read_step(word, step);
}

static void perform(struct faulty_conn *c, const struct step *step)
{
    switch (step->what) {
    case STEP_STATUS: faulty_reply_status(c, (int)step->status); break;
    case STEP_RESET: faulty_conn_reset(c); break;
    case STEP_CLOSE:
        c->close = true;
        faulty_conn_end(c);
        break;
    case STEP_HALF: faulty_reply_half(c, HALF_BYTES); break;
    case STEP_GARBAGE: faulty_reply_garbage(c); break;
    case STEP_STUCK: break;
    }
}

static void begin_step(struct faulty_conn *c, const struct step *step)
{
    if (step->delay_ms == 0)
        perform(c, step);
    else
        faulty_conn_tick_every(c, step->delay_ms * 1000);
}

/* ------------------------------------------------------------------------------------------- /seq */

static bool is_sequence(const struct faulty_args *args)
{
    struct span rest = span_of(args->text);
    struct step step;

    while (rest.len != 0)
        if (!take_step(&rest, &step))
            return false;
    return true;
}

static void head_seq(struct faulty_conn *c, struct span head)
{
    (void)head;
    c->count = faulty_attempts_count(&c->server->attempts, c->args.key);
}

static struct step seq_step(const struct faulty_conn *c)
{
    struct span rest = span_of(c->args.text);
    struct step step = {0};

    for (uint64_t i = 0; i < c->count && rest.len != 0; i++)
        (void)take_step(&rest, &step); /* is_sequence has read them all */
    return step;
}

static void answer_seq(struct faulty_conn *c)
{
    struct step step = seq_step(c);

    begin_step(c, &step);
}

static void tick_seq(struct faulty_conn *c)
{
    struct step step = seq_step(c);

    faulty_conn_tick_stop(c);
    perform(c, &step);
}

/* ------------------------------------------------------------------------------------------ /flap */

static uint64_t now_ms(const struct faulty_conn *c)
{
    struct timeval now;

    (void)event_base_gettimeofday_cached(c->server->base, &now); /* fails only without a clock */
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_usec / 1000;
}

static bool is_flap(const struct faulty_args *args)
{
    struct step step;

    return args->down <= MS_PER_DAY && (args->by[0] == '\0' || read_step(span_of(args->by), &step));
}

/* c->count says whether it is down: decided when the request is there whole. */
static struct step flap_step(const struct faulty_conn *c)
{
    struct step step = {.status = c->count != 0 ? 503 : 200};

    if (c->count != 0 && c->args.by[0] != '\0')
        (void)read_step(span_of(c->args.by), &step); /* is_flap has read it */
    return step;
}

static void answer_flap(struct faulty_conn *c)
{
    uint64_t up = c->args.value, down = c->args.has_down ? c->args.down : up, now = now_ms(c);
    struct step step;

    if (c->server->flap_began_ms == 0)
        c->server->flap_began_ms = now;
    c->count = (now - c->server->flap_began_ms) % (up + down) >= up;
    step = flap_step(c);
    begin_step(c, &step);
}

static void tick_flap(struct faulty_conn *c)
{
    struct step step = flap_step(c);

    faulty_conn_tick_stop(c);
    perform(c, &step);
}

const struct faulty_behaviour faulty_orders[] = {
    {.path = "/seq/",
     .arg = "STEP,…",
     .takes_text = true,
     .params = "[?key=TEXT]",
     .help = "a STEP a request, the last one for all that follow; each path and key has its order",
     .is_good = is_sequence,
     .head = head_seq,
     .answer = answer_seq,
     .tick = tick_seq},
    {.path = "/flap/",
     .arg = "MS",
     .min = 1,
     .max = MS_PER_DAY,
     .params = "[?down=MS&by=STEP]",
     .help = "from the first request on 200 for MS milliseconds, then 503 or STEP for as long or ?down, …",
     .is_good = is_flap,
     .answer = answer_flap,
     .tick = tick_flap},
    {.path = NULL},
};
