#include "stats/start_times.h"

#include "base/invariant.h"
#include "base/mem.h"
#include "stats/duration_histogram.h"

struct start_times {
    uint32_t known;   /* when the figures were found, of those that are counted */
    uint32_t to_come; /* calls until they are found anew */
    int64_t median_ns, p95_ns;
    uint16_t counts[DURATION_HISTOGRAM_BUCKETS];
};

_Static_assert(START_TIMES_FULL <= UINT16_MAX, "a bucket may have all of them");

struct start_times *start_times_new(void)
{
    struct start_times *times = mem_zalloc(sizeof(*times));

    if (times != NULL)
        *times = (struct start_times){.median_ns = -1, .p95_ns = -1, .to_come = START_TIMES_KNOWN};
    return times;
}

static void halve(struct start_times *times)
{
    times->known = 0;
    for (uint32_t i = 0; i < DURATION_HISTOGRAM_BUCKETS; i++)
        times->known += times->counts[i] /= 2;
}

/* From the shortest on, as most calls are short: where half have ended, and all but a twentieth. */
static void find(struct start_times *times)
{
    uint32_t bucket = 0, ended = times->counts[0];

    PRE(times->known > 0);
    while (ended < times->known - times->known / 2)
        ended += times->counts[++bucket];
    times->median_ns = duration_histogram_bound_ns(bucket);
    while (ended < times->known - times->known / 20)
        ended += times->counts[++bucket];
    times->p95_ns = duration_histogram_bound_ns(bucket);
    POST(times->median_ns <= times->p95_ns);
}

/* Apart, as it is done for a hundredth of the calls. */
static __attribute__((noinline)) void find_anew(struct start_times *times)
{
    times->known += START_TIMES_KNOWN;
    if (times->known >= START_TIMES_FULL)
        halve(times);
    find(times);
    times->to_come = START_TIMES_KNOWN;
}

/* Inlined where it is called, when the program is linked. */
inline void start_times_count_in(struct start_times *times, uint32_t bucket)
{
    PRE(bucket < DURATION_HISTOGRAM_BUCKETS);
    times->counts[bucket]++;
    if (--times->to_come == 0)
        find_anew(times);
}

void start_times_count(struct start_times *times, int64_t took_ns)
{
    PRE(took_ns >= 0);
    start_times_count_in(times, duration_histogram_bucket_of(took_ns));
}

/* The one in the middle of those that took longer; without any, twice as long is as good a guess as another. */
void start_times_count_cut(struct start_times *times, int64_t had_ns)
{
    uint32_t had = duration_histogram_bucket_of(had_ns), longer = 0, bucket = had, seen = 0;

    PRE(had_ns >= 0);
    for (uint32_t i = had + 1; i < DURATION_HISTOGRAM_BUCKETS; i++)
        longer += times->counts[i];
    if (longer == 0) {
        start_times_count(times, had_ns <= INT64_MAX / 2 ? 2 * had_ns : had_ns);
        return;
    }
    while (2 * seen <= longer)
        seen += times->counts[++bucket];
    start_times_count_in(times, bucket);
}

int64_t start_times_median_ns(const struct start_times *times)
{
    return times != NULL ? times->median_ns : -1;
}

int64_t start_times_p95_ns(const struct start_times *times)
{
    return times != NULL ? times->p95_ns : -1;
}
