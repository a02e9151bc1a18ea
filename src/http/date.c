#include "http/date.h"

#include "base/invariant.h"

#define DAY_S  86400
#define LAST_S INT64_C(253402300799) /* of the year 9999 */

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
    static const char weekdays[] = "ThuFriSatSunMonTueWed", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
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
