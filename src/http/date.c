#include "http/date.h"

#include <string.h>

#include "base/invariant.h"

#define DAY_S  86400
#define LAST_S INT64_C(253402300799) /* of the year 9999 */

static const char weekdays[] = "ThuFriSatSunMonTueWed", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

struct day {
    unsigned year, month, day; /* months and days from 1 on */
};

/* Of 400 years each has as many days, from the 1st of March on: then a leap day ends its year (Howard Hinnant). */
static struct day day_of(unsigned days_since_1970)
{
    unsigned days = days_since_1970 + 719468; /* since March of the year 0 */
    unsigned era = days / 146097, of_era = days % 146097;
    unsigned year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year = of_era - (365 * year + year / 4 - year / 100);
    unsigned from_march = (5 * of_year + 2) / 153;
    unsigned month = from_march < 10 ? from_march + 3 : from_march - 9;

    return (struct day){era * 400 + year + (month <= 2), month, of_year - (153 * from_march + 2) / 5 + 1};
}

static void put_two(struct text *out, unsigned n)
{
    const char digits[] = {(char)('0' + n / 10 % 10), (char)('0' + n % 10)};

    text_bytes(out, digits, sizeof(digits));
}

void date_put(struct text *out, int64_t unix_s)
{
    int64_t within = unix_s < 0 ? 0 : unix_s > LAST_S ? LAST_S : unix_s;
    unsigned days = (unsigned)(within / DAY_S), seconds = (unsigned)(within % DAY_S);
    struct day day = day_of(days);

    POST(day.month >= 1 && day.month <= 12 && day.day >= 1 && day.day <= 31 && day.year <= 9999);
    text_bytes(out, weekdays + 3 * (days % 7), 3);
    TEXT_LIT(out, ", ");
    put_two(out, day.day);
    TEXT_LIT(out, " ");
    text_bytes(out, months + 3 * (size_t)(day.month - 1), 3);
    TEXT_LIT(out, " ");
    put_two(out, day.year / 100);
    put_two(out, day.year);
    TEXT_LIT(out, " ");
    put_two(out, seconds / 3600);
    TEXT_LIT(out, ":");
    put_two(out, seconds / 60 % 60);
    TEXT_LIT(out, ":");
    put_two(out, seconds % 60);
    TEXT_LIT(out, " GMT");
}

