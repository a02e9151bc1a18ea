/* Content decoded where it lies: what is joined, what is done with, and what is known beforehand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/text.h"
#include "http/h1_reader.h"

struct received {
    struct h1_reader reader;
    char block[16384];
    struct span bytes, trailers;
};

static void receive(struct received *r, enum http1_framing framing, uint64_t length, struct span bytes)
{
    memset(&r->reader, 0, sizeof(r->reader));
    h1_reader_open(&r->reader, true, framing, length);
    memcpy(r->block, bytes.ptr, bytes.len);
    r->bytes = (struct span){r->block, bytes.len};
    r->trailers = SPAN_LIT("");
}

static enum http1_status decode(struct received *r)
{
    enum http1_status status;

    do {
        status = h1_reader_decode(&r->reader, r->bytes, &r->trailers);
    } while (status == HTTP1_MORE);
    return status;
}

static struct span data_of(const struct received *r)
{
    return h1_reader_data(&r->reader, r->bytes);
}

static void take(struct received *r, size_t len)
{
    size_t front = h1_reader_take(&r->reader, len);

    r->bytes.ptr += front;
    r->bytes.len -= front;
}

static void small_chunks_become_one_piece_and_framing_goes_with_the_last_of_it(void **state)
{
    struct received r;

    receive(&r, HTTP1_CHUNKED, 0, SPAN_LIT("1\r\na\r\n2\r\nbc\r\n0\r\nT: u\r\n\r\nnext"));
    assert_int_equal(decode(&r), HTTP1_DONE);
    assert_true(span_eq(data_of(&r), SPAN_LIT("abc")));
    assert_true(r.reader.ended);
    assert_true(span_eq(r.trailers, SPAN_LIT("T: u\r\n")));
    take(&r, 2);
    assert_true(span_eq(data_of(&r), SPAN_LIT("c")));
    take(&r, 1);
    assert_true(span_eq(r.bytes, SPAN_LIT("next")));
    assert_int_equal(r.reader.content_bytes, 3);
}

static void a_large_chunk_is_no_part_of_the_piece_before(void **state)
{
    static char bytes[6000];
    struct text text = text_over(bytes, sizeof(bytes));
    struct received r;

    TEXT_LIT(&text, "1\r\na\r\n1388\r\n");
    while (text.len < 5000)
        TEXT_LIT(&text, "x");
    receive(&r, HTTP1_CHUNKED, 0, text_span(&text));
    assert_int_equal(decode(&r), HTTP1_DONE);
    assert_int_equal(data_of(&r).len, 1);
    take(&r, 1);
    assert_int_equal(decode(&r), HTTP1_DONE);
    assert_int_equal(data_of(&r).len, text.len - 12);
    assert_ptr_equal(data_of(&r).ptr, r.block + 12);
}

static void good_content_is_taken_before_a_fault_behind_it_is_told(void **state)
{
    struct received r;

    receive(&r, HTTP1_CHUNKED, 0, SPAN_LIT("1\r\na\r\nxyz"));
    assert_true(h1_reader_is_broken(&r.reader, r.bytes));
    assert_int_equal(decode(&r), HTTP1_DONE);
    assert_true(span_eq(data_of(&r), SPAN_LIT("a")));
    assert_true(span_eq(h1_reader_fault(&r.reader, r.bytes), SPAN_LIT("xyz")));
    take(&r, 1);
    assert_int_equal(decode(&r), HTTP1_BAD);
}

static void of_a_message_of_which_nothing_has_gone_all_that_is_there_is_looked_at(void **state)
{
    const struct span bytes = SPAN_LIT("1\r\na\r\nxyz");
    struct received r;
    size_t front;

    receive(&r, HTTP1_CHUNKED, 0, bytes);
    assert_false(h1_reader_show(&r.reader, r.bytes, true, &r.trailers, &front));
    receive(&r, HTTP1_CHUNKED, 0, bytes);
    assert_true(h1_reader_show(&r.reader, r.bytes, false, &r.trailers, &front));
    assert_int_equal(front, 3);
    r.bytes.ptr += front;
    r.bytes.len -= front;
    assert_true(span_eq(data_of(&r), SPAN_LIT("a")));
    assert_true(h1_reader_show(&r.reader, r.bytes, false, &r.trailers, &front)); /* it has not been taken */
    assert_int_equal(front, 0);
    take(&r, 1);
    assert_false(h1_reader_show(&r.reader, r.bytes, false, &r.trailers, &front));
}

