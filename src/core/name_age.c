#include "core/name_age.h"

#include "base/invariant.h"
#include "base/number.h"

#define TTL_MAX_NS      (3600 * NS_PER_S)
/* A TTL of 0 counts as this. */
#define TTL_OF_0_NS     (5 * NS_PER_S)
/*
 * Between lookups of one name, at least: 1 s after an answer that is new, so that a name that moves with a short TTL is
 * followed; twice as long after each that brought nothing new, up to 5 s.
 */
#define PAUSE_NEW_NS    NS_PER_S
#define PAUSE_MAX_NS    (5 * NS_PER_S)
/* After a failure. */
#define PAUSE_FAILED_NS (5 * NS_PER_S)
/* For a background lookup to end in, before an answer is called old. */
#define GRACE_NS        NS_PER_S
/* How long one waits for a lookup, with an old answer at hand: one that nobody has used for long, or is outdated. */
#define PATIENCE_NS     (100 * NS_PER_MS)
#define PATIENCE_NEW_NS NS_PER_S

static int64_t pause_ns(const struct name_age *age)
{
    int64_t ns = PAUSE_NEW_NS << (age->unchanged < 3 ? age->unchanged : 3);

    return ns < PAUSE_MAX_NS ? ns : PAUSE_MAX_NS;
}

/* From the answer to its refresh. */
static int64_t refresh_in(const struct name_age *age, const struct name_policy *policy)
{
    int64_t share_ns = age->ttl_ns / 100 * policy->refresh_percent;
    int64_t least_ns = pause_ns(age);

    PRE(policy->refresh_percent <= 100); /* or an answer would be over before it is looked up anew */
    return share_ns > least_ns ? share_ns : least_ns;
}

int64_t name_refresh_at(const struct name_age *age, const struct name_policy *policy)
{
    return age->failures != 0 ? age->failed_ns + PAUSE_FAILED_NS : age->answered_ns + refresh_in(age, policy);
}

/* From the answer to the end of its time. */
static int64_t old_in(const struct name_age *age, const struct name_policy *policy)
{
    int64_t refresh_ns = refresh_in(age, policy);

    return age->ttl_ns > refresh_ns ? age->ttl_ns : refresh_ns;
}

/* Is the answer so old that it is not used, not even for want of a better one? */
static bool is_gone(const struct name_age *age, const struct name_policy *policy, int64_t old_for_ns)
{
    bool is_denied = age->failures != 0 && age->is_negative;

    return old_for_ns >= GRACE_NS && old_for_ns >= (is_denied ? policy->stale_negative_ns : policy->stale_ns);
}

static struct name_verdict judge_without_answer(const struct name_age *age, const struct name_policy *policy,
                                                int64_t now_ns)
{
    if (age->failures > 1 && now_ns - age->failed_ns < policy->negative_ns)
        return (struct name_verdict){.use = NAME_FAIL};
    return (struct name_verdict){.use = NAME_WAIT, .look = true, .patience_ns = NS_NEVER};
}

struct name_verdict name_judge(const struct name_age *age, const struct name_policy *policy, int64_t now_ns)
{
    bool is_due = now_ns >= name_refresh_at(age, policy);
    int64_t old_for_ns = now_ns - age->answered_ns - old_in(age, policy);

    if (!age->has_answer || is_gone(age, policy, old_for_ns))
        return judge_without_answer(age, policy, now_ns);
    if (age->failures != 0)
        return (struct name_verdict){.use = NAME_USE, .is_stale = true, .look = is_due};
    if (age->is_outdated)
        return (struct name_verdict){
            .use = NAME_WAIT, .is_stale = true, .look = true, .patience_ns = PATIENCE_NEW_NS};
    if (old_for_ns >= GRACE_NS)
        return (struct name_verdict){
            .use = NAME_WAIT, .is_stale = true, .look = true, .patience_ns = PATIENCE_NS};
    return (struct name_verdict){.use = NAME_USE, .look = is_due};
}

void name_answered(struct name_age *age, int64_t ttl_ns, bool is_same, int64_t now_ns)
{
    uint32_t unchanged = age->has_answer && is_same && age->unchanged < UINT32_MAX ? age->unchanged + 1 : 0;

    if (ttl_ns <= 0)
        ttl_ns = TTL_OF_0_NS;
    *age = (struct name_age){
        .has_answer = true,
        .answered_ns = now_ns,
        .ttl_ns = ttl_ns < TTL_MAX_NS ? ttl_ns : TTL_MAX_NS,
        .unchanged = unchanged,
    };
    POST(age->ttl_ns > 0 && age->ttl_ns <= TTL_MAX_NS && age->failures == 0);
}

void name_outdate(struct name_age *age)
{
    age->is_outdated = true;
    age->failures = 0;
}

void name_failed(struct name_age *age, bool is_negative, int64_t now_ns)
{
    age->failures++;
    age->failed_ns = now_ns;
    age->is_negative = is_negative;
}

bool name_may_be_kept(const struct name_age *age, const struct name_policy *policy, int64_t ttl_ns,
                      int64_t now_ns)
{
    return ttl_ns > 0 || age->has_answer || age->failures == 0 ||
           now_ns - age->failed_ns >= policy->negative_ns;
}
