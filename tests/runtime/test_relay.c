/* One loop for both directions: content from one stream without a connection to another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "call/relay.h"
#include "memory_stream.h"

struct world {
    struct memory_stream from, to;
    char block[256];
    struct text out, unused;
    unsigned shown;
};

static void begin(struct world *world, struct span content, bool ended, size_t room)
{
    world->out = text_over(world->block, sizeof(world->block));
    world->shown = 0;
    memory_stream_init(&world->from, &world->unused, 0);
    memory_stream_init(&world->to, &world->out, room);
    world->from.content = content;
    world->from.ended = ended;
}

static void count(void *arg, const struct stream_piece *piece)
{
    struct world *world = arg;

    (void)piece;
    world->shown++;
}

static enum relay_end run(struct world *world)
{
    return relay_run(&world->from.stream, &world->to.stream, count, world);
}

static void a_message_goes_behind_the_head_that_waits(void **state)
{
    struct world world;

    begin(&world, SPAN_LIT("content"), true, 100);
    memory_put_head(&world.to.stream, SPAN_LIT("HEAD "));
    assert_int_equal(run(&world), RELAY_DONE);
    assert_true(span_eq(text_span(&world.out), SPAN_LIT("HEAD content")));
    assert_true(world.to.out_ended);
    assert_int_equal(world.shown, 1);
}

static void an_empty_message_is_done_too(void **state)
{
    struct world world;

    begin(&world, SPAN_LIT(""), true, 100);
    assert_int_equal(relay_run(&world.from.stream, &world.to.stream, NULL, NULL), RELAY_DONE);
    assert_true(world.to.out_ended && world.out.len == 0);
}

static void what_the_sink_does_not_take_waits_and_nothing_is_received_meanwhile(void **state)
{
    struct world world;

    begin(&world, SPAN_LIT("content"), true, 3);
    world.from.stirs = true;
    assert_int_equal(run(&world), RELAY_WAIT);
    assert_true(world.to.stream.blocked && world.from.stream.paused && world.from.stirs);
    world.to.room = 100;
    assert_int_equal(run(&world), RELAY_DONE);
    assert_true(span_eq(text_span(&world.out), SPAN_LIT("content")));
}

static void a_source_that_has_no_more_is_waited_for(void **state)
{
    struct world world;

    begin(&world, SPAN_LIT("con"), false, 100);
    assert_int_equal(run(&world), RELAY_WAIT);
    assert_true(!world.to.stream.blocked && !world.to.out_ended);
    world.from.content = SPAN_LIT("tent");
    world.from.ended = true;
    assert_int_equal(run(&world), RELAY_DONE);
    assert_true(span_eq(text_span(&world.out), SPAN_LIT("content")));
}

static void a_source_that_breaks_ends_it_behind_what_it_gave(void **state)
{
    struct world world;

    begin(&world, SPAN_LIT("con"), false, 100);
    world.from.breaks = (struct stream_fault){.cause = CAUSE_INCOMPLETE};
    assert_int_equal(run(&world), RELAY_SOURCE);
    assert_int_equal(world.from.stream.fault.cause, CAUSE_INCOMPLETE);
    assert_true(span_eq(text_span(&world.out), SPAN_LIT("con")));
}

static void nothing_goes_of_a_message_whose_beginning_is_broken(void **state)
{
    struct world world;

    begin(&world, SPAN_LIT("con"), false, 100);
    world.from.breaks = (struct stream_fault){.cause = CAUSE_HTTP_PROTOCOL};
    memory_put_head(&world.to.stream, SPAN_LIT("HEAD "));
    assert_int_equal(run(&world), RELAY_SOURCE);
    assert_int_equal(world.out.len, 0);
}

static void a_sink_that_has_gone_ends_it(void **state)
{
    struct world world;

    begin(&world, SPAN_LIT("content"), true, 100);
    world.to.has_gone = true;
    assert_int_equal(run(&world), RELAY_SINK);
    assert_false(world.from.stream.paused);
}

/* A source that gives a byte each time it is asked. */
static enum stream_result receive_a_byte(struct stream *stream)
{
    memory_of(stream)->content = SPAN_LIT("x");
    return STREAM_OK;
}

static void a_source_that_never_dries_up_leaves_others_their_turn(void **state)
{
    struct world world;
    struct stream_ops ops;

    begin(&world, SPAN_LIT("x"), false, 1000);
    ops = *world.from.stream.ops;
    ops.receive = receive_a_byte;
    world.from.stream.ops = &ops;
    assert_int_equal(run(&world), RELAY_AGAIN);
    assert_true(world.out.len >= 4 && world.out.len <= 64);
}

static void a_head_may_go_alone_whatever_comes_behind_it(void **state)
{
    struct world world;

    begin(&world, SPAN_LIT("not yet"), false, 3);
    memory_put_head(&world.to.stream, SPAN_LIT("HEAD"));
    assert_int_equal(relay_head(&world.from.stream, &world.to.stream), RELAY_WAIT);
    assert_true(world.from.stream.paused && !world.to.out_ended);
    world.to.room = 100;
    assert_int_equal(relay_head(&world.from.stream, &world.to.stream), RELAY_DONE);
    assert_true(span_eq(text_span(&world.out), SPAN_LIT("HEAD")));
    assert_true(world.to.out_ended && span_eq(world.from.content, SPAN_LIT("not yet")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_goes_behind_the_head_that_waits),
        cmocka_unit_test(an_empty_message_is_done_too),
        cmocka_unit_test(what_the_sink_does_not_take_waits_and_nothing_is_received_meanwhile),
        cmocka_unit_test(a_source_that_has_no_more_is_waited_for),
        cmocka_unit_test(a_source_that_breaks_ends_it_behind_what_it_gave),
        cmocka_unit_test(nothing_goes_of_a_message_whose_beginning_is_broken),
        cmocka_unit_test(a_sink_that_has_gone_ends_it),
        cmocka_unit_test(a_source_that_never_dries_up_leaves_others_their_turn),
        cmocka_unit_test(a_head_may_go_alone_whatever_comes_behind_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
