#ifndef CURFEW_CORE_ADDRESS_MEMORY_H
#define CURFEW_CORE_ADDRESS_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Which addresses have failed lately, or lost a race by time. Of bounded size: it takes no memory beyond its own, and
 * when its place is needed, what was noted longest ago is forgotten first (among those that share a row). One thread at
 * a time; time is an argument, and never 0.
 */
#define ADDRESS_MEMORY_ROWS 64u
#define ADDRESS_MEMORY_ROW  8u

/* An address as one upstream uses it: another one's certificates and ports say nothing of this one's. */
struct address_key {
    uint8_t ip[16]; /* IPv4: mapped into IPv6, ::ffff:a.b.c.d */
    uint32_t owner; /* the upstream's number */
    uint32_t port;
};

struct address_memory {
    uint32_t count;
    struct address_note {
        struct address_key key;
        int64_t at_ns; /* 0: free */
    } rows[ADDRESS_MEMORY_ROWS][ADDRESS_MEMORY_ROW];
};

/* All zero: empty. */
void address_memory_init(struct address_memory *memory);

/* It has failed now. */
void address_memory_note(struct address_memory *memory, const struct address_key *key, int64_t now_ns);
/* It has succeeded. */
void address_memory_forget(struct address_memory *memory, const struct address_key *key);

/* Has it failed less than `remember_ns` ago? If that is longer ago, it is forgotten. */
bool address_memory_has(struct address_memory *memory, const struct address_key *key, int64_t now_ns,
                        int64_t remember_ns);

#endif