static void bytes_that_hold_all_are_told_from_those_that_do_not(void **state)
{
    struct received r;
    struct h1_rest rest;

    receive(&r, HTTP1_LENGTH, 3, SPAN_LIT("ab"));
    assert_false(h1_reader_has_all(&r.reader, r.bytes, &rest));
    receive(&r, HTTP1_LENGTH, 3, SPAN_LIT("abcHTTP"));
    assert_true(h1_reader_has_all(&r.reader, r.bytes, &rest));
    assert_int_equal(rest.extra, 4);
    assert_false(rest.odd);
    receive(&r, HTTP1_CHUNKED, 0, SPAN_LIT("1 \r\na\r\n0\r\n\r\n"));
    assert_true(h1_reader_has_all(&r.reader, r.bytes, &rest));
    assert_int_equal(rest.extra, 0);
    assert_true(rest.odd);
}

static void an_end_of_the_connection_ends_only_what_lasts_until_then(void **state)
{
    struct received r;

    receive(&r, HTTP1_UNTIL_CLOSE, 0, SPAN_LIT("ab"));
    assert_int_equal(decode(&r), HTTP1_DONE);
    assert_false(r.reader.ended);
    assert_true(h1_reader_end(&r.reader));
    receive(&r, HTTP1_LENGTH, 3, SPAN_LIT("ab"));
    assert_int_equal(decode(&r), HTTP1_DONE);
    assert_false(h1_reader_end(&r.reader));
    receive(&r, HTTP1_NO_CONTENT, 0, SPAN_LIT(""));
    assert_true(h1_reader_end(&r.reader));
}

static void a_message_is_thrown_away_to_its_end_and_no_further(void **state)
{
    struct received r;

    receive(&r, HTTP1_LENGTH, 3, SPAN_LIT("abcGET"));
    assert_int_equal(decode(&r), HTTP1_DONE);
    take(&r, 1);
    assert_int_equal(h1_reader_discard(&r.reader, r.bytes), 2);
    assert_true(r.reader.ended);
    receive(&r, HTTP1_LENGTH, 9, SPAN_LIT("abc"));
    assert_int_equal(h1_reader_discard(&r.reader, r.bytes), 3);
    assert_false(r.reader.ended);
}

static void much_content_comes_in_bulk(void **state)
{
    struct received r;

    receive(&r, HTTP1_LENGTH, 20000, SPAN_LIT(""));
    assert_true(h1_reader_is_in_bulk(&r.reader, 16384));
    receive(&r, HTTP1_LENGTH, 200, SPAN_LIT(""));
    assert_false(h1_reader_is_in_bulk(&r.reader, 16384));
    receive(&r, HTTP1_UNTIL_CLOSE, 0, SPAN_LIT("abc"));
    assert_int_equal(decode(&r), HTTP1_DONE);
    assert_true(h1_reader_is_in_bulk(&r.reader, 2));
    assert_false(h1_reader_is_in_bulk(&r.reader, 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_chunks_become_one_piece_and_framing_goes_with_the_last_of_it),
        cmocka_unit_test(a_large_chunk_is_no_part_of_the_piece_before),
        cmocka_unit_test(good_content_is_taken_before_a_fault_behind_it_is_told),
        cmocka_unit_test(of_a_message_of_which_nothing_has_gone_all_that_is_there_is_looked_at),
        cmocka_unit_test(bytes_that_hold_all_are_told_from_those_that_do_not),
        cmocka_unit_test(an_end_of_the_connection_ends_only_what_lasts_until_then),
        cmocka_unit_test(a_message_is_thrown_away_to_its_end_and_no_further),
        cmocka_unit_test(much_content_comes_in_bulk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
