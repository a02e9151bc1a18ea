#ifndef CURFEW_CORE_NAME_AGE_H
#define CURFEW_CORE_NAME_AGE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * How old the answer to a name may be, and when it is looked up anew.
 *
 *   answered        refresh_at        TTL over, and nobody has asked in between
 *      |---- used -----|---- used, ------|---- given a moment to be looked up anew, ----|
 *                       looked up anew      then used
 *
 * An answer that is in use is looked up anew in the background when a share of its TTL is over, and used
 * meanwhile. When DNS fails, it goes on being used: for `stale` after its TTL, or for `stale_negative` if DNS says
 * that there is no such name. Without an answer, an error is kept for `negative`, but a first one only once it has
 * come twice: what has failed once may have been on its way to being well.
 *
 * Time is an argument; instants and times in nanoseconds.
 */

/* What somebody who asked got. */
enum dns_result {
    DNS_FRESH,
    DNS_STALE,  /* an answer, though an old one: DNS fails */
    DNS_FAILED, /* the name does not resolve */
    DNS_RESULT_COUNT,
    DNS_SHORTAGE = DNS_RESULT_COUNT, /* not counted as DNS's: we lack descriptors or memory */
};

struct name_policy {
    uint32_t refresh_percent; /* of the TTL */
    int64_t stale_ns, stale_negative_ns, negative_ns;
};

struct name_age {
    bool has_answer;
    bool is_outdated; /* the system's configuration or ours has changed since */
    int64_t answered_ns, ttl_ns;
    uint32_t unchanged; /* how many answers in a row have been the same */
    uint32_t failures;  /* in a row, since the answer; 0: the last lookup was good */
    int64_t failed_ns;  /* the last one, */
    bool is_negative;   /* which said that there is no such name */
};

/* What whoever asks now gets. */
struct name_verdict {
    enum name_use {
        NAME_WAIT, /* for a lookup */
        NAME_USE,  /* the answer, at once */
        NAME_FAIL, /* the error that is kept, at once */
    } use;
    bool is_stale; /* the answer to be used is: it is past its time and DNS has not been able to renew it */
    bool look;     /* a lookup is due, unless one is under way */
    /* Of NAME_WAIT: for so long, from the lookup's beginning; then the old answer is used. NS_NEVER: there is none. */
    int64_t patience_ns;
};

struct name_verdict name_judge(const struct name_age *age, const struct name_policy *policy, int64_t now_ns);

/* When an answer that is in use is looked up anew, or a failed lookup is tried again. */
int64_t name_refresh_at(const struct name_age *age, const struct name_policy *policy);

/* The system's configuration, or ours, is another one: the answer is used only if no new one comes soon. */
void name_outdate(struct name_age *age);

/* A lookup has ended. `is_same`: with the same addresses as the answer before. */
void name_answered(struct name_age *age, int64_t ttl_ns, bool is_same, int64_t now_ns);
void name_failed(struct name_age *age, bool is_negative, int64_t now_ns);

/*
 * May an answer be kept? One with a TTL of 0 counts as one of 5 s, so as not to ask DNS for each connection; but what
 * comes so just after a failure is used once, for it is likely to change.
 */
bool name_may_be_kept(const struct name_age *age, const struct name_policy *policy, int64_t ttl_ns,
                      int64_t now_ns);

#endif
