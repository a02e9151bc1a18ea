/* The name in a ClientHello: in whatever pieces it comes, the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/text.h"
#include "core/client_hello.h"

static char block[40000], other[80000];
static struct text hello;
static struct client_hello_name name;

static void put_number(struct text *out, size_t number, unsigned bytes)
{
    while (bytes-- > 0)
        text_bytes(out, &(char){(char)(number >> 8 * bytes)}, 1);
}

static void put_filler(struct text *out, size_t len)
{
    while (len-- > 0)
        put_number(out, 0x5a, 1);
}

static void put_server_name(struct text *out, const char *host)
{
    size_t len = strlen(host);

    put_number(out, 0, 2);
    put_number(out, len + 5, 2);
    put_number(out, len + 3, 2);
    put_number(out, 0, 1);
    put_number(out, len, 2);
    text_put(out, span_of(host));
}

/* A message with these extensions, in one record. */
static void make(struct span extensions, bool has_extensions)
{
    char message[32000];
    struct text body = text_over(message, sizeof(message));

    put_number(&body, 0x0303, 2);
    put_filler(&body, 32);
    put_number(&body, 32, 1);
    put_filler(&body, 32);
    put_number(&body, 4, 2);
    put_filler(&body, 4);
    put_number(&body, 1, 1);
    put_filler(&body, 1);
    if (has_extensions) {
        put_number(&body, extensions.len, 2);
        text_put(&body, extensions);
    }
    hello = text_over(block, sizeof(block));
    put_number(&hello, 22, 1);
    put_number(&hello, 0x0301, 2);
    put_number(&hello, body.len + 4, 2);
    put_number(&hello, 1, 1);
    put_number(&hello, body.len, 3);
    text_put(&hello, text_span(&body));
    assert_false(hello.overflow);
}

/* Of some 1.8 KB, as browsers send it, with a key share for post-quantum key exchange; the name in the middle. */
static void make_named(const char *host, size_t filler)
{
    char extensions[20000];
    struct text text = text_over(extensions, sizeof(extensions));

    put_number(&text, 43, 2);
    put_number(&text, 3, 2);
    put_filler(&text, 3);
    put_server_name(&text, host);
    put_number(&text, 51, 2);
    put_number(&text, filler, 2);
    put_filler(&text, filler);
    make(text_span(&text), true);
}

/* The message anew, in records of so many bytes. */
static struct span in_records(size_t size)
{
    struct text text = text_over(other, sizeof(other));
    struct span rest = {hello.ptr + 5, hello.len - 5};

    while (rest.len != 0) {
        size_t len = rest.len < size ? rest.len : size;

        put_number(&text, 22, 1);
        put_number(&text, 0x0301, 2);
        put_number(&text, len, 2);
        text_bytes(&text, rest.ptr, len);
        rest.ptr += len;
        rest.len -= len;
    }
    assert_false(text.overflow);
    return text_span(&text);
}

static bool is_named(const char *host)
{
    return span_eq((struct span){name.text, name.len}, span_of(host));
}

static void whatever_has_come_of_it_it_is_waited_for(void **state)
{
    make_named("api.Example.com", 1700);
    for (size_t len = 0; len < hello.len; len++)
        assert_int_equal(client_hello_read((struct span){hello.ptr, len}, &name), CLIENT_HELLO_MORE);
    assert_int_equal(client_hello_read(text_span(&hello), &name), CLIENT_HELLO_NAMED);
    assert_true(is_named("api.example.com"));
}

static void records_may_split_it_anywhere(void **state)
{
    make_named("api.example.com.", 1700);
    for (size_t size = 1; size < 300; size++) {
        struct span records = in_records(size);

        assert_int_equal(client_hello_read((struct span){records.ptr, records.len - 1}, &name),
                         CLIENT_HELLO_MORE);
        assert_int_equal(client_hello_read(records, &name), CLIENT_HELLO_NAMED);
        assert_true(is_named("api.example.com"));
    }
}

static void what_follows_is_not_looked_at(void **state)
{
    make_named("a.b", 10); /* early data, as it comes behind what middleboxes want to see */
    text_put(&hello, SPAN_LIT("\x14\x03\x03\x00\x01\x01\x17\x03\x03\x00\x02zz"));
    assert_int_equal(client_hello_read(text_span(&hello), &name), CLIENT_HELLO_NAMED);
    assert_true(is_named("a.b"));
    make_named("a.b", 10); /* but not before it is whole */
    text_put(&hello, SPAN_LIT("\x17\x03\x03"));
    block[4]--;
    assert_int_equal(client_hello_read(text_span(&hello), &name), CLIENT_HELLO_NOT_TLS);
    make_named("a.b", 10);
    text_put(&hello, SPAN_LIT("\x16\x03\x03\x00\x02zz"));
    assert_int_equal(client_hello_read(text_span(&hello), &name), CLIENT_HELLO_NAMED);
}

static void without_a_name_there_is_none(void **state)
{
    make(SPAN_LIT(""), false);
    assert_int_equal(client_hello_read(text_span(&hello), &name), CLIENT_HELLO_UNNAMED);
    make(SPAN_LIT(""), true);
    assert_int_equal(client_hello_read(text_span(&hello), &name), CLIENT_HELLO_UNNAMED);
    make(SPAN_LIT("\0\x17\0\0"), true);
    assert_int_equal(client_hello_read(text_span(&hello), &name), CLIENT_HELLO_UNNAMED);
}

