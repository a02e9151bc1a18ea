#include "core/breaker.h"

#include "base/invariant.h"
#include "base/number.h"

#define NOBODY UINT32_MAX

const char *breaker_state_name(enum breaker_state state)
{
    static const char *const names[BREAKER_STATE_COUNT] = {
        [BREAKER_CLOSED] = "closed", [BREAKER_OPEN] = "open", [BREAKER_HALF] = "half_open"};

    PRE(state < BREAKER_STATE_COUNT);
    return names[state];
}

const char *breaker_reason_name(enum breaker_reason reason)
{
    static const char *const names[BREAKER_REASON_COUNT] = {
        [BREAKER_CONSECUTIVE] = "consecutive", [BREAKER_RATIO] = "ratio"};

    PRE(reason < BREAKER_REASON_COUNT);
    return names[reason];
}

/* ---- the window ----------------------------------------------------------------------------------------- */

/* Which tenth it is. One for each nanosecond, should the window be as short as that. */
static uint64_t tenth_at(int64_t window_ns, int64_t now_ns)
{
    int64_t tenth_ns = window_ns / BREAKER_WINDOW_SLOTS;

    return (uint64_t)(now_ns / (tenth_ns > 0 ? tenth_ns : 1));
}

/*
 * Of a tenth in a generation. A slot is used for every tenth tenth, and what stands in it is of an earlier one or an
 * earlier generation, so its tag is another one: both only ever grow.
 */
static uint64_t tag_of(uint64_t tenth, uint32_t generation)
{
    return (tenth * 31 + generation) << 32;
}

/* What comes a little out of order, as of several threads, is counted in the latest tenth. */
static bool is_counted_in(const struct breaker_window *window, int64_t window_ns, uint32_t generation,
                          int64_t now_ns)
{
    return now_ns < window->until_ns && generation == window->generation && window_ns == window->window_ns;
}

/* The slot begins anew, if it was of another tenth or another generation. */
static __attribute__((noinline)) void turn_to_slot(struct breaker_window *window, int64_t window_ns,
                                                   uint32_t generation, int64_t now_ns)
{
    uint64_t tenth = tenth_at(window_ns, now_ns), tag = tag_of(tenth, generation);
    int64_t tenth_ns = window_ns / BREAKER_WINDOW_SLOTS > 0 ? window_ns / BREAKER_WINDOW_SLOTS : 1;

    window->window_ns = window_ns;
    window->until_ns = ((int64_t)tenth + 1) * tenth_ns;
    window->generation = generation;
    window->slot = (uint32_t)(tenth % BREAKER_WINDOW_SLOTS);
    if (atomic_load_explicit(&window->slots[window->slot], memory_order_relaxed) >> 32 != tag >> 32)
        atomic_store_explicit(&window->slots[window->slot], tag, memory_order_relaxed);
    POST(is_counted_in(window, window_ns, generation, now_ns));
}

void breaker_window_count(struct breaker_window *window, int64_t window_ns, uint32_t generation,
                          int64_t now_ns)
{
    _Atomic uint64_t *slot;

    if (!is_counted_in(window, window_ns, generation, now_ns))
        turn_to_slot(window, window_ns, generation, now_ns);
    slot = &window->slots[window->slot];
    /* In six minutes, the longest tenth that can be set, nobody counts to 2^32. */
    atomic_store_explicit(slot, atomic_load_explicit(slot, memory_order_relaxed) + 1, memory_order_relaxed);
}

uint64_t breaker_window_sum(const struct breaker_window *window, int64_t window_ns, uint32_t generation,
                            int64_t now_ns)
{
    uint64_t tenth = tenth_at(window_ns, now_ns), sum = 0;

    for (uint64_t back = 0; back < BREAKER_WINDOW_SLOTS && back <= tenth; back++) {
        uint64_t slot =
            atomic_load_explicit(&window->slots[(tenth - back) % BREAKER_WINDOW_SLOTS], memory_order_relaxed);

        if (slot >> 32 == tag_of(tenth - back, generation) >> 32)
            sum += (uint32_t)slot;
    }
    return sum;
}

/* ---- states --------------------------------------------------------------------------------------------- */

static void free_all_places(struct breaker *breaker)
{
    for (uint32_t i = 0; i < BREAKER_PROBES_MAX; i++)
        breaker->probe_of[i] = NOBODY;
    breaker->places = 0;
}

