/*
 * A caller's deadline: from the field line to nanoseconds (core/budget), what is left of it, and what the next hop
 * reads of that; and all number parsers on the same value (base/number). Judged by arithmetic in 128 bits.
 *
 * Input: a field line without its CRLF, as in "grpc-timeout: 5S".
 */
#include "base/number.h"
#include "core/budget.h"
#include "http/http1.h"
#include "fuzz.h"

#define LINE_MAX   256
/* So that a product with an hour's nanoseconds is still exact. */
#define DIGITS_MAX 24

typedef unsigned __int128 wide;

static wide digit(char c)
{
    return (unsigned)(c - '0');
}

/* All of `s` if it is at most DIGITS_MAX digits. False: it is not. */
static bool read_wide(struct span s, wide *out)
{
    *out = 0;
    if (s.len == 0 || s.len > DIGITS_MAX)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
        *out = *out * 10 + digit(s.ptr[i]);
    }
    return true;
}

static int64_t clip(wide ns)
{
    return ns > (wide)INT64_MAX ? NS_NEVER : (int64_t)ns;
}

/* gRPC over HTTP/2: TimeoutValue is at most 8 digits. False: it does not parse. */
static bool expected_grpc(struct span value, int64_t *ns)
{
    static const char units[] = "HMSmun";
    static const int64_t lengths[] = {3600 * NS_PER_S, 60 * NS_PER_S, NS_PER_S, NS_PER_MS, NS_PER_US, 1};
    const char *unit = value.len != 0 ? memchr(units, value.ptr[value.len - 1], 6) : NULL;
    wide n;

    if (unit == NULL || value.len > 9 || !read_wide((struct span){value.ptr, value.len - 1}, &n))
        return false;
    *ns = clip(n * (uint64_t)lengths[unit - units]);
    return true;
}

static void check_budget(struct span name, struct span value)
{
    bool is_grpc = span_eq_nocase(name, SPAN_LIT("grpc-timeout"));
    int64_t ns = -1, expected = -1;
    wide ms;

    if (!is_grpc && value.len > DIGITS_MAX)
        return;
    if (is_grpc ? !expected_grpc(value, &expected) : !read_wide(value, &ms)) {
        MUST(!budget_parse(name, value, &ns));
        return;
    }
    if (!is_grpc)
        expected = clip(ms * (wide)NS_PER_MS);
    MUST(budget_parse(name, value, &ns) && ns == expected && ns >= 0);
}

/* What is sent on is never more than what came, and less by under a millisecond; but of the last one it is 1. */
static void check_what_is_left(struct span name, struct span value)
{
    static const int64_t starts[] = {0, 1, NS_PER_S, INT64_MAX / 2, INT64_MAX - 1};
    int64_t ns, next_ns;

    if (!budget_parse(name, value, &ns))
        return;
    for (unsigned i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        int64_t end_ns = budget_end(starts[i], ns);
        uint64_t left_ms = budget_left_ms(end_ns, starts[i]);
        char block[24];
        struct text text = text_over(block, sizeof(block));

        MUST(end_ns >= starts[i] && (end_ns == NS_NEVER || end_ns - starts[i] == ns));
        MUST(end_ns != NS_NEVER || ns >= NS_NEVER - starts[i]);
        text_u64(&text, left_ms);
        MUST(budget_parse(SPAN_LIT("X-Request-Timeout-Ms"), text_span(&text), &next_ns));
        MUST(next_ns <= ns || (next_ns == NS_PER_MS && ns > 0));
        MUST((next_ns != 0 || ns == 0) && (end_ns == NS_NEVER || ns - next_ns < NS_PER_MS));
        MUST(budget_left_ms(starts[i], end_ns) == 0 || ns == 0);
    }
}

/* ---- base/number --------------------------------------------------------------------------------------- */

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit durations[] = {{"h", 3600 * (uint64_t)NS_PER_S}, {"m", 60 * (uint64_t)NS_PER_S},
                                        {"s", (uint64_t)NS_PER_S},        {"ms", (uint64_t)NS_PER_MS},
                                        {"us", (uint64_t)NS_PER_US},      {NULL, 0}};
