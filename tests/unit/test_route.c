/* Longest prefix on segment borders. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include "core/route.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define OTHERWISE    99

static const struct span post_only[] = {{"POST", 4}};
static const struct span reads[] = {{"GET", 3}, {"HEAD", 4}};

static void the_longest_prefix_on_a_segment_border_wins(void **state)
{
    struct route_entry entries[] = {
        {SPAN_LIT("/v1/reports"), NULL, 0, 3}, {SPAN_LIT("/v1"), NULL, 0, 1},
        {SPAN_LIT("/v1/rep"), NULL, 0, 2},     {SPAN_LIT("/v2/x/y/z"), NULL, 0, 4},
        {SPAN_LIT("/a-b"), NULL, 0, 5},        {SPAN_LIT("/a"), NULL, 0, 6},
    };
    static const struct {
        const char *path;
        uint32_t id;
    } paths[] = {
        {"/v1", 1},
        {"/v1/", 1},
        {"/v1?q=/v1/reports", 1},
        {"/v1/x", 1},
        {"/v12", OTHERWISE},
        {"/v", OTHERWISE},
        {"/V1", OTHERWISE},
        {"/v1/reports", 3},
        {"/v1/reports/", 3},
        {"/v1/reports?x", 3},
        {"/v1/reports/7/pages", 3},
        {"/v1/report", 1},
        {"/v1/reportss", 1},
        {"/v1/rep", 2},
        {"/v1/rep/orts", 2},
        {"/v1//reports", 1},
        {"/v1%2Freports", OTHERWISE},
        {"/v1/../v2/x/y/z", 1},
        {"/v2/x/y", OTHERWISE},
        {"/v2/x/y/z/0", 4},
        {"/v2/x/y/zz", OTHERWISE},
        {"/a/b", 6},
        {"/a-b/c", 5},
        {"/a-c", OTHERWISE},
        {"/a.b", OTHERWISE},
        {"/", OTHERWISE},
        {"", OTHERWISE},
        {"?q", OTHERWISE},
        {"*", OTHERWISE},
        {"/zzz/zzz", OTHERWISE},
    };

    route_sort(entries, COUNT(entries));
    for (size_t i = 0; i < COUNT(paths); i++) {
        print_message("%s\n", paths[i].path);
        assert_int_equal(
            route_find(entries, COUNT(entries), span_of(paths[i].path), SPAN_LIT("GET"), OTHERWISE),
            paths[i].id);
    }
}

static void the_root_takes_every_path(void **state)
{
    struct route_entry entries[] = {{SPAN_LIT("/b"), NULL, 0, 2}, {SPAN_LIT("/"), NULL, 0, 1}};
    static const char *const paths[] = {"/", "/x", "/x/y/z", "/?q", "?q", "", "/bb", "//b"};

    route_sort(entries, 2);
    for (size_t i = 0; i < COUNT(paths); i++)
        assert_int_equal(route_find(entries, 2, span_of(paths[i]), SPAN_LIT("GET"), OTHERWISE), 1);
    assert_int_equal(route_find(entries, 2, SPAN_LIT("/b/"), SPAN_LIT("GET"), OTHERWISE), 2);
    assert_int_equal(route_find(entries, 2, SPAN_LIT("*"), SPAN_LIT("OPTIONS"), OTHERWISE), OTHERWISE);
}

static void a_route_that_does_not_take_the_method_is_passed_over(void **state)
{
    struct route_entry entries[] = {
        {SPAN_LIT("/a/b"), post_only, 1, 1},
        {SPAN_LIT("/a/b"), reads, 2, 2},
        {SPAN_LIT("/a"), NULL, 0, 3},
        {SPAN_LIT("/a/b/c"), post_only, 1, 4},
    };
    static const struct {
        const char *path, *method;
        uint32_t id;
    } calls[] = {
        {"/a/b", "POST", 1},  {"/a/b", "HEAD", 2},  {"/a/b", "PUT", 3},  {"/a/b/c", "POST", 4},
        {"/a/b/c", "GET", 2}, {"/a/b/c", "PUT", 3}, {"/a/b", "post", 3}, {"/b", "GET", OTHERWISE},
    };

    route_sort(entries, COUNT(entries));
    for (size_t i = 0; i < COUNT(calls); i++)
        assert_int_equal(
            route_find(entries, COUNT(entries), span_of(calls[i].path), span_of(calls[i].method), OTHERWISE),
            calls[i].id);
}

static void of_equal_paths_the_first_written_comes_first(void **state)
{
    struct route_entry entries[64];

    for (uint32_t i = 0; i < COUNT(entries); i++)
        entries[i] = (struct route_entry){i % 2 == 0 ? SPAN_LIT("/a") : SPAN_LIT("/b"), NULL, 0, i};
    route_sort(entries, COUNT(entries));
    assert_int_equal(route_find(entries, COUNT(entries), SPAN_LIT("/a"), SPAN_LIT("GET"), OTHERWISE), 0);
    assert_int_equal(route_find(entries, COUNT(entries), SPAN_LIT("/b"), SPAN_LIT("GET"), OTHERWISE), 1);
    for (uint32_t i = 1; i < COUNT(entries); i++)
        assert_true(i == 32 || entries[i - 1].id < entries[i].id);
}

static void without_routes_there_is_only_the_default(void **state)
{
    route_sort(NULL, 0);
    assert_int_equal(route_find(NULL, 0, SPAN_LIT("/a/b"), SPAN_LIT("GET"), OTHERWISE), OTHERWISE);
}

/* What route_find means, without its shortcuts. */
static uint32_t find_slowly(const struct route_entry *entries, uint32_t count, struct span path,
                            struct span method)
{
    const struct route_entry *best = NULL;

