/* Buffers: blocks that are kept warm, room behind the bytes, and bounds. */
#include "support.h"

#include <string.h>

#include "base/mem.h"
#include "runtime/buffer.h"

#define MAX   (5 * BUFFER_SIZE) /* not a power of two times a block */
#define MANY  80u
#define SPARE 64u /* as many blocks as a loop keeps */

static int set_up(void **state)
{
    *state = test_calloc(1, sizeof(struct buffer_spares));
    return 0;
}

static int tear_down(void **state)
{
    struct buffer_spares *spares = *state;

    buffer_drop_spares(spares);
    test_free(spares);
    return 0;
}

static bool refuse(void *arg, size_t size)
{
    (void)arg;
    (void)size;
    return true;
}

static bool count(void *arg, size_t size)
{
    ++*(unsigned *)arg;
    (void)size;
    return false;
}

/* How many of `wanted` blocks are not kept, but have to be made? All are given back. */
static unsigned blocks_made(struct buffer_spares *spares, unsigned wanted)
{
    struct buffer buffers[MANY] = {{0}};
    unsigned made = 0;

    mem_set_fault(count, &made);
    for (unsigned i = 0; i < wanted; i++)
        assert_int_equal(buffer_open(spares, &buffers[i]), ST_OK);
    mem_set_fault(NULL, NULL);
    for (unsigned i = 0; i < wanted; i++)
        buffer_close(spares, &buffers[i]);
    return made;
}

/* Puts bytes behind those that are there; they go on counting from where they were. */
static void fill(struct buffer *buffer, uint32_t len, uint8_t *next)
{
    assert_true(len <= buffer->cap - buffer->end);
    for (uint32_t i = 0; i < len; i++)
        buffer->data[buffer->end++] = (char)(*next)++;
}

static void check_bytes(const struct buffer *buffer, uint8_t first)
{
    struct span bytes = buffer_span(buffer);

    assert_int_equal(bytes.len, buffer_len(buffer));
    for (size_t i = 0; i < bytes.len; i++)
        if ((uint8_t)bytes.ptr[i] != (uint8_t)(first + i))
            fail_msg("byte %zu is not what was put", i);
}

static void a_buffer_has_a_block_only_between_open_and_close(void **state)
{
    struct buffer_spares *spares = *state;
    struct buffer buffer = {0};
    char *data;

    assert_int_equal(buffer_open(spares, &buffer), ST_OK);
    assert_non_null(buffer.data);
    assert_int_equal(buffer.cap, BUFFER_SIZE);
    assert_int_equal(buffer_len(&buffer), 0);
    data = buffer.data;
    buffer.end = 3;
    assert_int_equal(buffer_open(spares, &buffer), ST_OK); /* it is open already */
    assert_ptr_equal(buffer.data, data);
    assert_int_equal(buffer_len(&buffer), 3);
    buffer_close(spares, &buffer);
    assert_null(buffer.data);
    assert_int_equal(buffer_len(&buffer), 0);
    buffer_close(spares, &buffer);
}

static void a_block_given_back_is_the_next_one_to_be_used(void **state)
{
    struct buffer_spares *spares = *state;
    struct buffer buffer = {0}, other = {0};
    char *data;

    assert_int_equal(buffer_open(spares, &buffer), ST_OK);
    data = buffer.data;
    buffer_close(spares, &buffer);
    mem_set_fault(refuse, NULL); /* no memory is asked for */
    assert_int_equal(buffer_open(spares, &other), ST_OK);
    mem_set_fault(NULL, NULL);
    assert_ptr_equal(other.data, data);
    buffer_close(spares, &other);
}

static void a_worker_keeps_no_more_than_so_many_blocks(void **state)
{
    struct buffer_spares *spares = *state;

    assert_int_equal(blocks_made(spares, MANY), MANY);
    assert_int_equal(blocks_made(spares, SPARE), 0);
    assert_int_equal(blocks_made(spares, MANY), MANY - SPARE);
    buffer_drop_spares(spares);
    assert_int_equal(blocks_made(spares, 1), 1);
}

static void only_an_empty_buffer_is_closed_if_empty(void **state)
{
    struct buffer_spares *spares = *state;
    struct buffer buffer = {0};
    uint8_t next = 0;

    buffer_close_if_empty(spares, &buffer);
    assert_int_equal(buffer_open(spares, &buffer), ST_OK);
    fill(&buffer, 10, &next);
    buffer_consume(&buffer, 9);
    buffer_close_if_empty(spares, &buffer);
    assert_non_null(buffer.data);
    check_bytes(&buffer, 9);
    buffer_consume(&buffer, 1);
    buffer_close_if_empty(spares, &buffer);
    assert_null(buffer.data);
}

static void with_room_behind_the_bytes_nothing_moves(void **state)
{
    struct buffer_spares *spares = *state;
    struct buffer buffer = {0};
    uint8_t next = 0;

    assert_int_equal(buffer_open(spares, &buffer), ST_OK);
    fill(&buffer, BUFFER_SIZE - 1, &next);
    buffer_consume(&buffer, 100);
    assert_int_equal(buffer_make_room(spares, &buffer, MAX), ST_OK);
    assert_int_equal(buffer.start, 100);
    assert_int_equal(buffer.cap - buffer.end, 1);
    check_bytes(&buffer, 100);
    buffer_close(spares, &buffer);
}