static const struct unit sizes[] = {
    {"B", 1},     {"KiB", 1024},   {"MiB", 1024 * 1024}, {"GiB", 1024 * 1024 * 1024},
    {"kB", 1000}, {"MB", 1000000}, {"GB", 1000000000},   {NULL, 0}};

/* DIGITS[.DIGITS]UNIT as a whole number of what the units count. False: it is none, or too long to judge here. */
static bool expected_quantity(struct span s, const struct unit *units, wide *out)
{
    size_t whole = 0, end;
    wide scale = 1, n = 0;

    while (whole < s.len && s.ptr[whole] >= '0' && s.ptr[whole] <= '9')
        n = n * 10 + digit(s.ptr[whole++]);
    end = whole;
    if (end < s.len && s.ptr[end] == '.')
        for (end++; end < s.len && s.ptr[end] >= '0' && s.ptr[end] <= '9'; end++) {
            n = n * 10 + digit(s.ptr[end]);
            scale *= 10;
        }
    if (whole == 0 || end > DIGITS_MAX || (end != whole && (end - whole < 2 || end - whole > 10)))
        return false;
    while (units->name != NULL && !span_eq(span_of(units->name), (struct span){s.ptr + end, s.len - end}))
        units++;
    *out = n * units->factor / scale;
    return units->name != NULL && n * units->factor % scale == 0;
}

static void check_duration(struct span value)
{
    int64_t ns = -1, again = -2;
    wide expected = 0;
    bool is_one = expected_quantity(value, durations, &expected);
    enum number_status status = number_duration(value, &ns);
    char block[64];
    struct text text = text_over(block, sizeof(block));

    if (value.len <= DIGITS_MAX)
        MUST((status == NUMBER_OK) == (is_one && expected < (wide)NS_NEVER));
    if (status != NUMBER_OK)
        return;
    MUST(value.len > DIGITS_MAX || (wide)ns == expected);
    number_put_duration(&text, ns);
    MUST(!text.overflow && number_duration(text_span(&text), &again) == NUMBER_OK && again == ns);
}

static void check_size(struct span value)
{
    uint64_t bytes = 1, again = 2;
    wide expected = 0;
    bool is_one = expected_quantity(value, sizes, &expected);
    enum number_status status = number_size(value, &bytes);
    char block[64];
    struct text text = text_over(block, sizeof(block));

    if (value.len <= DIGITS_MAX)
        MUST((status == NUMBER_OK) == (is_one && expected <= (wide)UINT64_MAX));
    if (status != NUMBER_OK)
        return;
    MUST(value.len > DIGITS_MAX || (wide)bytes == expected);
    number_put_size(&text, bytes);
    MUST(!text.overflow && number_size(text_span(&text), &again) == NUMBER_OK && again == bytes);
}

/* Written again, it is what came, but for zeros in front and the case of letters. */
static void check_digits(struct span value, bool hex)
{
    uint64_t n;
    enum number_status status = hex ? number_hex(value, &n) : number_u64(value, &n);
    char block[24];
    struct text text = text_over(block, sizeof(block));

    if (status != NUMBER_OK)
        return;
    if (hex)
        text_hex(&text, n);
    else
        text_u64(&text, n);
    while (value.len > 1 && value.ptr[0] == '0')
        value = (struct span){value.ptr + 1, value.len - 1};
    MUST(span_eq_nocase(text_span(&text), value));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char block[LINE_MAX + 2];
    struct text line = text_over(block, sizeof(block));
    struct http1_field field;
    struct span rest;
    bool bad;

    text_bytes(&line, (const char *)(const void *)data, len > LINE_MAX ? LINE_MAX : len);
    TEXT_LIT(&line, "\r\n");
    rest = text_span(&line);
    if (!http1_next_trailer(&rest, &field, &bad)) {
        MUST(bad);
        return 0;
    }
    check_budget(field.name, field.value);
    check_what_is_left(field.name, field.value);
    check_duration(field.value);
    check_size(field.value);
    check_digits(field.value, false);
    check_digits(field.value, true);
    return 0;
}
