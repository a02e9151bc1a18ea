#include "core/budget.h"

#include "base/invariant.h"
#include "base/number.h"

#define NS_PER_MINUTE   (60 * NS_PER_S)
#define NS_PER_HOUR     (60 * NS_PER_MINUTE)
#define GRPC_DIGITS_MAX 8

static bool scale(struct span digits, int64_t unit_ns, int64_t *out_ns)
{
    uint64_t n;
    int64_t ns;

    switch (number_u64(digits, &n)) {
    case NUMBER_OK:
        if (n > INT64_MAX || __builtin_mul_overflow((int64_t)n, unit_ns, &ns))
            ns = NS_NEVER;
        POST(ns >= 0);
        *out_ns = ns;
        return true;
    case NUMBER_TOO_LARGE: *out_ns = NS_NEVER; return true;
    default: return false;
    }
}

static int64_t grpc_unit_ns(char unit)
{
    switch (unit) {
    case 'H': return NS_PER_HOUR;
    case 'M': return NS_PER_MINUTE;
    case 'S': return NS_PER_S;
    case 'm': return NS_PER_MS;
    case 'u': return NS_PER_US;
    case 'n': return 1;
    default: return 0;
    }
}

static bool parse_grpc(struct span value, int64_t *out_ns)
{
    int64_t unit_ns;

    if (value.len < 2 || value.len > GRPC_DIGITS_MAX + 1)
        return false;
    unit_ns = grpc_unit_ns(value.ptr[value.len - 1]);
    return unit_ns != 0 && scale((struct span){value.ptr, value.len - 1}, unit_ns, out_ns);
}

bool budget_parse(struct span field_name, struct span value, int64_t *out_ns)
{
    if (span_eq_nocase(field_name, SPAN_LIT("grpc-timeout")))
        return parse_grpc(value, out_ns);
    return scale(value, NS_PER_MS, out_ns);
}

uint64_t budget_left_ms(int64_t deadline_ns, int64_t now_ns)
{
    int64_t left_ns;

    if (deadline_ns <= now_ns)
        return 0;
    if (__builtin_sub_overflow(deadline_ns, now_ns, &left_ns))
        left_ns = INT64_MAX;
    return left_ns < NS_PER_MS ? 1 : (uint64_t)(left_ns / NS_PER_MS);
}

int64_t budget_end(int64_t start_ns, int64_t length_ns)
{
    int64_t end_ns;

    PRE(start_ns >= 0);
    if (__builtin_add_overflow(start_ns, length_ns, &end_ns)) /* as NS_NEVER makes it, too */
        return NS_NEVER;
    return end_ns;
}

int64_t budget_race_end(int64_t limit_ns, int64_t deadline_ns, int64_t policy_ns, int64_t now_ns)
{
    int64_t next_ns = limit_ns < deadline_ns ? limit_ns : deadline_ns;

    return policy_ns > now_ns && policy_ns < next_ns ? policy_ns : next_ns;
}