static void room_in_front_of_the_bytes_is_used_before_a_larger_block(void **state)
{
    struct buffer_spares *spares = *state;
    struct buffer buffer = {0};
    uint8_t next = 0;

    assert_int_equal(buffer_open(spares, &buffer), ST_OK);
    fill(&buffer, BUFFER_SIZE, &next);
    buffer_consume(&buffer, 1);
    mem_set_fault(refuse, NULL);
    assert_int_equal(buffer_make_room(spares, &buffer, BUFFER_SIZE), ST_OK);
    mem_set_fault(NULL, NULL);
    assert_int_equal(buffer.cap, BUFFER_SIZE);
    assert_int_equal(buffer.cap - buffer.end, 1);
    check_bytes(&buffer, 1);
    fill(&buffer, 1, &next);
    check_bytes(&buffer, 1);
    buffer_close(spares, &buffer);
}

static void a_full_buffer_grows_to_its_bound_and_no_further(void **state)
{
    struct buffer_spares *spares = *state;
    struct buffer buffer = {0};
    uint8_t next = 0;
    enum status status;

    assert_int_equal(buffer_open(spares, &buffer), ST_OK);
    do {
        uint32_t was = buffer.cap;

        fill(&buffer, buffer.cap - buffer.end, &next);
        status = buffer_make_room(spares, &buffer, MAX);
        assert_int_equal(buffer.cap > was, status == ST_OK);
        check_bytes(&buffer, 0);
    } while (status == ST_OK);
    assert_int_equal(status, ST_LIMIT);
    assert_int_equal(buffer.cap, MAX);
    assert_int_equal(buffer_len(&buffer), MAX);
    /* The first block is kept for others; this one, of unusual size, is not. */
    buffer_close(spares, &buffer);
    assert_int_equal(blocks_made(spares, 2), 1);
}

static void a_bound_of_one_block_allows_one_block(void **state)
{
    struct buffer_spares *spares = *state;
    struct buffer buffer = {0};
    uint8_t next = 0;

    assert_int_equal(buffer_open(spares, &buffer), ST_OK);
    fill(&buffer, BUFFER_SIZE, &next);
    assert_int_equal(buffer_make_room(spares, &buffer, BUFFER_SIZE), ST_LIMIT);
    assert_int_equal(buffer_make_room(spares, &buffer, BUFFER_SIZE / 2), ST_LIMIT);
    assert_int_equal(buffer.cap, BUFFER_SIZE);
    check_bytes(&buffer, 0);
    buffer_close(spares, &buffer);
}

static void a_large_block_takes_the_place_of_an_empty_one_and_never_of_bytes(void **state)
{
    struct buffer_spares *spares = *state;
    struct buffer buffer = {0};
    uint8_t next = 0;
    char *data;

    assert_int_equal(buffer_open_large(spares, &buffer), ST_OK);
    assert_int_equal(buffer.cap, BUFFER_LARGE);
    fill(&buffer, BUFFER_LARGE, &next);
    check_bytes(&buffer, 0);
    data = buffer.data;
    buffer_consume(&buffer, BUFFER_LARGE);
    assert_int_equal(buffer_open_large(spares, &buffer), ST_OK); /* it is large already */
    assert_ptr_equal(buffer.data, data);
    buffer_close(spares, &buffer);

    assert_int_equal(buffer_open(spares, &buffer), ST_OK);
    next = 0;
    fill(&buffer, 10, &next);
    assert_int_equal(buffer_open_large(spares, &buffer), ST_OK);
    assert_int_equal(buffer.cap, BUFFER_SIZE);
    check_bytes(&buffer, 0);
    buffer_consume(&buffer, 10);
    mem_set_fault(refuse, NULL); /* the large one was kept */
    assert_int_equal(buffer_open_large(spares, &buffer), ST_OK);
    mem_set_fault(NULL, NULL);
    assert_ptr_equal(buffer.data, data);
    assert_int_equal(buffer.cap, BUFFER_LARGE);
    assert_int_equal(buffer_len(&buffer), 0);
    buffer_close(spares, &buffer);
}

static void without_memory_a_buffer_stays_as_it_was(void **state)
{
    struct buffer_spares *spares = *state;
    struct buffer buffer = {0};
    uint8_t next = 0;

    mem_set_fault(refuse, NULL);
    assert_int_equal(buffer_open(spares, &buffer), ST_NOMEM);
    assert_null(buffer.data);
    mem_set_fault(NULL, NULL);
    assert_int_equal(buffer_open(spares, &buffer), ST_OK);
    fill(&buffer, BUFFER_SIZE, &next);
    mem_set_fault(refuse, NULL);
    assert_int_equal(buffer_make_room(spares, &buffer, MAX), ST_NOMEM);
    mem_set_fault(NULL, NULL);
    assert_int_equal(buffer.cap, BUFFER_SIZE);
    check_bytes(&buffer, 0);
    buffer_close(spares, &buffer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_buffer_has_a_block_only_between_open_and_close, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_block_given_back_is_the_next_one_to_be_used, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_worker_keeps_no_more_than_so_many_blocks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_an_empty_buffer_is_closed_if_empty, set_up, tear_down),
        cmocka_unit_test_setup_teardown(with_room_behind_the_bytes_nothing_moves, set_up, tear_down),
        cmocka_unit_test_setup_teardown(room_in_front_of_the_bytes_is_used_before_a_larger_block, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_full_buffer_grows_to_its_bound_and_no_further, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_bound_of_one_block_allows_one_block, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_large_block_takes_the_place_of_an_empty_one_and_never_of_bytes,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_memory_a_buffer_stays_as_it_was, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
