#ifndef CURFEW_CORE_PROGRESS_H
#define CURFEW_CORE_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "core/cause.h"
#include "core/min_rate.h"

/*
 * How a response gets on, and when that is too slow. Of a *stream* (a response of which each part is worth something
 * by itself) events count, of any other response bytes. It has a clock of its own, which stands still while the caller
 * takes nothing: that is no time of the API's. What it is to be judged by comes with each call; time is an argument.
 * Pure; one thread.
 */
struct progress_terms {
    int64_t first_event_ns; /* from the request sent to the first event; NS_NEVER: no limit */
    int64_t idle_ns;        /* from one event to the next, or to the end; NS_NEVER: no limit */
    struct min_rate_terms rate;
};

struct progress {
    bool is_stream;
    int64_t sent_ns;         /* when the request had been sent; of an early response, when its head came */
    int64_t first_ns;        /* the first event; NS_NEVER: none yet */
    int64_t stood_ns;        /* how long the clock has stood in all, but for now */
    int64_t stands_since_ns; /* NS_NEVER: it runs */
    int64_t last_ns;         /* the last event, on the clock */
    int64_t longest_ns;      /* between two events, on the clock */
    uint64_t events;
    struct min_rate rate;
};

void progress_begin(struct progress *progress, bool is_stream, int64_t sent_ns);

/* Content has come: so many bytes, in which so many events have ended; either may be 0. */
void progress_note(struct progress *progress, const struct progress_terms *terms, uint64_t bytes,
                   uint32_t events, int64_t now_ns);

/* The caller takes nothing for now, or takes again. */
void progress_stand(struct progress *progress, bool stands, int64_t now_ns);

/*
 * When it will have been too slow if nothing more comes, and why; NS_NEVER: nothing of what is known now can make it
 * so.
 */
int64_t progress_limit(const struct progress *progress, const struct progress_terms *terms,
                       enum cause *cause);

/* From the request sent to the first event; to be asked if there was one. */
int64_t progress_first_event_ns(const struct progress *progress) __attribute__((pure));

/* The longest time without an event since the first one, the one that lasts until now included. */
int64_t progress_longest_gap_ns(const struct progress *progress, int64_t now_ns) __attribute__((pure));

#endif
