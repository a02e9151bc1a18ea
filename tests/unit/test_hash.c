/* A keyed hash, by its published vectors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/hash.h"

/* SipHash-2-4 of 00, 01, 02, … under the key 00 … 0f (Aumasson and Bernstein, "SipHash", appendix A, and its code). */
static void it_is_siphash_2_4(void **state)
{
    static const uint64_t key[2] = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};
    static const uint8_t bytes[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14};

    (void)state;
    assert_int_equal(hash_keyed(key, bytes, 0), UINT64_C(0x726fdb47dd0e0e31));
    assert_int_equal(hash_keyed(key, bytes, 1), UINT64_C(0x74f839c593dc67fd));
    assert_int_equal(hash_keyed(key, bytes, 8), UINT64_C(0x93f5f5799a932462));
    assert_int_equal(hash_keyed(key, bytes, 15), UINT64_C(0xa129ca6149be45e5));
}

static void another_key_gives_another_hash(void **state)
{
    static const uint64_t a[2] = {1, 2}, b[2] = {1, 3};

    (void)state;
    assert_true(hash_keyed(a, "x", 1) != hash_keyed(b, "x", 1));
    assert_true(hash_keyed(a, "", 0) != hash_keyed(a, "\0", 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_siphash_2_4),
        cmocka_unit_test(another_key_gives_another_hash),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
