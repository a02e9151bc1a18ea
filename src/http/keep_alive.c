#include "http/keep_alive.h"

#include "base/invariant.h"
#include "base/number.h"
#include "http/octet.h"
#include "core/timer.h"

/* The values of one head, in seconds and requests. */
struct values {
    uint32_t timeout, max;
};

static void advance(struct span *rest, size_t count)
{
    PRE(count <= rest->len);
    rest->ptr += count;
    rest->len -= count;
}

static bool begins_with(struct span s, const char *set)
{
    return s.len != 0 && memchr(set, s.ptr[0], strlen(set)) != NULL;
}

static void skip(struct span *rest, const char *set)
{
    while (begins_with(*rest, set))
        advance(rest, 1);
}

static struct span take_run(struct span *rest, enum octet_class class)
{
    struct span run = {rest->ptr, 0};

    while (run.len < rest->len && octet_is(rest->ptr[run.len], class))
        run.len++;
    advance(rest, run.len);
    return run;
}

/* KEEP_ALIVE_UNSAID: no digits, or so many that they bound nothing. */
static uint32_t number_of(struct span digits)
{
    uint64_t number = 0;

    if (digits.len == 0)
        return KEEP_ALIVE_UNSAID;
    for (size_t i = 0; i < digits.len && number < KEEP_ALIVE_UNSAID; i++)
        number = number * 10 + (uint64_t)(digits.ptr[i] - '0');
    return number < KEEP_ALIVE_UNSAID ? (uint32_t)number : KEEP_ALIVE_UNSAID;
}

static void take_least(uint32_t *least, uint32_t value)
{
    if (value < *least)
        *least = value;
}

/* A number without a name is a timeout, as old software writes it. */
static void take_parameter(struct span *rest, struct values *values)
{
    struct span name = take_run(rest, OCTET_TOKEN), digits;

    skip(rest, " \t");
    if (!begins_with(*rest, "=")) {
        if (octet_all(name, OCTET_DIGIT))
            take_least(&values->timeout, number_of(name));
        return;
    }
    skip(rest, "= \t\"");
    digits = take_run(rest, OCTET_DIGIT);
    if (span_eq_nocase(name, SPAN_LIT("timeout")))
        take_least(&values->timeout, number_of(digits));
    else if (span_eq_nocase(name, SPAN_LIT("max")))
        take_least(&values->max, number_of(digits));
    while (rest->len != 0 && !begins_with(*rest, ",; \t"))
        advance(rest, 1);
}

static void read_value(struct span rest, struct values *values)
{
    while (rest.len != 0) {
        if (octet_is(rest.ptr[0], OCTET_TOKEN))
            take_parameter(&rest, values);
        else
            advance(&rest, 1);
    }
}

void keep_alive_init(struct keep_alive *said)
{
    *said = (struct keep_alive){.idle_ns = NS_NEVER, .max = KEEP_ALIVE_UNSAID};
}

bool keep_alive_note(struct keep_alive *said, const struct http1_head *response, uint32_t served)
{
    struct values values = {KEEP_ALIVE_UNSAID, KEEP_ALIVE_UNSAID};
    bool counts_down;

    for (uint32_t i = 0; i < response->field_count; i++)
        if (response->fields[i].id == HTTP1_FIELD_KEEP_ALIVE)
            read_value(response->fields[i].value, &values);
    if (values.timeout != KEEP_ALIVE_UNSAID)
        said->idle_ns = values.timeout <= 1 ? 0 : (values.timeout - 1) * NS_PER_S;
    counts_down = served > 1 && values.max < said->max && said->max != KEEP_ALIVE_UNSAID;
    said->max = values.max;
    if (values.max == 0 || (values.max <= served && !counts_down))
        return false;
    return said->idle_ns != 0;
}
