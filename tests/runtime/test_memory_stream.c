/* What users of a stream rely on, by the stream that has no connection. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "memory_stream.h"

struct world {
    struct memory_stream memory;
    struct stream *stream;
    char block[256];
    struct text out;
};

static void begin(struct world *world, size_t room)
{
    world->out = text_over(world->block, sizeof(world->block));
    memory_stream_init(&world->memory, &world->out, room);
    world->stream = &world->memory.stream;
}

static void a_head_is_there_once_it_was_received(void **state)
{
    struct world world;
    struct http1_head head = {.code = 204}, *found;
    struct stream_start start;

    begin(&world, 0);
    assert_int_equal(stream_head(world.stream, &found), STREAM_WAIT);
    assert_int_equal(stream_receive(world.stream), STREAM_WAIT);
    assert_false(world.stream->heard);
    world.memory.head = &head;
    world.memory.stirs = true;
    assert_int_equal(stream_receive(world.stream), STREAM_OK);
    assert_true(world.stream->heard && world.stream->begun);
    assert_true(stream_read_start(world.stream, &start));
    assert_int_equal(start.code, 204);
    assert_int_equal(stream_head(world.stream, &found), STREAM_OK);
    assert_ptr_equal(found, &head);
    assert_false(world.stream->begun);
    assert_int_equal(stream_head(world.stream, &found), STREAM_WAIT);
}

static void content_is_shown_until_it_is_taken(void **state)
{
    struct world world;
    struct stream_piece piece;

    begin(&world, 0);
    assert_int_equal(stream_peek(world.stream, true, &piece), STREAM_WAIT);
    world.memory.content = SPAN_LIT("abc");
    assert_int_equal(stream_peek(world.stream, true, &piece), STREAM_OK);
    stream_take(world.stream, 1);
    assert_int_equal(stream_peek(world.stream, false, &piece), STREAM_OK);
    assert_true(span_eq(piece.data, SPAN_LIT("bc")));
    assert_false(piece.last || stream_has_all(world.stream));
    stream_take(world.stream, 2);
    world.memory.ended = true;
    assert_int_equal(stream_peek(world.stream, false, &piece), STREAM_OK);
    assert_true(piece.last && piece.data.len == 0);
    assert_true(stream_has_all(world.stream) && stream_let_go(world.stream));
    assert_int_equal(world.stream->received, 3);
}

static void what_breaks_is_told_behind_what_was_said(void **state)
{
    struct world world;
    struct stream_piece piece;

    begin(&world, 0);
    world.memory.content = SPAN_LIT("abc");
    world.memory.breaks = (struct stream_fault){.cause = CAUSE_INCOMPLETE};
    assert_int_equal(stream_peek(world.stream, true, &piece), STREAM_OK);
    assert_int_equal(stream_receive(world.stream), STREAM_LOST);
    assert_int_equal(world.stream->fault.cause, CAUSE_INCOMPLETE);
    assert_false(stream_let_go(world.stream));
}

static void content_that_breaks_its_framing_is_bad_before_anything_has_gone(void **state)
{
    struct world world;
    struct stream_piece piece;

    begin(&world, 0);
    world.memory.content = SPAN_LIT("abc");
    world.memory.breaks = (struct stream_fault){.cause = CAUSE_HTTP_PROTOCOL};
    assert_int_equal(stream_peek(world.stream, true, &piece), STREAM_BAD);
    assert_int_equal(stream_peek(world.stream, false, &piece), STREAM_OK);
    assert_int_equal(stream_receive(world.stream), STREAM_BAD);
}

static void a_head_goes_in_front_and_what_does_not_fit_is_offered_again(void **state)
{
    struct world world;
    struct stream_piece piece = {.data = SPAN_LIT("content"), .last = true};
    size_t taken;

    begin(&world, 2);
    memory_put_head(world.stream, SPAN_LIT("HEAD"));
    assert_true(world.stream->head_waits);
    assert_int_equal(stream_send(world.stream, &piece, &taken), STREAM_WAIT);
    assert_int_equal(taken, 0);
    assert_true(world.stream->sent && world.stream->blocked && world.stream->head_waits);
    world.memory.room = 5;
    assert_int_equal(stream_send(world.stream, &piece, &taken), STREAM_WAIT);
    assert_int_equal(taken, 3);
    assert_false(world.stream->head_waits);
    piece.data.ptr += taken;
    piece.data.len -= taken;
    world.memory.room = 100;
    assert_int_equal(stream_send(world.stream, &piece, &taken), STREAM_OK);
    assert_true(world.memory.out_ended && !world.stream->blocked);
    assert_true(span_eq(text_span(&world.out), SPAN_LIT("HEADcontent")));
}

static void a_peer_that_has_gone_takes_nothing(void **state)
{
    struct world world;
    struct stream_piece piece = {.data = SPAN_LIT("x")};
    size_t taken;

    begin(&world, 100);
    world.memory.has_gone = true;
    assert_int_equal(stream_send(world.stream, &piece, &taken), STREAM_LOST);
    assert_true(world.stream->lost && taken == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_head_is_there_once_it_was_received),
        cmocka_unit_test(content_is_shown_until_it_is_taken),
        cmocka_unit_test(what_breaks_is_told_behind_what_was_said),
        cmocka_unit_test(content_that_breaks_its_framing_is_bad_before_anything_has_gone),
        cmocka_unit_test(a_head_goes_in_front_and_what_does_not_fit_is_offered_again),
        cmocka_unit_test(a_peer_that_has_gone_takes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
