#include "base/number.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

struct unit {
    const char *name;
    uint64_t factor;
};

/* Largest first: of two forms of one length, the one with the larger unit is written. */
static const struct unit duration_units[] = {
    {"h", 3600 * (uint64_t)NS_PER_S}, {"m", 60 * (uint64_t)NS_PER_S}, {"s", (uint64_t)NS_PER_S},
    {"ms", (uint64_t)NS_PER_MS},      {"us", (uint64_t)NS_PER_US},
};
static const struct unit size_units[] = {
    {"GiB", 1 << 30}, {"GB", 1000000000}, {"MiB", 1 << 20}, {"MB", 1000000},
    {"KiB", 1 << 10}, {"kB", 1000},       {"B", 1},
};

/* More decimals than that say nothing in any unit. */
#define DECIMALS_MAX 9

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static size_t count_digits(struct span s)
{
    size_t count = 0;

    while (count < s.len && is_digit(s.ptr[count]))
        count++;
    return count;
}

static struct span skip(struct span s, size_t bytes)
{
    return (struct span){s.ptr + bytes, s.len - bytes};
}

/* `digits` holds nothing else. False if the number does not fit. */
static bool read_digits(struct span digits, uint64_t *out)
{
    *out = 0;
    for (size_t i = 0; i < digits.len; i++) {
        if (__builtin_mul_overflow(*out, 10, out) ||
            __builtin_add_overflow(*out, (uint64_t)(digits.ptr[i] - '0'), out))
            return false;
    }
    return true;
}

enum number_status number_u64(struct span s, uint64_t *out)
{
    if (s.len == 0 || count_digits(s) != s.len)
        return NUMBER_SYNTAX;
    return read_digits(s, out) ? NUMBER_OK : NUMBER_TOO_LARGE;
}

