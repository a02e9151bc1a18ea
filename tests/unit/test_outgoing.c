/* A request that waits to be sent: what is sent, and what is kept of the caller's beside it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/mem.h"
#include "http/forward.h"
#include "http/outgoing.h"

struct world {
    struct http1_field fields[16];
    struct http1_head head;
    struct forward_rules rules;
    char block[4096];
    struct text text;
    struct slab slab;
    struct outgoing outgoing;
};

static void parse(struct world *world, const char *request)
{
    struct span whole = span_of(request);
    const char *detail;

    *world = (struct world){.rules = {.host = SPAN_LIT("api.example"), .base_path = SPAN_LIT("/base")}};
    world->head = (struct http1_head){.fields = world->fields, .field_cap = 16};
    assert_int_equal(http1_parse_request(whole, &world->head, &detail), CAUSE_NONE);
    world->text = text_over(world->block, sizeof(world->block));
}

static void assert_is(struct span span, const char *text)
{
    assert_int_equal(span.len, strlen(text));
    assert_memory_equal(span.ptr, text, span.len);
}

static void init(struct world *world, uint32_t room)
{
    forward_request_head(&world->text, &world->head, &world->rules, (struct forwarded_caller){0},
                         SPAN_LIT(""));
    assert_true(outgoing_init(&world->outgoing, &world->slab, text_span(&world->text), &world->head,
                              &world->rules, room, SPAN_LIT("kept")));
    assert_is(outgoing_kept(&world->outgoing), "kept");
    memset(world->block, 'X', sizeof(world->block)); /* nothing of it stands in scratch */
}

static void fini(struct world *world)
{
    outgoing_fini(&world->outgoing, &world->slab);
    slab_drop(&world->slab);
}

static void assert_ends(struct span span, const char *text)
{
    assert_true(span.len >= strlen(text));
    assert_memory_equal(span.ptr + span.len - strlen(text), text, strlen(text));
}

static void it_is_sent_with_a_line_of_its_own_and_may_be_sent_again(void **state)
{
    struct world world;

    parse(&world, "GET /x?y HTTP/1.1\r\nHost: me\r\nA: b\r\n\r\n");
    init(&world, 8);
    assert_is(outgoing_close(&world.outgoing, SPAN_LIT("Left"), SPAN_LIT("1234")),
              "GET /base/x?y HTTP/1.1\r\nHost: api.example\r\nA: b\r\nLeft: 1234\r\n\r\n");
    assert_is(outgoing_close(&world.outgoing, SPAN_LIT("Left"), SPAN_LIT("5")),
              "GET /base/x?y HTTP/1.1\r\nHost: api.example\r\nA: b\r\nLeft: 5\r\n\r\n");
    assert_is(outgoing_close(&world.outgoing, SPAN_LIT(""), SPAN_LIT("")),
              "GET /base/x?y HTTP/1.1\r\nHost: api.example\r\nA: b\r\n\r\n");
    assert_int_equal(world.outgoing.method, HTTP1_GET);
    assert_int_equal(world.outgoing.framing, HTTP1_NO_CONTENT);
    fini(&world);
}

static void its_fields_are_known_by_name(void **state)
{
    struct world world;

    parse(&world, "GET /x?A:y HTTP/1.1\r\nHost: me\r\nA: b\r\nC-D: e\r\nConnection: f\r\nF: g\r\n\r\n");
    init(&world, 8);
    assert_true(outgoing_has_field(&world.outgoing, SPAN_LIT("A")));
    assert_true(outgoing_has_field(&world.outgoing, SPAN_LIT("c-d")));
    assert_true(outgoing_has_field(&world.outgoing, SPAN_LIT("Host")));
    assert_false(outgoing_has_field(&world.outgoing, SPAN_LIT("C")));
    assert_false(outgoing_has_field(&world.outgoing, SPAN_LIT("D")));
    assert_false(outgoing_has_field(&world.outgoing, SPAN_LIT("F")));
    assert_false(outgoing_has_field(
        &world.outgoing,
        SPAN_LIT("a name that is longer than all of it is, so that it can't be there, wherever one begins")));
    fini(&world);
    world.outgoing = (struct outgoing){.len = 4000, .cap = 4000}; /* for which there was no memory */
    assert_false(outgoing_has_field(&world.outgoing, SPAN_LIT("A")));
    outgoing_note(&world.outgoing, &world.slab, SPAN_LIT("GET"), SPAN_LIT("\nA: b"));
    assert_false(outgoing_has_field(&world.outgoing, SPAN_LIT("A")));
    fini(&world);
    assert_false(outgoing_has_field(&(struct outgoing){0}, SPAN_LIT("A")));
}