void breaker_init(struct breaker *breaker, uint64_t seed)
{
    *breaker = (struct breaker){.generation = 1, .random = seed | 1};
    free_all_places(breaker);
}

static uint32_t next_generation(const struct breaker *breaker)
{
    return breaker->generation < BREAKER_GENERATIONS ? breaker->generation + 1 : 1;
}

void breaker_restart(struct breaker *breaker)
{
    uint32_t generation = next_generation(breaker);

    breaker_init(breaker, breaker->random);
    breaker->generation = generation;
}

/* xorshift64: instances are to differ, which is all. */
static uint64_t draw(struct breaker *breaker)
{
    uint64_t x = breaker->random;

    PRE(x != 0);
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    breaker->random = x;
    return x;
}

/* open * 2^doublings, at most open_max, 90 to 110 % of it. */
static int64_t open_for(struct breaker *breaker, const struct breaker_terms *terms)
{
    int64_t open_ns = terms->open_ns;

    PRE(terms->open_ns >= NS_PER_US && terms->open_ns <= terms->open_max_ns);
    for (uint32_t i = 0; i < breaker->doublings && open_ns < terms->open_max_ns; i++)
        open_ns = open_ns <= terms->open_max_ns / 2 ? 2 * open_ns : terms->open_max_ns;
    return open_ns / 1000 * (int64_t)(900 + draw(breaker) % 201);
}

static void open_at(struct breaker *breaker, const struct breaker_terms *terms, enum breaker_reason reason,
                    int64_t at_ns)
{
    PRE(breaker->state != BREAKER_OPEN);
    breaker->doublings = breaker->state == BREAKER_HALF ? breaker->doublings + 1 : 0;
    breaker->state = BREAKER_OPEN;
    breaker->reason = reason;
    breaker->has_opened = true;
    breaker->generation = next_generation(breaker);
    breaker->until_ns = at_ns + open_for(breaker, terms);
    free_all_places(breaker);
    POST(breaker->until_ns > at_ns);
}

/* What has been counted is of an older generation, and counts no more. */
static void close_again(struct breaker *breaker)
{
    PRE(breaker->state == BREAKER_HALF);
    breaker->state = BREAKER_CLOSED;
    breaker->consecutive = 0;
    breaker->doublings = 0;
    free_all_places(breaker);
}

/* ---- a call comes --------------------------------------------------------------------------------------- */

/* The probe that has been on its way for longest. */
static int64_t oldest_probe_ns(const struct breaker *breaker)
{
    int64_t oldest_ns = NS_NEVER;

    for (uint32_t i = 0; i < BREAKER_PROBES_MAX; i++)
        if (breaker->probe_of[i] != NOBODY && breaker->probe_ns[i] < oldest_ns)
            oldest_ns = breaker->probe_ns[i];
    return oldest_ns;
}

/* It has opened when the probe's time was up, though that is seen now: that may be over again. */
static void look_at_probes(struct breaker *breaker, const struct breaker_terms *terms, int64_t now_ns)
{
    int64_t oldest_ns = oldest_probe_ns(breaker);

    PRE(breaker->state == BREAKER_HALF);
    if (breaker->places != 0 && now_ns - oldest_ns >= terms->verdict_ns)
        open_at(breaker, terms, breaker->reason, oldest_ns + terms->verdict_ns);
}

static bool take_place(struct breaker *breaker, const struct breaker_terms *terms, uint32_t worker,
                       int64_t now_ns, struct breaker_pass *pass)
{
    PRE(worker != NOBODY && terms->probes <= BREAKER_PROBES_MAX);
    for (uint32_t i = 0; i < terms->probes && breaker->places < terms->probes; i++) {
        if (breaker->probe_of[i] != NOBODY)
            continue;
        breaker->probe_of[i] = worker;
        breaker->probe_ns[i] = now_ns;
        breaker->places++;
        *pass = (struct breaker_pass){breaker->generation, (uint8_t)(i + 1)};
        return true;
    }
    return false;
}

enum breaker_answer breaker_ask(struct breaker *breaker, const struct breaker_terms *terms, uint32_t worker,
                                int64_t now_ns, struct breaker_pass *pass)
{
    if (breaker->state == BREAKER_CLOSED) {
        *pass = (struct breaker_pass){.generation = breaker->generation};
        return BREAKER_LETS;
    }
    if (breaker->state == BREAKER_HALF)
        look_at_probes(breaker, terms, now_ns);
    if (breaker->state == BREAKER_OPEN && now_ns >= breaker->until_ns)
        breaker->state = BREAKER_HALF;
    if (breaker->state == BREAKER_HALF && take_place(breaker, terms, worker, now_ns, pass))
        return BREAKER_PROBES;
    *pass = (struct breaker_pass){0};
    return BREAKER_REFUSES;
}