static int hex_value(char c)
{
    if (is_digit(c))
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

enum number_status number_hex(struct span s, uint64_t *out)
{
    uint64_t n = 0;

    if (s.len == 0)
        return NUMBER_SYNTAX;
    for (size_t i = 0; i < s.len; i++) {
        int value = hex_value(s.ptr[i]);

        if (value < 0)
            return NUMBER_SYNTAX;
        n = n << 4 | (uint64_t)value;
    }
    if (s.len > 16)
        return NUMBER_TOO_LARGE;
    *out = n;
    return NUMBER_OK;
}

/* Digits, perhaps a point and more digits, taken off *s. */
static bool take_decimal(struct span *s, struct span *whole, struct span *decimals)
{
    *whole = (struct span){s->ptr, count_digits(*s)};
    *s = skip(*s, whole->len);
    *decimals = (struct span){s->ptr, 0};
    if (whole->len == 0)
        return false;
    if (s->len == 0 || s->ptr[0] != '.')
        return true;
    *s = skip(*s, 1);
    *decimals = (struct span){s->ptr, count_digits(*s)};
    *s = skip(*s, decimals->len);
    return decimals->len != 0 && decimals->len <= DECIMALS_MAX;
}

/* 0.decimals * factor, if that is a whole number. */
static bool scale_decimals(struct span decimals, uint64_t factor, uint64_t *out)
{
    unsigned __int128 product;
    uint64_t digits, scale = 1;

    if (!read_digits(decimals, &digits))
        return false;
    for (size_t i = 0; i < decimals.len; i++)
        scale *= 10;
    product = (unsigned __int128)digits * factor;
    *out = (uint64_t)(product / scale);
    return product % scale == 0;
}

static const struct unit *find_unit(const struct unit *units, size_t count, struct span name)
{
    for (size_t i = 0; i < count; i++) {
        if (span_eq(span_of(units[i].name), name))
            return &units[i];
    }
    return NULL;
}

static bool is_letter(char c)
{
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'z';
}

static size_t count_letters(struct span s)
{
    size_t count = 0;

    while (count < s.len && is_letter(s.ptr[count]))
        count++;
    return count;
}

/* One number with its unit, taken off *s. */
static enum number_status take_quantity(struct span *s, const struct unit *units, size_t unit_count,
                                        const struct unit **unit, uint64_t *out)
{
    struct span whole, decimals, name;
    uint64_t n, part;

    if (!take_decimal(s, &whole, &decimals))
        return NUMBER_SYNTAX;
    if (s->len == 0)
        return NUMBER_NO_UNIT;
    name = (struct span){s->ptr, count_letters(*s)};
    *unit = find_unit(units, unit_count, name);
    if (!*unit)
        return name.len != 0 ? NUMBER_BAD_UNIT : NUMBER_SYNTAX;
    *s = skip(*s, name.len);
    if (!scale_decimals(decimals, (*unit)->factor, &part))
        return NUMBER_SYNTAX;
    if (!read_digits(whole, &n) || __builtin_mul_overflow(n, (*unit)->factor, &n) ||
        __builtin_add_overflow(n, part, out))
        return NUMBER_TOO_LARGE;
    /* What follows "1.5m" would have two meanings: only the last part has decimals. */
    return s->len != 0 && decimals.len != 0 ? NUMBER_SYNTAX : NUMBER_OK;
}

enum number_status number_duration(struct span s, int64_t *out_ns)
{
    const struct unit *unit, *before = NULL;
    enum number_status status;
    uint64_t ns = 0, part;

    do {
        status = take_quantity(&s, duration_units, ARRAY_SIZE(duration_units), &unit, &part);
        if (status != NUMBER_OK)
            return status;
        if (before && unit <= before)
            return NUMBER_SYNTAX;
        if (__builtin_add_overflow(ns, part, &ns) || ns >= (uint64_t)NS_NEVER)
            return NUMBER_TOO_LARGE;
        before = unit;
    } while (s.len != 0);
    *out_ns = (int64_t)ns;
    return NUMBER_OK;
}

enum number_status number_size(struct span s, uint64_t *out_bytes)
{
    const struct unit *unit;
    enum number_status status = take_quantity(&s, size_units, ARRAY_SIZE(size_units), &unit, out_bytes);

    return status == NUMBER_OK && s.len != 0 ? NUMBER_SYNTAX : status;
}

/* n / unit, with decimals where it needs some; false if DECIMALS_MAX of them are not enough. */
static bool put_in_unit(struct text *t, uint64_t n, const struct unit *unit)
{
    uint64_t rest = n % unit->factor;

    text_u64(t, n / unit->factor);
    if (rest != 0)
        TEXT_LIT(t, ".");
    for (int i = 0; i < DECIMALS_MAX && rest != 0; i++) {
        unsigned __int128 tenfold = (unsigned __int128)rest * 10;

        text_u64(t, (uint64_t)(tenfold / unit->factor));
        rest = (uint64_t)(tenfold % unit->factor);
    }
    text_put(t, span_of(unit->name));
    return rest == 0;
}

/* The shortest exact form; one that starts with "0." only if there is no other. */
static void put_quantity(struct text *t, uint64_t n, const struct unit *units, size_t unit_count)
{
    char blocks[2][48];
    struct text best = text_over(blocks[0], 0);

    for (size_t i = 0; i < unit_count; i++) {
        bool is_last_chance = i + 1 == unit_count && best.len == 0;
        struct text form = text_over(best.ptr == blocks[0] ? blocks[1] : blocks[0], sizeof(blocks[0]));

        if (n < units[i].factor && !is_last_chance)
            continue;
        if (put_in_unit(&form, n, &units[i]) && (best.len == 0 || form.len < best.len))
            best = form;
    }
    text_put(t, text_span(&best));
}

void number_put_duration(struct text *t, int64_t ns)
{
    if (ns == NS_NEVER)
        TEXT_LIT(t, "none");
    else if (ns <= 0)
        TEXT_LIT(t, "0s");
    else
        put_quantity(t, (uint64_t)ns, duration_units, ARRAY_SIZE(duration_units));
}

struct number_text number_duration_text(int64_t ns)
{
    struct number_text duration = {""};
    struct text t = text_over(duration.text, sizeof(duration.text) - 1);

    number_put_duration(&t, ns);
    return duration;
}

void number_put_size(struct text *t, uint64_t bytes)
{
    put_quantity(t, bytes, size_units, ARRAY_SIZE(size_units));
}

static const struct unit rate_units[] = {{"s", 3600}, {"m", 60}, {"h", 1}};

enum number_status number_rate(struct span s, uint64_t *out_per_hour)
{
    struct span digits = {s.ptr, count_digits(s)}, unit_name = skip(s, digits.len);
    const struct unit *unit;
    uint64_t n;

    if (digits.len == 0)
        return NUMBER_SYNTAX;
    if (unit_name.len == 0)
        return NUMBER_NO_UNIT;
    if (unit_name.ptr[0] != '/')
        return NUMBER_SYNTAX;
    unit = find_unit(rate_units, ARRAY_SIZE(rate_units), skip(unit_name, 1));
    if (!unit)
        return NUMBER_BAD_UNIT;
    if (!read_digits(digits, &n) || __builtin_mul_overflow(n, unit->factor, out_per_hour))
        return NUMBER_TOO_LARGE;
    return NUMBER_OK;
}

void number_put_rate(struct text *t, uint64_t per_hour)
{
    const struct unit *unit = rate_units;

    while (per_hour % unit->factor != 0)
        unit++;
    text_u64(t, per_hour / unit->factor);
    TEXT_LIT(t, "/");
    text_put(t, span_of(unit->name));
}
