#include "app/explain_retries.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/number.h"
#include "call/policy.h"
#include "core/backoff.h"

/* A failure, as far as the decision goes. */
struct failure {
    const char *name;
    enum cause cause;
    uint16_t status;
    bool struck;
    enum sent sent;
};

static struct retry_answer ask(const struct explanation *e, const struct failure *failure, int64_t asked_ns)
{
    const struct retries_config *retries = &e->policy.route->retries;

    return retry_ask(&retries->policy, &(struct retry_case){
                                           .cause = failure->cause,
                                           .status = failure->status,
                                           .struck = failure->struck,
                                           .beside = failure->struck && retries->hedges,
                                           .sent = failure->sent,
                                           .repeatable = policy_may_repeat(retries, e->head),
                                           .has_content = true,
                                           .tries = 1,
                                           .asked_ns = asked_ns,
                                           .left_ns = e->policy.deadline_ns,
                                       });
}

static const char *answer_text(enum retry_stop stop)
{
    if (stop == RETRY_GOES_ON)
        return "another try";
    return stop == RETRY_NOT_MEANT ? "none: it is not listed in when" : retry_stop_word(stop);
}

static void print_answer(const char *name, const char *note, enum retry_stop stop)
{
    bool is_word = stop > RETRY_NOT_MEANT;

    printf("  %s%-*s  %s%s\n", name, 34 - (int)(__builtin_strlen(name)), note, is_word ? "none: " : "",
           answer_text(stop));
}

static void print_failures(const struct explanation *e)
{
    static const struct failure failures[] = {
        {"refused, unreachable (connect)", CAUSE_REFUSED, 0, false, SENT_NONE},
        {"no address (dns)", CAUSE_DNS, 0, false, SENT_NONE},
        {"broken TLS handshake (tls)", CAUSE_TLS_PROTOCOL, 0, false, SENT_NONE},
        {"closed before a response (reset)", CAUSE_TERMINATED, 0, false, SENT_COMPLETE},
        {"no HTTP (junk)", CAUSE_HTTP_PROTOCOL, 0, false, SENT_COMPLETE},
        {"first_byte, idle (timeout)", CAUSE_FIRST_BYTE_LIMIT, 0, false, SENT_COMPLETE},
    };

    for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++)
        print_answer(failures[i].name, "", ask(e, &failures[i], -1).stop);
    if (e->policy.route->retries.per_try_ns != NS_NEVER) {
        struct failure late = {"", CAUSE_NONE, 0, true, SENT_COMPLETE};
        enum retry_stop stop = ask(e, &late, -1).stop;

        printf("  %-34s  %s%s\n", "silent for per_try",
               stop == RETRY_GOES_ON ? "another try" : "the try goes on",
               stop == RETRY_GOES_ON && e->policy.route->retries.hedges ? " beside it, which goes on (hedge)"
                                                                        : "");
    }
}

/* Those that are listed; with Retry-After apart where that makes a difference. */
static void print_statuses(const struct explanation *e)
{
    const struct retry_when *when = &e->policy.route->retries.policy.when;

    for (uint16_t status = RETRY_STATUS_FIRST; status <= RETRY_STATUS_LAST; status++) {
        struct failure failure = {"", CAUSE_NONE, status, false, SENT_COMPLETE};
        char name[8];
        enum retry_stop stop, later;

        if (!retry_when_has_status(when, status))
            continue;
        snprintf(name, sizeof(name), "%u", status);
        stop = ask(e, &failure, -1).stop;
        later = ask(e, &failure, 0).stop;
        print_answer(name, "", stop);
        if (later != stop)
            print_answer(name, " with Retry-After", later);
    }
}

/* What no policy makes good. */
static void print_final(void)
{
    static const char *const failures[] = {"certificate not trusted", "response head too large",
                                           "response cut after its head", "deadline, caller gone, operator"};

    for (size_t i = 0; i < sizeof(failures) / sizeof(failures[0]); i++)
        printf("  %-34s  none, whatever is listed\n", failures[i]);
}

static void print_terms(const struct explanation *e)
{
    const struct retries_config *retries = &e->policy.route->retries;
    const struct retry_policy *policy = &retries->policy;

    printf("            the wait before one is at most %s, or what Retry-After says up to %s; per_try: %s\n",
           number_duration_text(backoff_bound(policy->base_ns, policy->max_ns, policy->attempts - 1u)).text,
           number_duration_text(policy->retry_after_ns).text, number_duration_text(retries->per_try_ns).text);
    printf("            what the API may have seen of this request %s be sent again\n",
           policy_may_repeat(retries, e->head) ? "may" : "may not");
}

void explain_retries(const struct explanation *e)
{
    const struct retries_config *retries = &e->policy.route->retries;

    if (!retries_are_on(retries))
        return;
    printf("%-12s%u tries at most, as long as there is time and a token", "retries",
           retries->policy.attempts);
    if (retries->at.attempts != NULL)
        printf(" (%s, %s:%" PRIu32 ")", retries->at.attempts->path, retries->at.attempts->file,
               retries->at.attempts->line);
    printf("\n");
    print_terms(e);
}

void explain_retry_answers(const struct explanation *e)
{
    if (!retries_are_on(&e->policy.route->retries))
        return;
    printf("\nIf a try ends so, and nothing of a response has gone out, there follows\n");
    print_failures(e);
    print_statuses(e);
    print_final();
    if (e->policy.route->retries.fallback != NULL)
        printf("and another try goes to %s.\n", e->policy.route->retries.fallback->name);
}