bool breaker_would_let(const struct breaker *breaker, const struct breaker_terms *terms, int64_t now_ns)
{
    switch (breaker->state) {
    case BREAKER_OPEN: return now_ns >= breaker->until_ns;
    case BREAKER_HALF: return breaker->places < terms->probes;
    default: return true;
    }
}

int64_t breaker_left_ns(const struct breaker *breaker, int64_t now_ns)
{
    return breaker->state == BREAKER_OPEN && breaker->until_ns > now_ns ? breaker->until_ns - now_ns : 0;
}

/* ---- verdicts ------------------------------------------------------------------------------------------- */

static bool is_of_now(const struct breaker *breaker, const struct breaker_pass *pass)
{
    return pass->generation == breaker->generation && breaker->state != BREAKER_OPEN;
}

bool breaker_is_live_probe(const struct breaker *breaker, const struct breaker_pass *pass)
{
    return pass->place != 0 && breaker->state == BREAKER_HALF && pass->generation == breaker->generation;
}

/* True: it was a probe, and its word is worth something. */
static bool give_place_back(struct breaker *breaker, struct breaker_pass *pass)
{
    bool is_live = breaker_is_live_probe(breaker, pass);

    if (is_live) {
        PRE(breaker->places > 0 && breaker->probe_of[pass->place - 1] != NOBODY);
        breaker->probe_of[pass->place - 1] = NOBODY;
        breaker->places--;
    }
    pass->place = 0;
    return is_live;
}

void breaker_good(struct breaker *breaker, struct breaker_pass *pass)
{
    if (give_place_back(breaker, pass))
        close_again(breaker);
    else if (is_of_now(breaker, pass) && breaker->state == BREAKER_CLOSED)
        breaker->consecutive = 0;
}

/* After a bad one was counted, up to the tenth that it is in. */
static bool is_too_much(const struct breaker *breaker, const struct breaker_terms *terms, uint64_t goods)
{
    uint64_t bads =
        breaker_window_sum(&breaker->bad, terms->window_ns, breaker->generation, breaker->bad.until_ns - 1);

    return goods + bads >= terms->volume && bads * 100 >= (goods + bads) * terms->ratio_percent;
}

static void count_bad(struct breaker *breaker, const struct breaker_terms *terms, uint64_t goods,
                      int64_t now_ns)
{
    PRE(breaker->state == BREAKER_CLOSED);
    breaker_window_count(&breaker->bad, terms->window_ns, breaker->generation, now_ns);
    breaker->consecutive++;
    if (breaker->consecutive >= terms->failures)
        open_at(breaker, terms, BREAKER_CONSECUTIVE, now_ns);
    else if (is_too_much(breaker, terms, goods))
        open_at(breaker, terms, BREAKER_RATIO, now_ns);
}

void breaker_bad(struct breaker *breaker, const struct breaker_terms *terms, uint64_t goods, int64_t now_ns,
                 struct breaker_pass *pass)
{
    if (give_place_back(breaker, pass))
        open_at(breaker, terms, breaker->reason, now_ns);
    else if (is_of_now(breaker, pass) && breaker->state == BREAKER_CLOSED)
        count_bad(breaker, terms, goods, now_ns);
}

void breaker_neutral(struct breaker *breaker, const struct breaker_terms *terms, bool asks_for_less,
                     int64_t now_ns, struct breaker_pass *pass)
{
    if (give_place_back(breaker, pass) && asks_for_less)
        open_at(breaker, terms, breaker->reason, now_ns);
}

/* ---- the books ------------------------------------------------------------------------------------------ */

uint32_t breaker_places_of(const struct breaker *breaker, uint32_t worker)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < BREAKER_PROBES_MAX; i++)
        count += breaker->probe_of[i] == worker;
    return count;
}

bool breaker_is_sound(const struct breaker *breaker)
{
    uint32_t taken = BREAKER_PROBES_MAX - breaker_places_of(breaker, NOBODY);

    return taken == breaker->places && (taken == 0 || breaker->state == BREAKER_HALF) &&
           breaker->generation != 0;
}
