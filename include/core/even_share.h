#ifndef CURFEW_CORE_EVEN_SHARE_H
#define CURFEW_CORE_EVEN_SHARE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Who takes what comes, of several workers that each see it: a connection stays with its worker for as long as it is
 * open, so one that was the quickest to take a thousand of them has most of the work ever after. One that has more than
 * its share leaves the next to the others for a moment, EVEN_SHARE_PAUSE_NS; where none has taken it after some of
 * them, the others are busy, and it takes one. Pure; one thread for each.
 */
#define EVEN_SHARE_PAUSE_NS   250000
#define EVEN_SHARE_PAUSES     20
/* How many more than its share one may have, beside a sixty-fourth part of it. */
#define EVEN_SHARE_SLACK      4
/* What is there so soon after a pause has been there all the while. */
#define EVEN_SHARE_AT_ONCE_NS 100000

struct even_share {
    int64_t resumed_ns; /* when the last pause was over */
    uint32_t pauses;    /* one after the other */
};

/* Something waits to be taken: is it ours? Of `all` that the workers have, `own` are ours. False: pause. */
bool even_share_takes(struct even_share *share, uint32_t own, uint32_t all, uint32_t workers, int64_t now_ns);
/* A pause is over. */
void even_share_resume(struct even_share *share, int64_t now_ns);

#endif
