#ifndef CURFEW_CORE_STATUS_SET_H
#define CURFEW_CORE_STATUS_SET_H

#include <stdbool.h>
#include <stdint.h>

/* Which status codes of errors, 400 to 599, the configuration names: a bit for each. Zero is none. */
#define STATUS_SET_MIN 400u
#define STATUS_SET_END 600u

struct status_set {
    uint64_t bits[(STATUS_SET_END - STATUS_SET_MIN + 63) / 64];
};

static inline bool status_set_takes(uint64_t code)
{
    return code >= STATUS_SET_MIN && code < STATUS_SET_END;
}

/* `code` is one that status_set_takes. */
static inline void status_set_add(struct status_set *set, uint32_t code)
{
    set->bits[(code - STATUS_SET_MIN) / 64] |= UINT64_C(1) << (code - STATUS_SET_MIN) % 64;
}

/* Any code: one that is no error's is in no set. */
static inline bool status_set_has(const struct status_set *set, uint32_t code)
{
    return status_set_takes(code) &&
           (set->bits[(code - STATUS_SET_MIN) / 64] >> (code - STATUS_SET_MIN) % 64 & 1) != 0;
}

#endif