static void other_protocols_are_told_by_their_first_bytes(void **state)
{
    static const char *const others[] = {"GET / HTTP/1.1\r\n", "SSH-2.0-x", "\x80\x2e\x01",        "\x16\x02",
                                         "\x15\x03\x01",       "EHLO x",    "\x16\x03\x01\x7f\xff"};

    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        assert_int_equal(client_hello_read(span_of(others[i]), &name), CLIENT_HELLO_NOT_TLS);
    assert_int_equal(client_hello_read(SPAN_LIT("\x16\x03\x01\x00\x00"), &name), CLIENT_HELLO_NOT_TLS);
    assert_int_equal(client_hello_read(SPAN_LIT("\x16\x03\x01\x00\x10\x02"), &name), CLIENT_HELLO_NOT_TLS);
    assert_int_equal(client_hello_read(SPAN_LIT(""), &name), CLIENT_HELLO_MORE);
}

static void two_names_and_odd_ones_are_broken(void **state)
{
    char extensions[1000];
    struct text text = text_over(extensions, sizeof(extensions));

    put_server_name(&text, "a.com");
    put_server_name(&text, "b.com");
    make(text_span(&text), true);
    assert_int_equal(client_hello_read(text_span(&hello), &name), CLIENT_HELLO_BROKEN);
    make(SPAN_LIT("\0\0\0\x0e\0\x0c\0\0\3a.a\0\0\3b.b"), true);
    assert_int_equal(client_hello_read(text_span(&hello), &name), CLIENT_HELLO_BROKEN);
    make(SPAN_LIT("\0\0\0\x05\0\x03\0\0\0"), true);
    assert_int_equal(client_hello_read(text_span(&hello), &name), CLIENT_HELLO_BROKEN);
    make(SPAN_LIT("\0\0\0\x08\0\x06\0\0\3a\0b"), true);
    assert_int_equal(client_hello_read(text_span(&hello), &name), CLIENT_HELLO_BROKEN);
}

static void lengths_that_do_not_fit_are_broken(void **state)
{
    make(SPAN_LIT("\0\0\0\x08\0\x07\0\0\3a.b"), true); /* the list is longer than its extension */
    assert_int_equal(client_hello_read(text_span(&hello), &name), CLIENT_HELLO_BROKEN);
    make(SPAN_LIT("\0\0\0\x08\0\x06\0\0\4a.b\0\x17\0\0"), true); /* the name longer than its list */
    assert_int_equal(client_hello_read(text_span(&hello), &name), CLIENT_HELLO_BROKEN);
    make(SPAN_LIT("\0\0\0\x09\0\x06\0\0\3a.b"), true); /* the extension longer than all */
    assert_int_equal(client_hello_read(text_span(&hello), &name), CLIENT_HELLO_BROKEN);
    make(SPAN_LIT("\0\0\0"), true);
    assert_int_equal(client_hello_read(text_span(&hello), &name), CLIENT_HELLO_BROKEN);
    make(SPAN_LIT("\0\0\0\0"), true);
    assert_int_equal(client_hello_read(text_span(&hello), &name), CLIENT_HELLO_BROKEN);
    make_named("a.b", 100);
    block[5 + 4 + 34] = (char)255; /* its session id is longer than the rest */
    assert_int_equal(client_hello_read(text_span(&hello), &name), CLIENT_HELLO_BROKEN);
}

static void it_is_bounded(void **state)
{
    make_named("a.b", 16000);
    assert_int_equal(client_hello_read(text_span(&hello), &name), CLIENT_HELLO_NAMED);
    make_named("a.b", 16384);
    assert_int_equal(client_hello_read((struct span){hello.ptr, 20}, &name), CLIENT_HELLO_NOT_TLS);
    assert_int_equal(client_hello_read((struct span){in_records(16000).ptr, 20}, &name),
                     CLIENT_HELLO_TOO_LARGE);
    make_named("a.b", 8000); /* in records of one byte, six times as long */
    assert_int_equal(client_hello_read((struct span){in_records(1).ptr, CLIENT_HELLO_MAX}, &name),
                     CLIENT_HELLO_TOO_LARGE);
}

/* Any bytes: it ends, and reads nothing behind them. */
static void noise_is_survived(void **state)
{
    uint64_t seed = 1;

    make_named("api.example.com", 200);
    for (unsigned i = 0; i < 20000; i++) {
        size_t at, len;

        memcpy(other, hello.ptr, hello.len);
        for (unsigned flips = 0; flips < 3; flips++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            at = (seed >> 33) % hello.len;
            other[at] = (char)(seed >> 25);
        }
        len = 1 + (seed >> 40) % hello.len;
        if (client_hello_read((struct span){memcpy(other + 40000, other, len), len}, &name) ==
            CLIENT_HELLO_NAMED)
            assert_true(name.len > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_has_come_of_it_it_is_waited_for),
        cmocka_unit_test(records_may_split_it_anywhere),
        cmocka_unit_test(what_follows_is_not_looked_at),
        cmocka_unit_test(without_a_name_there_is_none),
        cmocka_unit_test(other_protocols_are_told_by_their_first_bytes),
        cmocka_unit_test(two_names_and_odd_ones_are_broken),
        cmocka_unit_test(lengths_that_do_not_fit_are_broken),
        cmocka_unit_test(it_is_bounded),
        cmocka_unit_test(noise_is_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