static void what_the_caller_said_is_known_whatever_its_form(void **state)
{
    static const struct {
        const char *request, *target;
    } cases[] = {
        {"POST /x?y HTTP/1.1\r\nHost: me:80\r\n\r\n", "/x?y"},
        {"POST http://me:80/x HTTP/1.1\r\nHost: me:80\r\n\r\n", "http://me:80/x"},
        {"OPTIONS * HTTP/1.1\r\nHost: me:80\r\n\r\n", "*"},
    };

    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct world world;

        parse(&world, cases[i].request);
        world.rules.rewrites_location = true;
        init(&world, 0);
        assert_int_equal(outgoing_method(&world.outgoing).len, strcspn(cases[i].request, " "));
        assert_is(outgoing_target(&world.outgoing), cases[i].target);
        assert_is(outgoing_host(&world.outgoing), "me:80");
        (void)outgoing_close(&world.outgoing, SPAN_LIT(""), SPAN_LIT(""));
        assert_is(outgoing_target(&world.outgoing), cases[i].target);
        fini(&world);
    }
}

static void the_host_is_kept_only_for_responses_that_lead_somewhere(void **state)
{
    struct world world;

    parse(&world, "GET / HTTP/1.1\r\nHost: me\r\n\r\n");
    init(&world, 0);
    assert_int_equal(outgoing_host(&world.outgoing).len, 0);
    fini(&world);
}

static void a_long_target_is_sent_whole_and_told_in_part(void **state)
{
    struct world world;
    char request[3100], *at = request;

    at += sprintf(at, "GET http://me/");
    memset(at, 'a', 2500);
    sprintf(at + 2500, " HTTP/1.1\r\nHost: me\r\n\r\n");
    parse(&world, request);
    init(&world, 0);
    assert_int_equal(outgoing_target(&world.outgoing).len, OUTGOING_TARGET_MAX);
    assert_true(outgoing_close(&world.outgoing, SPAN_LIT(""), SPAN_LIT("")).len > 2500);
    fini(&world);
}

static void of_a_refused_request_method_and_target_are_told(void **state)
{
    struct world world = {.outgoing = {.bytes = NULL}};

    outgoing_note(&world.outgoing, &world.slab, SPAN_LIT(""), SPAN_LIT("/x"));
    assert_int_equal(outgoing_method(&world.outgoing).len + outgoing_target(&world.outgoing).len, 0);
    outgoing_note(&world.outgoing, &world.slab, SPAN_LIT("BREW"), SPAN_LIT("/pot"));
    assert_is(outgoing_method(&world.outgoing), "BREW");
    assert_is(outgoing_target(&world.outgoing), "/pot");
    fini(&world);
}

static bool refuse(void *arg, size_t size)
{
    (void)arg;
    (void)size;
    return true;
}

static void a_copy_is_sent_in_its_own_way(void **state)
{
    struct world world;
    struct outgoing copy, none;

    (void)state;
    parse(&world, "GET /x HTTP/1.1\r\nHost: me\r\n\r\n");
    init(&world, 32);
    outgoing_tell(&world.outgoing, SPAN_LIT("X-Try"), SPAN_LIT("2"));
    assert_true(outgoing_copy(&copy, &world.slab, &world.outgoing));
    outgoing_tell(&copy, SPAN_LIT("X-Try"), SPAN_LIT("3"));
    assert_ends(outgoing_close(&world.outgoing, SPAN_LIT(""), SPAN_LIT("")), "\r\nX-Try: 2\r\n\r\n");
    assert_ends(outgoing_close(&copy, SPAN_LIT(""), SPAN_LIT("")), "\r\nX-Try: 3\r\n\r\n");
    assert_is(outgoing_target(&copy), "/x");
    mem_set_fault(refuse, NULL);
    assert_false(outgoing_copy(&none, &world.slab, &world.outgoing));
    mem_set_fault(NULL, NULL);
    outgoing_fini(&copy, &world.slab);
    fini(&world);
}

static void without_memory_there_is_none(void **state)
{
    struct world world;

    parse(&world, "GET / HTTP/1.1\r\nHost: me\r\n\r\n");
    mem_set_fault(refuse, NULL);
    assert_false(outgoing_init(&world.outgoing, &world.slab, SPAN_LIT("GET"), &world.head, &world.rules, 0,
                               SPAN_LIT("kept")));
    assert_false(outgoing_has_field(&world.outgoing, SPAN_LIT("A")));
    outgoing_note(&world.outgoing, &world.slab, SPAN_LIT("GET"), SPAN_LIT("/"));
    mem_set_fault(NULL, NULL);
    assert_null(world.outgoing.bytes);
    assert_int_equal(outgoing_method(&world.outgoing).len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_sent_with_a_line_of_its_own_and_may_be_sent_again),
        cmocka_unit_test(its_fields_are_known_by_name),
        cmocka_unit_test(what_the_caller_said_is_known_whatever_its_form),
        cmocka_unit_test(the_host_is_kept_only_for_responses_that_lead_somewhere),
        cmocka_unit_test(a_long_target_is_sent_whole_and_told_in_part),
        cmocka_unit_test(of_a_refused_request_method_and_target_are_told),
        cmocka_unit_test(a_copy_is_sent_in_its_own_way),
        cmocka_unit_test(without_memory_there_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
