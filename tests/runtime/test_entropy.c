/* Random words: fetched many at a time, each given out once, and what happens when the kernel gives few or none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "runtime/entropy.h"

/* The kernel's part, played here: words that count up, as many as the test allows. */
static struct {
    uint64_t next;
    unsigned asked;
    size_t gives; /* bytes at most; 0: fails */
} kernel;

ssize_t getrandom(void *out, size_t len, unsigned flags)
{
    uint64_t words[ENTROPY_WORDS];

    kernel.asked++;
    assert_true(len <= sizeof(words) && flags == 0);
    if (kernel.gives == 0) {
        errno = ENOSYS;
        return -1;
    }
    if (len > kernel.gives)
        len = kernel.gives;
    for (size_t i = 0; i < ENTROPY_WORDS; i++)
        words[i] = ++kernel.next;
    memcpy(out, words, len);
    return (ssize_t)len;
}

static int set_up(void **state)
{
    kernel.next = 0;
    kernel.asked = 0;
    kernel.gives = SIZE_MAX;
    return 0;
}

static void every_word_is_given_out_once(void **state)
{
    static bool seen[4 * ENTROPY_WORDS + 1];
    struct entropy entropy = {0};
    uint64_t words[3];

    memset(seen, 0, sizeof(seen));
    for (unsigned i = 0; i < ENTROPY_WORDS; i++) {
        assert_true(entropy_take(&entropy, words, 3));
        for (unsigned k = 0; k < 3; k++) {
            assert_in_range(words[k], 1, 4 * ENTROPY_WORDS);
            assert_false(seen[words[k]]);
            seen[words[k]] = true;
        }
    }
    assert_int_equal(kernel.asked, 3);
}

static void a_short_block_is_used_as_far_as_it_goes(void **state)
{
    struct entropy entropy = {0};
    uint64_t words[3];

    kernel.gives = 7 * sizeof(uint64_t) + 5; /* cut in the middle of a word */
    for (unsigned i = 0; i < 4; i++) {
        assert_true(entropy_take(&entropy, words, 3));
        for (unsigned k = 0; k < 3; k++)
            assert_in_range(words[k] - i / 2 * ENTROPY_WORDS, 1, 7);
    }
    assert_int_equal(kernel.asked, 2);
    kernel.gives = 3 * sizeof(uint64_t) - 1;
    assert_true(entropy_take(&(struct entropy){0}, words, 2));
    assert_false(entropy_take(&(struct entropy){0}, words, 3));
}

static void none_are_made_up_when_the_kernel_gives_none(void **state)
{
    struct entropy entropy = {0};
    uint64_t words[3] = {1, 2, 3};

    kernel.gives = 0;
    assert_false(entropy_take(&entropy, words, 3));
    assert_true(words[0] == 1 && words[1] == 2 && words[2] == 3);
    kernel.gives = SIZE_MAX;
    assert_true(entropy_take(&entropy, words, 3));
    kernel.gives = 0;
    for (unsigned i = 3; i < ENTROPY_WORDS; i += 3)
        assert_true(entropy_take(&entropy, words, 3));
    assert_false(entropy_take(&entropy, words, 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(every_word_is_given_out_once, set_up),
        cmocka_unit_test_setup(a_short_block_is_used_as_far_as_it_goes, set_up),
        cmocka_unit_test_setup(none_are_made_up_when_the_kernel_gives_none, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
