#ifndef CURFEW_BASE_INVARIANT_H
#define CURFEW_BASE_INVARIANT_H

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

/*
 * Contracts that run: sentences of a header, written where a machine can hold us to them. They are about ourselves.
 * What a peer sends, or a file says, never breaks one: that is an error, with an answer of its own.
 *
 *   PRE(condition)     what the caller owes: a lock held, a state, an index below a count, a node on no other list
 *   POST(condition)    what the function promises, in the end or after a step: a decision's bounds, books that add up
 *   IMPOSSIBLE(text)   a branch that nothing can reach, such as a value that the enum does not have
 *   MUST_HOLD(cond)    what would corrupt memory if it were not so, and costs next to nothing
 *
 * In a build with contracts (a sanitizer's; the Makefile leaves NDEBUG undefined then) each of them ends the process at
 * the place of the breach and says what it was. In a release build
 *
 *   - PRE and POST are nothing: their condition is compiled, but not evaluated, and may cost what it likes.
 *   - IMPOSSIBLE is counted in curfew_broken_invariants_total and goes on to the next statement, which makes that one
 *     call fail: it returns false, a status, or CAUSE_BROKEN. Where the call is at hand, call_break (call/call.h)
 *     does both at once.
 *   - MUST_HOLD ends the process as well.
 */
#ifdef NDEBUG
#define CONTRACT(kind, condition) ((void)(0 && (condition)))
#define IMPOSSIBLE(text)          invariant_note(text)
#else
#define CONTRACT(kind, condition)                                                                            \
    ((condition) ? (void)0 : __assert_fail(kind "(" #condition ")", __FILE__, __LINE__, __func__))
#define IMPOSSIBLE(text) __assert_fail("IMPOSSIBLE(" #text ")", __FILE__, __LINE__, __func__)
#endif

#define PRE(condition)       CONTRACT("PRE", condition)
#define POST(condition)      CONTRACT("POST", condition)
#define MUST_HOLD(condition) ((condition) ? (void)0 : abort())

/* Counts a breach, whichever thread finds it; `what` is a literal. */
void invariant_note(const char *what) __attribute__((cold));

/* How many have been noted since this was last asked; *what is the last of them. Any thread; each is told of once. */
uint32_t invariant_take(const char **what) __attribute__((warn_unused_result));

#endif
