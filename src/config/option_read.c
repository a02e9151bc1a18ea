#include "config/option_read.h"

#include <string.h>

#include "base/number.h"
#include "config/hint.h"
#include "config/quote.h"
#include "config/suggest.h"

/* Is it the word that stands for the default, where the default is a word and not a value of its type? */
static bool read_word(const struct option *option, struct span value, int64_t *out)
{
    if (!span_eq(value, span_of(option->fallback)))
        return false;
    *out = span_eq(value, SPAN_LIT("none")) ? NS_NEVER : 0;
    return span_eq(value, SPAN_LIT("none")) || span_eq(value, SPAN_LIT("auto"));
}

/* "lowest..highest|word|word" in its parts. */
static void split_range(const char *range, struct span *lowest, struct span *highest, struct span *words)
{
    const char *dots = strstr(range, ".."), *bar = strchr(range, '|');

    *lowest = (struct span){range, (size_t)(dots - range)};
    *words = span_of(bar ? bar + 1 : "");
    *highest = span_of(dots + 2);
    if (bar)
        highest->len = (size_t)(bar - (dots + 2));
}

/* The next word of "a|b|c". */
static bool next_word(struct span *rest, struct span *word)
{
    const char *bar = memchr(rest->ptr, '|', rest->len);

    *word = (struct span){rest->ptr, bar ? (size_t)(bar - rest->ptr) : rest->len};
    rest->ptr += word->len + (bar ? 1 : 0);
    rest->len -= word->len + (bar ? 1 : 0);
    return word->len != 0;
}

/* Is it one of the words that a range has beside its numbers? The first one is -1. */
static bool read_word_of_range(const struct option *option, struct span value, int64_t *out)
{
    struct span lowest, highest, words, word;

    split_range(option->values, &lowest, &highest, &words);
    for (*out = -1; next_word(&words, &word); (*out)--)
        if (span_eq(word, value))
            return true;
    return false;
}

/* Numbers of the file are held in 63 bits. */
static enum number_status as_signed(enum number_status status, uint64_t n, int64_t *out)
{
    if (status == NUMBER_OK && n > INT64_MAX)
        return NUMBER_TOO_LARGE;
    *out = (int64_t)n;
    return status;
}

static enum number_status read_percent(struct span value, int64_t *out)
{
    bool has_sign = value.len != 0 && value.ptr[value.len - 1] == '%';
    enum number_status status;
    uint64_t n = 0;

    value.len -= has_sign;
    status = number_u64(value, &n);
    if (status == NUMBER_OK && !has_sign)
        return NUMBER_NO_UNIT;
    return as_signed(status, n, out);
}

static enum number_status read_quantity(enum option_type type, struct span value, int64_t *out)
{
    enum number_status status;
    uint64_t n = 0;

    switch (type) {
    case OPTION_DURATION: return number_duration(value, out);
    case OPTION_SIZE: status = number_size(value, &n); return as_signed(status, n, out);
    case OPTION_PERCENT: return read_percent(value, out);
    case OPTION_RATE: status = number_rate(value, &n); return as_signed(status, n, out);
    default: status = number_u64(value, &n); return as_signed(status, n, out);
    }
}

static bool is_within(const struct option *option, int64_t n)
{
    struct span lowest, highest, words;
    int64_t low = 0, high = 0;

    split_range(option->values, &lowest, &highest, &words);
    return read_quantity(option->type, lowest, &low) == NUMBER_OK &&
           read_quantity(option->type, highest, &high) == NUMBER_OK && n >= low && n <= high;
}

/* No option has bounds below zero, so that such a value is well written and out of them. */
static bool is_below_zero(enum option_type type, struct span value)
{
    enum number_status status;
    int64_t unused;

    if (value.len == 0 || value.ptr[0] != '-')
        return false;
    status = read_quantity(type, (struct span){value.ptr + 1, value.len - 1}, &unused);
    return status == NUMBER_OK || status == NUMBER_TOO_LARGE;
}

static void put_quoted(struct text *why, struct span value)
{
    text_put(why, span_of(quote_text(value).text));
}

/* False: nobody knows what is meant. */
static bool put_meant(const struct option *option, struct span value, struct text *why)
{
    char block[48];
    struct text meant = text_over(block, sizeof(block));

    if (!hint_value(option->type, value, &meant))
        return false;
    TEXT_LIT(why, "; did you mean ");
    text_put(why, text_span(&meant));
    TEXT_LIT(why, "?");
    return true;
}

