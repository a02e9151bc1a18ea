#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "config/yaml_tree.h"

struct fixture {
    struct arena *arena;
    struct config_errors errors;
    struct yaml_node *root;
};

static int set_up(void **state)
{
    struct fixture *f = mem_zalloc(sizeof(*f));

    f->arena = arena_new();
    *state = f;
    return f->arena ? 0 : -1;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    arena_free(f->arena);
    mem_free(f);
    return 0;
}

static enum status read_bytes(struct fixture *f, struct span bytes)
{
    const struct config_source source = {.name = "", .bytes = bytes};

    return yaml_tree_read(f->arena, &source, NULL, &f->errors, &f->root);
}

static void read_good(struct fixture *f, struct span bytes)
{
    assert_int_equal(read_bytes(f, bytes), ST_OK);
}

/* The only thing wrong, as "LINE:COLUMN: text". */
static void assert_bad(struct fixture *f, struct span bytes, const char *expected)
{
    char found[300];

    memset(&f->errors, 0, sizeof(f->errors));
    assert_int_equal(read_bytes(f, bytes), ST_BAD);
    assert_int_equal(f->errors.count, 1);
    (void)snprintf(found, sizeof(found), "%u:%u: %s", f->errors.list[0].line, f->errors.list[0].column,
                   f->errors.list[0].text);
    assert_string_equal(found, expected);
}

static void assert_path(const struct yaml_node *node, const char *expected)
{
    char block[200];
    struct text path = text_over(block, sizeof(block) - 1);

    yaml_node_put_path(&path, node);
    block[path.len] = '\0';
    assert_string_equal(block, expected);
}

static void every_value_knows_its_place(void **state)
{
    struct fixture *f = *state;
    const struct yaml_node *a, *list, *item;

    read_good(f, SPAN_LIT("a:\n  b: [x, {c: y}]\n  gr\xc3\xbc\xc3\x9f: {d: z}\n"));
    assert_int_equal(f->root->kind, YAML_MAP);
    assert_path(f->root, "");
    a = yaml_node_get(f->root, SPAN_LIT("a"));
    assert_int_equal(a->key_line, 1);
    assert_int_equal(a->count, 2);
    list = yaml_node_get(a, SPAN_LIT("b"));
    assert_int_equal(list->kind, YAML_LIST);
    assert_int_equal(list->key_line, 2);
    assert_int_equal(list->key_column, 3);
    assert_int_equal(list->column, 6);
    assert_int_equal(list->first->column, 7);
    item = yaml_node_get(list->first->next, SPAN_LIT("c"));
    assert_true(span_eq(item->text, SPAN_LIT("y")));
    assert_int_equal(item->column, 14);
    assert_path(item, "a.b[1].c");
    item = yaml_node_get(list->next, SPAN_LIT("d"));
    assert_int_equal(item->line, 3);
    assert_int_equal(item->column, 13);
    assert_path(item, "a.\"gr\xc3\xbc\xc3\x9f\".d");
    assert_null(yaml_node_get(f->root, SPAN_LIT("b")));
    assert_null(yaml_node_get(list, SPAN_LIT("b")));
}

static void quotes_change_nothing_but_emptiness(void **state)
{
    static const struct {
        const char *key;
        struct span text;
        bool is_null;
    } cases[] = {
        {"a", {"1.2", 3}, false},  {"b", {"1.2", 3}, false},  {"c", {"", 0}, true},
        {"d", {"", 0}, false},     {"e", {"~", 1}, true},     {"f", {"Null", 4}, true},
        {"g", {"null", 4}, false}, {"h", {"x\ty", 3}, false}, {"i", {"l\nm\n", 4}, false},
    };
    struct fixture *f = *state;

    read_good(
        f,
        SPAN_LIT("\xef\xbb\xbf"
                 "a: 1.2\nb: \"1.2\"\nc:\nd: ''\ne: ~\nf: Null\ng: 'null'\nh: \"x\\ty\"\ni: |\n  l\n  m\n"));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct yaml_node *node = yaml_node_get(f->root, span_of(cases[i].key));

        assert_true(span_eq(node->text, cases[i].text));
        assert_int_equal(node->is_null, cases[i].is_null);
    }
    assert_int_equal(f->root->first->key_column, 1);
}

static void a_key_that_comes_twice_is_reported_and_the_first_kept(void **state)
{
    struct fixture *f = *state;

    read_good(f, SPAN_LIT("a: 1\nb: {c: 2, d: 3, c: {e: 4}}\na: 5\n"));
    assert_int_equal(f->errors.count, 2);
    assert_string_equal(f->errors.list[0].text, "b.c: duplicate key; the first is on line 2");
    assert_int_equal(f->errors.list[0].line, 2);
    assert_int_equal(f->errors.list[0].column, 17);
    assert_string_equal(f->errors.list[1].text, "a: duplicate key; the first is on line 1");
    assert_true(span_eq(f->root->first->text, SPAN_LIT("1")));
    assert_int_equal(f->root->count, 2);
}

