#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "config/arena.h"

static void pieces_are_zeroed_aligned_and_apart(void **state)
{
    struct arena *arena = arena_new();
    char *before = NULL;

    for (size_t size = 1; size < 9000; size += 37) {
        static const char zeros[9000];
        char *piece = arena_calloc(arena, size, 1);

        assert_non_null(piece);
        assert_int_equal((uintptr_t)piece % _Alignof(max_align_t), 0);
        assert_memory_equal(piece, zeros, size);
        memset(piece, 0xff, size);
        assert_ptr_not_equal(piece, before);
        before = piece;
    }
    arena_free(arena);
}

static void a_text_is_copied_and_terminated(void **state)
{
    struct arena *arena = arena_new();
    char *copy = arena_text(arena, (struct span){"abcdef", 3});

    assert_string_equal(copy, "abc");
    assert_string_equal(arena_text(arena, (struct span){NULL, 0}), "");
    assert_string_equal(copy, "abc");
    arena_free(arena);
    arena_free(NULL);
}

static void a_product_that_overflows_is_no_memory(void **state)
{
    struct arena *arena = arena_new();
    volatile size_t half = SIZE_MAX / 2 + 1;

    assert_null(arena_calloc(arena, half, 2));
    assert_null(arena_calloc(arena, half, 1));
    arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_are_zeroed_aligned_and_apart),
        cmocka_unit_test(a_text_is_copied_and_terminated),
        cmocka_unit_test(a_product_that_overflows_is_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
