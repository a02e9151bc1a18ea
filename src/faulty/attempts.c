#include "faulty/attempts.h"

uint64_t faulty_attempts_count(struct faulty_attempts *attempts, uint64_t key)
{
    uint32_t place = (uint32_t)(key % FAULTY_KEYS_MAX);

    for (uint32_t i = 0; i < FAULTY_KEYS_MAX; i++, place = (place + 1) % FAULTY_KEYS_MAX) {
        if (attempts->of[place].count != 0 && attempts->of[place].key != key)
            continue;
        if (attempts->of[place].count == 0)
            attempts->keys++;
        attempts->of[place].key = key;
        attempts->of[place].count++;
        if (attempts->of[place].count > attempts->most)
            attempts->most = attempts->of[place].count;
        return attempts->of[place].count;
    }
    return 1;
}