#define DEFAULTS_SHARE "defaults has what all upstreams share"

static void what_can_not_be_a_tree_is_explained(void **state)
{
    static const struct {
        struct span bytes;
        const char *expected;
    } cases[] = {
#define CASE(literal, expected) {{"" literal, sizeof(literal) - 1}, expected}
        CASE("text", "1:1: a map of keys and values is needed here"),
        CASE("- a\n", "1:1: a map of keys and values is needed here"),
        CASE("a: 1\n---\nb: 2\n", "2:1: a second document; a file is one document"),
        CASE("a: &x 1\n", "1:4: anchors and aliases (&name, *name) are not supported; " DEFAULTS_SHARE),
        CASE("a: &x {b: c}\n", "1:4: anchors and aliases (&name, *name) are not supported; " DEFAULTS_SHARE),
        CASE("a: *x\n", "1:4: anchors and aliases (&name, *name) are not supported; " DEFAULTS_SHARE),
        CASE("*x : 1\n", "1:1: anchors and aliases (&name, *name) are not supported; " DEFAULTS_SHARE),
        CASE("a: !!str 1\n", "1:4: tags (!name) are not supported"),
        CASE("a: !x [b]\n", "1:4: tags (!name) are not supported"),
        CASE("? [a]\n: b\n", "1:3: a key must be text"),
        CASE("a: \"b\\0c\"\n", "1:4: a text with a NUL byte in it"),
        CASE("a:\n\tb: c\n", "2:1: a tab where only spaces may stand"),
        CASE("\xc3\xa4:\n\tb: c\n", "2:1: a tab where only spaces may stand"),
        CASE("\xc3\xa4: 'b'\t}\n", "1:8: not valid YAML: the value has ended before this"),
        CASE(
            "a: 1\nb\n",
            "3:1: not valid YAML: a key without a colon: a key and its value are written key: value (since line 2)"),
        CASE("a: [1, 2\n",
             "2:1: not valid YAML: a { or [ that is not closed, or a comma is missing (since line 1)"),
        CASE(
            "a: 1\n  b: 2\n",
            "2:4: not valid YAML: a key inside of a value: its line is indented deeper than the one above it, or quotes "
            "are missing around the value"),
        CASE("a: 'b\n", "1:4: not valid YAML: a quote that is not closed"),
        CASE("gr\xc3\xbc: 1\nb: \xff\n", "2:4: not a text in UTF-8: invalid leading UTF-8 octet"),
        CASE("a: b\0c\n", "1:5: not a text in UTF-8: control characters are not allowed"),
        CASE("a: [[[[[[[[[[[[[[[[[[b]]]]]]]]]]]]]]]]]]",
             "1:20: a[0][0][0][0][0][0][0][0][0][0][0][0][0][0][0][0]: "
             "nested more than 16 deep"),
#undef CASE
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_bad(f, cases[i].bytes, cases[i].expected);
}

static void size_and_number_are_bounded(void **state)
{
    struct fixture *f = *state;
    char *bytes = mem_alloc(YAML_BYTES_MAX + 1);
    size_t len = 0;

    memset(bytes, ' ', YAML_BYTES_MAX + 1);
    assert_bad(f, (struct span){bytes, YAML_BYTES_MAX + 1}, "1:1: the file is larger than 1MiB");
    memcpy(bytes, "a: [", 4);
    for (len = 4; len < 20000; len += 2)
        memcpy(bytes + len, "b,", 2);
    assert_bad(f, (struct span){bytes, len}, "1:4: a: more than 4096 entries");
    mem_free(bytes);
}

/* Whatever the file: no crash, and either a tree or a reason. */
static void a_file_cut_anywhere_is_good_or_explained(void **state)
{
    static const char bytes[] =
        "a: {b: [c, 'd'], \"e\": f}\ng:\n  - h: |\n      i\n    j: \xc3\xbc\n  - >-\n    k\n";
    struct fixture *f = *state;

    for (size_t len = 0; len < sizeof(bytes); len++) {
        enum status status;

        f->errors.count = 0;
        status = read_bytes(f, (struct span){bytes, len});
        assert_true(status == (f->errors.count == 0 ? ST_OK : ST_BAD));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_value_knows_its_place, set_up, tear_down),
        cmocka_unit_test_setup_teardown(quotes_change_nothing_but_emptiness, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_key_that_comes_twice_is_reported_and_the_first_kept, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_can_not_be_a_tree_is_explained, set_up, tear_down),
        cmocka_unit_test_setup_teardown(size_and_number_are_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_cut_anywhere_is_good_or_explained, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