static void put_bounds(const struct option *option, struct text *why, const char *before)
{
    struct span lowest, highest, words;

    split_range(option->values, &lowest, &highest, &words);
    text_put(why, span_of(before));
    text_put(why, lowest);
    TEXT_LIT(why, " to ");
    text_put(why, highest);
}

static void explain_quantity(const struct option *option, struct span value, enum number_status status,
                             struct text *why)
{
    bool is_duration = option->type == OPTION_DURATION;

    put_quoted(why, value);
    if (option->type == OPTION_RATE) {
        TEXT_LIT(why, " is not a rate");
        if (!put_meant(option, value, why))
            TEXT_LIT(why, "; write for example 100/s, 3500/m or 20/h");
        return;
    }
    if (option->type == OPTION_PERCENT) {
        TEXT_LIT(why, " is not a percentage; write for example 80%");
        return;
    }
    if (option->type == OPTION_INTEGER)
        TEXT_LIT(why, " is not a whole number");
    else if (status == NUMBER_NO_UNIT)
        TEXT_LIT(why, " has no unit");
    else if (status == NUMBER_BAD_UNIT)
        TEXT_LIT(why, " has an unknown unit");
    else
        text_put(why, is_duration ? SPAN_LIT(" is not a duration") : SPAN_LIT(" is not a size"));
    if (put_meant(option, value, why))
        return;
    if (option->type == OPTION_INTEGER)
        put_bounds(option, why, "; it is one from ");
    else
        text_put(why, is_duration ? SPAN_LIT("; write for example 2s or 500ms")
                                  : SPAN_LIT("; write for example 32KiB or 1MiB"));
}

static void explain_bounds(const struct option *option, struct span value, struct text *why)
{
    put_quoted(why, value);
    put_bounds(option, why, " is out of bounds: ");
}

static bool read_number(const struct option *option, struct span value, int64_t *out, struct text *why)
{
    enum number_status status;

    if (read_word(option, value, out) || read_word_of_range(option, value, out))
        return true;
    status = read_quantity(option->type, value, out);
    if (status == NUMBER_TOO_LARGE || (status == NUMBER_OK && !is_within(option, *out)) ||
        (status == NUMBER_SYNTAX && is_below_zero(option->type, value))) {
        explain_bounds(option, value, why);
        return false;
    }
    if (status != NUMBER_OK)
        explain_quantity(option, value, status, why);
    return status == NUMBER_OK;
}

static bool read_bool(const struct option *option, struct span value, int64_t *out, struct text *why)
{
    *out = span_eq(value, SPAN_LIT("true"));
    if (*out || span_eq(value, SPAN_LIT("false")))
        return true;
    put_quoted(why, value);
    TEXT_LIT(why, " is neither true nor false");
    (void)put_meant(option, value, why); /* where that is known */
    return false;
}

/* "WARN" and "warning" of "warn". */
static bool is_longer_form(struct span value, struct span word)
{
    return value.len >= word.len && span_eq_nocase((struct span){value.ptr, word.len}, word);
}

static bool read_choice(const struct option *option, struct span value, int64_t *out, struct text *why)
{
    struct suggestion suggestion = suggest_for(value);
    struct span rest = span_of(option->values), word;

    for (*out = 0; next_word(&rest, &word); (*out)++) {
        if (span_eq(word, value))
            return true;
        if (is_longer_form(value, word))
            suggestion = (struct suggestion){.best = word};
        suggest_offer(&suggestion, word);
    }
    put_quoted(why, value);
    TEXT_LIT(why, " is none of ");
    for (rest = span_of(option->values); next_word(&rest, &word);) {
        text_put(why, word);
        if (rest.len != 0)
            TEXT_LIT(why, ", ");
    }
    text_put(why, span_of(suggest_text(&suggestion).text));
    return false;
}

bool option_read(const struct option *option, struct span value, int64_t *out, struct text *why)
{
    switch (option->type) {
    case OPTION_BOOL: return read_bool(option, value, out, why);
    case OPTION_CHOICE: return read_choice(option, value, out, why);
    default: return read_number(option, value, out, why);
    }
}