    for (uint32_t i = 0; i < count; i++) {
        struct span route = entries[i].path;
        bool takes = entries[i].method_count == 0 || span_eq(entries[i].methods[0], method);

        if (!takes || route.len > path.len || memcmp(route.ptr, path.ptr, route.len) != 0)
            continue;
        if (route.len != 1 && route.len != path.len && path.ptr[route.len] != '/')
            continue;
        if (best == NULL || route.len > best->path.len)
            best = &entries[i];
    }
    return best == NULL ? OTHERWISE : best->id;
}

static uint32_t next_random(uint32_t *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 16;
}

static size_t random_path(char *out, size_t max, uint32_t *seed)
{
    static const char bytes[] = "//aab-";
    size_t len = 1 + next_random(seed) % max;

    out[0] = '/';
    for (size_t i = 1; i < len; i++)
        out[i] = bytes[next_random(seed) % (sizeof(bytes) - 1)];
    while (len > 1 && out[len - 1] == '/')
        len--;
    return len;
}

static void shortcuts_find_what_a_plain_search_finds(void **state)
{
    static char blocks[24][8];
    uint32_t seed = 7;

    for (int round = 0; round < 2000; round++) {
        struct route_entry entries[24];
        uint32_t count = next_random(&seed) % 24;

        for (uint32_t i = 0; i < count; i++) {
            bool some = next_random(&seed) % 3 == 0;

            entries[i] = (struct route_entry){
                {blocks[i], random_path(blocks[i], 7, &seed)}, some ? post_only : NULL, some ? 1 : 0, i};
        }
        route_sort(entries, count);
        for (int i = 0; i < 50; i++) {
            char block[12];
            struct span path = {block, random_path(block, 11, &seed)};
            struct span method = i % 2 == 0 ? SPAN_LIT("GET") : SPAN_LIT("POST");

            assert_int_equal(route_find(entries, count, path, method, OTHERWISE),
                             find_slowly(entries, count, path, method));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_longest_prefix_on_a_segment_border_wins),
        cmocka_unit_test(the_root_takes_every_path),
        cmocka_unit_test(a_route_that_does_not_take_the_method_is_passed_over),
        cmocka_unit_test(of_equal_paths_the_first_written_comes_first),
        cmocka_unit_test(without_routes_there_is_only_the_default),
        cmocka_unit_test(shortcuts_find_what_a_plain_search_finds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
