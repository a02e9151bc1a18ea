/*
 * Any string of things that can happen to calls: the world of tests/world, in which curfew's real ones live and whose
 * own books are compared with theirs after every step. Where tests/sim draws lots, here the input decides what happens
 * next and to whom, likely or not.
 *
 * Input: two bytes for each lot. What happens behind its end is drawn.
 */
#include <stdio.h>

#include "../world/world.h"
#include "fuzz.h"

#define REQUESTS 16

void world_say_how(const struct world *world)
{
    (void)world;
}

static uint64_t next_lot(struct world *world)
{
    struct input *input = world->lots;
    uint64_t z;

    if (input->left >= 2) {
        uint64_t low = input_byte(input);

        return low | (uint64_t)input_byte(input) << 8;
    }
    z = world->random += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static struct world world;
    struct input input = {bytes, len};

    world_make(&world, next_lot, &input, 1, REQUESTS);
    while (world_step(&world))
        ;
    world_end(&world);
    return 0;
}
