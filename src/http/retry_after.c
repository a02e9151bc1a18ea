#include "http/retry_after.h"

#include "base/number.h"
#include "http/date.h"

/* Digits, and decimals if `unit_ns` has room for them: what is finer than that is left away. */
static bool read_number(struct span text, int64_t unit_ns, int64_t *ns)
{
    int64_t total_ns = 0;
    size_t i = 0;

    for (; i < text.len && text.ptr[i] >= '0' && text.ptr[i] <= '9'; i++) {
        if (__builtin_mul_overflow(total_ns, 10, &total_ns) ||
            __builtin_add_overflow(total_ns, (text.ptr[i] - '0') * unit_ns, &total_ns))
            total_ns = NS_NEVER;
    }
    if (i == 0)
        return false;
    if (i < text.len && text.ptr[i] == '.' && i + 1 < text.len)
        i++;
    for (; i < text.len && text.ptr[i] >= '0' && text.ptr[i] <= '9'; i++) {
        unit_ns /= 10;
        if (__builtin_add_overflow(total_ns, (text.ptr[i] - '0') * unit_ns, &total_ns))
            total_ns = NS_NEVER;
    }
    *ns = total_ns;
    return i == text.len;
}

static bool read_date(struct span text, int64_t now_ns, int64_t *ns)
{
    int64_t unix_s, now_s = now_ns / NS_PER_S;

    if (!date_parse(text, now_s, &unix_s))
        return false;
    if (unix_s <= now_s)
        *ns = 0;
    else if (__builtin_mul_overflow(unix_s, NS_PER_S, ns))
        *ns = NS_NEVER;
    else
        *ns -= now_ns;
    return true;
}

/* What the fields of one name say together. */
struct said {
    enum retry_after is;
    int64_t longest_ns;
};

/* `ns` of the value, if it could be read. */
static void hear(struct said *said, bool is_read, const int64_t *ns)
{
    if (said->is == RETRY_AFTER_ABSENT)
        said->is = RETRY_AFTER_UNREADABLE;
    if (!is_read)
        return;
    said->is = RETRY_AFTER_READ;
    if (*ns > said->longest_ns)
        said->longest_ns = *ns;
}

enum retry_after retry_after_read(const struct http1_head *response, int64_t now_ns, int64_t *wait_ns)
{
    struct said usual = {RETRY_AFTER_ABSENT, 0}, exact = {RETRY_AFTER_ABSENT, 0};
    const struct said *said;

    for (uint32_t i = 0; i < response->field_count; i++) {
        const struct http1_field *field = &response->fields[i];
        int64_t ns = 0;

        if (span_eq_nocase(field->name, SPAN_LIT("retry-after")))
            hear(&usual, read_number(field->value, NS_PER_S, &ns) || read_date(field->value, now_ns, &ns),
                 &ns);
        else if (span_eq_nocase(field->name, SPAN_LIT("retry-after-ms")))
            hear(&exact, read_number(field->value, NS_PER_MS, &ns), &ns);
    }
    said = exact.is == RETRY_AFTER_READ || usual.is == RETRY_AFTER_ABSENT ? &exact : &usual;
    *wait_ns = said->longest_ns;
    return said->is;
}
