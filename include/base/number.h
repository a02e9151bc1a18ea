#ifndef CURFEW_BASE_NUMBER_H
#define CURFEW_BASE_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "base/text.h"

#define NS_PER_US INT64_C(1000)
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S  INT64_C(1000000000)
/* "Never": later than any instant and longer than any budget. */
#define NS_NEVER  INT64_MAX

enum number_status {
    NUMBER_OK,
    NUMBER_SYNTAX,    /* not digits (and a unit) */
    NUMBER_NO_UNIT,   /* digits, but a unit is due */
    NUMBER_BAD_UNIT,  /* digits and an unknown unit */
    NUMBER_TOO_LARGE, /* does not fit */
};

/* Digits only: no sign, space, or empty text. */
enum number_status number_u64(struct span s, uint64_t *out) __attribute__((warn_unused_result));
/* Hex digits only, at most 16 (RFC 9112 7.1, chunk-size). */
enum number_status number_hex(struct span s, uint64_t *out) __attribute__((warn_unused_result));
/*
 * "500ms", "2s", "10m", "1h", "250us", with up to nine decimals "1.5s" as long as it is whole nanoseconds, and in
 * parts "1m30s", each of a smaller unit than the one before it. A bare 0 has no unit and is refused too.
 */
enum number_status number_duration(struct span s, int64_t *out_ns) __attribute__((warn_unused_result));
/* "512B", "32KiB", "4MiB", "1GiB", "10kB", "1MB", "1GB", "1.5MiB" to whole bytes. */
enum number_status number_size(struct span s, uint64_t *out_bytes) __attribute__((warn_unused_result));
/* "100/s", "3500/m", "20/h": how many in an hour. Whole numbers, in lower case. */
enum number_status number_rate(struct span s, uint64_t *out_per_hour) __attribute__((warn_unused_result));

/*
 * The shortest exact form that number_duration reads again and that does not begin with "0.": 2000000000 -> "2s",
 * 500000000 -> "500ms". NS_NEVER -> "none"; below 0: "0s".
 */
void number_put_duration(struct text *t, int64_t ns);
/* The same, terminated, for printf: number_duration_text(ns).text. */
struct number_text {
    char text[40];
};
struct number_text number_duration_text(int64_t ns);
/* Likewise for number_size: 32768 -> "32KiB". */
void number_put_size(struct text *t, uint64_t bytes);
/* Likewise for number_rate, in the shortest unit that it is whole in: 360000 -> "100/s". */
void number_put_rate(struct text *t, uint64_t per_hour);

#endif
