#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/store_error.h"

static struct span host;
static uint16_t port;

static enum store_error read_error(const char *text)
{
    return store_error_read(span_of(text), &host, &port);
}

static void what_is_to_be_done_is_in_the_first_word(void **state)
{
    assert_int_equal(read_error("NOSCRIPT No matching script. Please use EVAL."), STORE_ERROR_NO_SCRIPT);
    assert_int_equal(read_error("READONLY You can't write against a read only replica."),
                     STORE_ERROR_NO_MASTER);
    assert_int_equal(read_error("MASTERDOWN Link with MASTER is down"), STORE_ERROR_NO_MASTER);
    assert_int_equal(read_error("WRONGPASS invalid username-password pair"), STORE_ERROR_LOCKED);
    assert_int_equal(read_error("NOAUTH Authentication required."), STORE_ERROR_LOCKED);
    assert_int_equal(read_error("NOPERM this user has no permissions"), STORE_ERROR_LOCKED);
    assert_int_equal(read_error("DENIED Redis is running in protected mode"), STORE_ERROR_LOCKED);
    assert_int_equal(read_error("OOM command not allowed"), STORE_ERROR_OTHER);
    assert_int_equal(read_error("LOADING Redis is loading the dataset in memory"), STORE_ERROR_OTHER);
    assert_int_equal(read_error("NOSCRIPTS"), STORE_ERROR_OTHER);
    assert_int_equal(read_error("noscript"), STORE_ERROR_OTHER);
    assert_int_equal(read_error(""), STORE_ERROR_OTHER);
    assert_int_equal(read_error(" "), STORE_ERROR_OTHER);
    assert_int_equal(store_error_read((struct span){NULL, 0}, &host, &port), STORE_ERROR_OTHER);
}

static void a_redirection_names_a_node(void **state)
{
    assert_int_equal(read_error("MOVED 3999 10.0.0.1:6381"), STORE_ERROR_MOVED);
    assert_true(span_eq(host, SPAN_LIT("10.0.0.1")));
    assert_int_equal(port, 6381);
    assert_int_equal(read_error("ASK 3999 node-2.internal:65535"), STORE_ERROR_ASK);
    assert_true(span_eq(host, SPAN_LIT("node-2.internal")));
    assert_int_equal(port, 65535);
    assert_int_equal(read_error("MOVED 3999 2001:db8::1:6381"), STORE_ERROR_MOVED);
    assert_true(span_eq(host, SPAN_LIT("2001:db8::1")));
    assert_int_equal(read_error("MOVED 3999 :6381"), STORE_ERROR_MOVED);
    assert_int_equal(host.len, 0);
}

static void a_redirection_to_nowhere_is_none(void **state)
{
    static const char *const wrong[] = {
        "MOVED",
        "MOVED 3999",
        "MOVED 3999 ",
        "MOVED 3999 host",
        "MOVED 3999 host:",
        "MOVED 3999 h:0",
        "MOVED 3999 h:65536",
        "MOVED 3999 h:6381x",
        "MOVED 3999 ?:6381",
        "ASK 1 h:-1",
        "MOVED 3999  h:63 81",
    };

    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        if (read_error(wrong[i]) != STORE_ERROR_OTHER)
            fail_msg("%s", wrong[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_to_be_done_is_in_the_first_word),
        cmocka_unit_test(a_redirection_names_a_node),
        cmocka_unit_test(a_redirection_to_nowhere_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
