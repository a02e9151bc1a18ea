#include "view/format.h"

#include <math.h>
#include <string.h>

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

void format_put_name(struct text *out, const char *name, int width)
{
    int len = (int)strlen(name), tail = (width - 1) / 2;

    if (len <= width)
        text_printf(out, "%-*s", width, name);
    else
        text_printf(out, "%.*s~%s", width - 1 - tail, name, name + len - tail);
}

static void put_parts(struct text *out, int64_t large, char unit, int64_t small, char small_unit)
{
    text_u64(out, (uint64_t)large);
    text_bytes(out, &unit, 1);
    if (small < 10)
        TEXT_LIT(out, "0");
    text_u64(out, (uint64_t)small);
    text_bytes(out, &small_unit, 1);
}

static void put_seconds(struct text *out, int64_t ms)
{
    text_u64(out, (uint64_t)(ms / SECOND));
    if (ms < 10 * SECOND) {
        TEXT_LIT(out, ".");
        text_u64(out, (uint64_t)(ms % SECOND / 100));
    }
    TEXT_LIT(out, "s");
}

void format_put_time(struct text *out, int64_t ms)
{
    if (ms < 0) {
        TEXT_LIT(out, "-");
        ms = ms > -100 * DAY ? -ms : 100 * DAY;
    }
    if (ms < SECOND) {
        text_u64(out, (uint64_t)ms);
        TEXT_LIT(out, "ms");
    } else if (ms < MINUTE)
        put_seconds(out, ms);
    else if (ms < HOUR)
        put_parts(out, ms / MINUTE, 'm', ms % MINUTE / SECOND, 's');
    else if (ms < DAY)
        put_parts(out, ms / HOUR, 'h', ms % HOUR / MINUTE, 'm');
    else if (ms < 100 * DAY)
        put_parts(out, ms / DAY, 'd', ms % DAY / HOUR, 'h');
    else
        TEXT_LIT(out, ">99d");
}

void format_put_seconds(struct text *out, double seconds, double most)
{
    if (isnan(seconds)) {
        TEXT_LIT(out, "-");
    } else if (isinf(seconds)) {
        TEXT_LIT(out, ">");
        text_printf(out, "%gs", most);
    } else if (seconds < 0.9995e-3) {
        text_printf(out, "%.0fus", seconds * 1e6);
    } else if (seconds < 0.9995) {
        text_printf(out, "%.3gms", seconds * 1e3);
    } else if (seconds < 999.5) {
        text_printf(out, "%.3gs", seconds);
    } else {
        format_put_time(out, seconds < 1e9 ? (int64_t)(seconds * 1e3) : INT64_MAX);
    }
}

void format_put_count(struct text *out, uint64_t count)
{
    static const char units[] = "kMGTPE";
    size_t unit = 0;
    uint64_t tenths;

    if (count < 1000) {
        text_u64(out, count);
        return;
    }
    for (tenths = count / 100; tenths >= 10000; tenths /= 1000)
        unit++;
    text_u64(out, tenths / 10);
    if (tenths < 100) {
        TEXT_LIT(out, ".");
        text_u64(out, tenths % 10);
    }
    text_bytes(out, &units[unit], 1);
}

void format_put_rate(struct text *out, double per_second)
{
    if (per_second > 0 && per_second < 9.95)
        text_printf(out, "%.1f", per_second);
    else
        format_put_count(out, per_second > 0 ? (uint64_t)(per_second + 0.5) : 0);
}
