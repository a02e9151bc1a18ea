/* What is written of a message, however little of it is taken at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/text.h"
#include "http/h1_writer.h"

/* Writes all that there is, at most `step` bytes at a time. */
static void write_all(struct h1_writer *writer, struct span data, size_t step, struct text *out)
{
    while (data.len != 0 || h1_writer_has_more(writer)) {
        struct iovec pieces[H1_WRITER_PIECES];
        int count = h1_writer_gather(writer, data, pieces);
        size_t room = step, written, taken;

        for (int i = 0; i < count; i++) {
            size_t part = pieces[i].iov_len < room ? pieces[i].iov_len : room;

            text_bytes(out, pieces[i].iov_base, part);
            room -= part;
        }
        written = step - room;
        taken = h1_writer_advance(writer, data.len, written);
        assert_true(written != 0 && taken <= data.len);
        data.ptr += taken;
        data.len -= taken;
    }
}

static void put_message(enum http1_framing framing, size_t step, struct text *out)
{
    struct h1_writer writer = {.head = SPAN_LIT("HEAD\r\n\r\n"), .framing = framing};

    h1_writer_begin(&writer, 20);
    write_all(&writer, SPAN_LIT("01234567890123456789"), step, out);
    assert_false(h1_writer_is_within_chunk(&writer));
    h1_writer_begin(&writer, 1);
    write_all(&writer, SPAN_LIT("x"), step, out);
    assert_true(h1_writer_end(&writer, SPAN_LIT("A: b\r\nContent-Length: 9\r\n")));
    write_all(&writer, SPAN_LIT(""), step, out);
    h1_writer_fini(&writer);
}

static void any_steps_write_the_same(void **state)
{
    for (size_t step = 1; step < 100; step++) {
        char block[200];
        struct text out = text_over(block, sizeof(block));

        put_message(HTTP1_CHUNKED, step, &out);
        assert_true(
            span_eq(text_span(&out), SPAN_LIT("HEAD\r\n\r\n14\r\n01234567890123456789\r\n1\r\nx\r\n0\r\n"
                                              "A: b\r\n\r\n")));
        out = text_over(block, sizeof(block));
        put_message(HTTP1_LENGTH, step, &out);
        assert_true(span_eq(text_span(&out), SPAN_LIT("HEAD\r\n\r\n01234567890123456789x")));
    }
}

static void a_message_without_content_is_written_again_after_a_new_head(void **state)
{
    struct h1_writer writer = {.head = SPAN_LIT("ONE"), .framing = HTTP1_CHUNKED};
    char block[64];
    struct text out = text_over(block, sizeof(block));

    assert_true(h1_writer_end(&writer, SPAN_LIT("")));
    write_all(&writer, SPAN_LIT(""), 4, &out);
    h1_writer_rewind(&writer);
    writer.head = SPAN_LIT("TWO");
    write_all(&writer, SPAN_LIT(""), 100, &out);
    assert_true(span_eq(text_span(&out), SPAN_LIT("ONE0\r\n\r\nTWO0\r\n\r\n")));
    h1_writer_fini(&writer);
}

static bool refuse(void *arg, size_t size)
{
    (void)arg, (void)size;
    return true;
}

static void without_memory_a_chunked_message_has_no_end(void **state)
{
    struct h1_writer chunked = {.framing = HTTP1_CHUNKED}, plain = {.framing = HTTP1_LENGTH};

    mem_set_fault(refuse, NULL);
    assert_false(h1_writer_end(&chunked, SPAN_LIT("")));
    assert_true(h1_writer_end(&plain, SPAN_LIT("")));
    mem_set_fault(NULL, NULL);
    assert_false(h1_writer_has_more(&chunked));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_steps_write_the_same),
        cmocka_unit_test(a_message_without_content_is_written_again_after_a_new_head),
        cmocka_unit_test(without_memory_a_chunked_message_has_no_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
