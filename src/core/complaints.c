#include "core/complaints.h"

#include "base/invariant.h"

/* Of the key, or one that is free, or whose minute is over. COMPLAINTS_PLACES: there is none. */
static uint32_t find_place(const struct complaints *complaints, uint64_t key, int64_t now_ns)
{
    uint32_t place = complaints->count; /* free, unless all are taken */

    for (uint32_t i = 0; i < complaints->count; i++) {
        if (complaints->told[i].key == key)
            return i;
        if (place == COMPLAINTS_PLACES && now_ns - complaints->told[i].told_ns >= COMPLAINTS_QUIET_NS)
            place = i;
    }
    return place;
}

bool complaints_may_tell(struct complaints *complaints, uint64_t key, int64_t now_ns, uint64_t *left_out)
{
    uint32_t place = find_place(complaints, key, now_ns);
    bool is_new = place == complaints->count && place < COMPLAINTS_PLACES;

    PRE(complaints->count <= COMPLAINTS_PLACES);
    if (place == COMPLAINTS_PLACES ||
        (!is_new && now_ns - complaints->told[place].told_ns < COMPLAINTS_QUIET_NS)) {
        complaints->left_out++;
        return false;
    }
    complaints->count += is_new;
    complaints->told[place].key = key;
    complaints->told[place].told_ns = now_ns;
    *left_out = complaints->left_out;
    complaints->left_out = 0;
    return true;
}
