#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "config/variable.h"

static const char *look_up(void *arg, const char *name)
{
    static const char *const variables[][2] = {
        {"NAME", "value"}, {"_x9", "under"}, {"EMPTY", ""}, {"DOLLAR", "${NAME} $$"}, {"SECRET", "s3cret"}};

    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
        if (strcmp(variables[i][0], name) == 0)
            return variables[i][1];
    }
    return NULL;
}

static const struct config_files files = {.variable = look_up};

/* The text with its variables, or "!" and what is wrong; in a static block. */
static const char *expand(const char *text)
{
    static char block[400];
    char wrong[300];
    struct text why = text_over(wrong, sizeof(wrong));
    struct arena *arena = arena_new();
    enum status status;
    struct span out;

    assert_non_null(arena);
    status = variable_expand(arena, &files, span_of(text), &out, &why);
    if (status == ST_OK) {
        assert_int_equal(strlen(out.ptr), out.len);
        snprintf(block, sizeof(block), "%.*s", SPAN_FMT(out));
    } else {
        assert_int_equal(status, ST_BAD);
        snprintf(block, sizeof(block), "!%.*s", SPAN_FMT(text_span(&why)));
    }
    arena_free(arena);
    return block;
}

static void variables_are_put_in(void **state)
{
    static const char *const cases[][2] = {
        {"", ""},
        {"plain", "plain"},
        {"${NAME}", "value"},
        {"a ${NAME}/${_x9} b", "a value/under b"},
        {"${EMPTY}", ""},
        {"${NAME:-other}", "value"},
        {"${EMPTY:-other}", "other"},
        {"${UNSET:-other}", "other"},
        {"${UNSET:-}", ""},
        {"${UNSET:-a:-b c}", "a:-b c"},
        {"${UNSET:-${NAME}}", "value"},
        {"${UNSET:-<${EMPTY:-${NAME}}>}!", "<value>!"},
        {"${UNSET:-$$}", "$"},
        {"${NAME:-${UNSET}}", "value"},
        /* What stands in a variable stays as it is. */
        {"${DOLLAR}", "${NAME} $$"},
        {"}{", "}{"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_string_equal(expand(cases[i][0]), cases[i][1]);
}

static void a_dollar_that_no_name_follows_is_one(void **state)
{
    static const char *const cases[][2] = {
        {"$", "$"},
        {"$$", "$"},
        {"$$$$", "$$"},
        {"$$$", "$$"},
        {"$$NAME", "$NAME"},
        {"$5", "$5"},
        {"a$ b", "a$ b"},
        {"$${NAME}", "${NAME}"},
        {"$$${NAME}", "$value"},
        {"${}", "${}"},
        {"${5}", "${5}"},
        {"${ NAME}", "${ NAME}"},
        {"$NAME", "$NAME"},
        {"$(NAME)", "$(NAME)"},
        {"${", "${"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_string_equal(expand(cases[i][0]), cases[i][1]);
}

#define HOW "; a variable is written ${NAME} or ${NAME:-default}, and a dollar $$"

static void what_can_not_be_put_in_is_explained(void **state)
{
    static const char *const cases[][2] = {
        {"${UNSET}", "!the environment has no variable UNSET; ${UNSET:-default} has a value without it"},
        {"${SECRET} ${UNSET}",
         "!the environment has no variable UNSET; ${UNSET:-default} has a value without it"},
        {"${UNSET:-${UNSET2}}",
         "!the environment has no variable UNSET2; ${UNSET2:-default} has a value without it"},
        {"${NAME", "!${ without its }" HOW},
        {"${NAME:-x", "!${ without its }" HOW},
        {"${UNSET:-${NAME}", "!${ without its }" HOW},
        {"${NAME-x}", "!not a variable" HOW},
        {"${NAME:?x}", "!not a variable" HOW},
        {"${NAME }", "!not a variable" HOW},
        {"${NAME.x}", "!not a variable" HOW},
        {"${A:-${A:-${A:-${A:-${A:-${A:-${A:-${A:-${A:-${A:-x}}}}}}}}}}",
         "!too many defaults inside each other" HOW},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_string_equal(expand(cases[i][0]), cases[i][1]);
}

static void a_value_can_not_grow_beyond_all_bounds(void **state)
{
    static char big[VARIABLE_BYTES_MAX + 1];
    char wrong[300];
    struct text why = text_over(wrong, sizeof(wrong));
    struct arena *arena = arena_new();
    struct span out;

    memset(big, 'x', sizeof(big));
    assert_int_equal(variable_expand(arena, &files, (struct span){big, sizeof(big) - 1}, &out, &why), ST_OK);
    assert_int_equal(variable_expand(arena, &files, (struct span){big, sizeof(big)}, &out, &why), ST_BAD);
    arena_free(arena);
}

static void without_an_environment_all_are_unset(void **state)
{
    struct arena *arena = arena_new();
    char wrong[300];
    struct text why = text_over(wrong, sizeof(wrong));
    struct span out;

    assert_int_equal(variable_expand(arena, NULL, SPAN_LIT("${NAME:-x}"), &out, &why), ST_OK);
    assert_true(span_eq(out, SPAN_LIT("x")));
    assert_int_equal(variable_expand(arena, NULL, SPAN_LIT("${NAME}"), &out, &why), ST_BAD);
    arena_free(arena);
}

static void what_looks_like_a_variable_is_odd(void **state)
{
    static const char *const odd[] = {
        "$TOKEN",
        "Bearer $TOKEN",
        "$(TOKEN)",
        "${}",
        "${ TOKEN }",
        "{env.TOKEN}",
        "{$TOKEN}",
        "{{ .Values.token }}",
        "%TOKEN%",
        "Bearer %TOKEN%",
        "$$x $y",
        "Bearer {file: /x}",
        "${5}",
        "{env:TOKEN}",
        "a ${NAME} $OTHER",
        "%{TOKEN}",
        "a #{TOKEN}",
        "%(TOKEN)s",
        "env:TOKEN",
        "file:/x",
        "file:///x",
        "@/x",
    };
    static const char *const fine[] = {
        "",     "${NAME}",    "${NAME:-x}", "$$NAME", "$5.00",   "$",       "a$",
        "100%", "/a%2Fb%20c", "%",          "%%",     "/x/{id}", "a%AB%CD", "${UNSET:-${NAME}}",
        "50%{", "a#{",        "%{x y}",     "%()",    "env:",    "env:a b", "my env:TOKEN",
        "@",    "a@/x",       "file",
    };

    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
        if (variable_odd(span_of(odd[i])) == NULL)
            fail_msg("%s is not odd", odd[i]);
    for (size_t i = 0; i < sizeof(fine) / sizeof(fine[0]); i++)
        if (variable_odd(span_of(fine[i])) != NULL)
            fail_msg("%s is odd", fine[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(variables_are_put_in),
        cmocka_unit_test(a_dollar_that_no_name_follows_is_one),
        cmocka_unit_test(what_can_not_be_put_in_is_explained),
        cmocka_unit_test(a_value_can_not_grow_beyond_all_bounds),
        cmocka_unit_test(without_an_environment_all_are_unset),
        cmocka_unit_test(what_looks_like_a_variable_is_odd),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