/* The way back of day_of. */
static int64_t days_since_1970(struct day day)
{
    unsigned from_march = day.month > 2 ? day.month - 3 : day.month + 9;
    unsigned year = day.year - (day.month <= 2), era = year / 400, of_era = year % 400;
    unsigned of_year = (153 * from_march + 2) / 5 + day.day - 1;

    return (int64_t)era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* A text being read; the first thing that is not as it should be makes all of it bad. */
struct reader {
    struct span rest;
    bool bad;
};

static void advance(struct reader *r, size_t count)
{
    r->rest.ptr += count;
    r->rest.len -= count;
}

static void expect(struct reader *r, struct span text)
{
    bool is_there = r->rest.len >= text.len && memcmp(r->rest.ptr, text.ptr, text.len) == 0;

    r->bad = r->bad || !is_there;
    if (!r->bad)
        advance(r, text.len);
}

static unsigned take_digits(struct reader *r, unsigned count)
{
    unsigned n = 0;

    for (unsigned i = 0; i < count && !r->bad; i++) {
        char c = i < r->rest.len ? r->rest.ptr[i] : '\0';

        r->bad = c < '0' || c > '9';
        n = n * 10 + (unsigned)(c - '0') % 10;
    }
    if (!r->bad)
        advance(r, count);
    return n;
}

/* The place of a name of three letters in a row of them, from 1 on; 0: it is none of these, and the text is bad. */
static unsigned take_name(struct reader *r, const char *names)
{
    for (unsigned i = 0; names[3 * (size_t)i] != '\0' && r->rest.len >= 3; i++) {
        if (memcmp(r->rest.ptr, names + 3 * (size_t)i, 3) != 0)
            continue;
        advance(r, 3);
        return i + 1;
    }
    r->bad = true;
    return 0;
}

static unsigned take_time(struct reader *r)
{
    unsigned hour, minute, second;

    hour = take_digits(r, 2);
    expect(r, SPAN_LIT(":"));
    minute = take_digits(r, 2);
    expect(r, SPAN_LIT(":"));
    second = take_digits(r, 2);
    r->bad = r->bad || hour > 23 || minute > 59 || second > 60;
    return hour * 3600 + minute * 60 + second;
}

/* "Sun Nov  6 08:49:37 1994", behind the weekday. */
static unsigned take_asctime(struct reader *r, struct day *day)
{
    unsigned seconds;

    day->month = take_name(r, months);
    expect(r, SPAN_LIT(" "));
    if (r->rest.len != 0 && r->rest.ptr[0] == ' ') {
        expect(r, SPAN_LIT(" "));
        day->day = take_digits(r, 1);
    } else {
        day->day = take_digits(r, 2);
    }
    expect(r, SPAN_LIT(" "));
    seconds = take_time(r);
    expect(r, SPAN_LIT(" "));
    day->year = take_digits(r, 4);
    return seconds;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT", behind the comma. */
static unsigned take_imf_fixdate(struct reader *r, struct day *day)
{
    unsigned seconds;

    expect(r, SPAN_LIT(" "));
    day->day = take_digits(r, 2);
    expect(r, SPAN_LIT(" "));
    day->month = take_name(r, months);
    expect(r, SPAN_LIT(" "));
    day->year = take_digits(r, 4);
    expect(r, SPAN_LIT(" "));
    seconds = take_time(r);
    expect(r, SPAN_LIT(" GMT"));
    return seconds;
}

/* "Sunday, 06-Nov-94 08:49:37 GMT", behind the weekday's first three letters; the century is the one at hand. */
static unsigned take_rfc850(struct reader *r, struct day *day, int64_t now_s)
{
    unsigned this_year = day_of((unsigned)(now_s / DAY_S)).year, seconds;

    while (r->rest.len != 0 && r->rest.ptr[0] >= 'a' && r->rest.ptr[0] <= 'z')
        advance(r, 1);
    expect(r, SPAN_LIT(", "));
    day->day = take_digits(r, 2);
    expect(r, SPAN_LIT("-"));
    day->month = take_name(r, months);
    expect(r, SPAN_LIT("-"));
    day->year = this_year / 100 * 100 + take_digits(r, 2);
    if (day->year > this_year + 50)
        day->year -= 100;
    expect(r, SPAN_LIT(" "));
    seconds = take_time(r);
    expect(r, SPAN_LIT(" GMT"));
    return seconds;
}

/* In whichever form it is: they differ in what follows the weekday's first three letters. */
static unsigned take_any(struct reader *r, struct day *day, int64_t now_s)
{
    (void)take_name(r, weekdays);
    switch (r->rest.len != 0 ? r->rest.ptr[0] : '\0') {
    case ',': advance(r, 1); return take_imf_fixdate(r, day);
    case ' ': advance(r, 1); return take_asctime(r, day);
    default: return take_rfc850(r, day, now_s);
    }
}

static bool is_a_day(const struct day *day)
{
    static const unsigned char lengths[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = day->year % 4 == 0 && (day->year % 100 != 0 || day->year % 400 == 0);

    if (day->month == 0 || day->day == 0 || day->day > lengths[day->month - 1])
        return false;
    return day->month != 2 || day->day != 29 || is_leap;
}

bool date_parse(struct span text, int64_t now_s, int64_t *unix_s)
{
    struct reader r = {.rest = text};
    struct day day = {0};
    unsigned seconds;

    PRE(now_s >= 0 && now_s <= LAST_S);
    seconds = take_any(&r, &day, now_s);
    if (r.bad || r.rest.len != 0 || !is_a_day(&day))
        return false;
    *unix_s = days_since_1970(day) * DAY_S + seconds;
    return true;
}
