#include "admin/reserve.h"

#include <event2/event.h>
#include <malloc.h>
#include <stdalign.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"

/* evhttp's structures and field lines, and the smallest buffers, fit into a piece. */
#define PIECE_BYTES 1024u
#define PIECES      512u

union piece {
    alignas(max_align_t) char bytes[PIECE_BYTES];
    union piece *next; /* of a free one */
};

static union piece pieces[PIECES];
static union piece *free_pieces;
static uint32_t used;
/* Only one thread takes pieces and gives them back, so there is no lock. */
static _Thread_local bool is_open;

static bool is_piece(const void *block)
{
    uintptr_t at = (uintptr_t)block, start = (uintptr_t)pieces;

    return at >= start && at < start + sizeof(pieces);
}

static void *take_piece(size_t size)
{
    union piece *piece;

    if (!is_open || size > PIECE_BYTES || free_pieces == NULL)
        return NULL;
    piece = free_pieces;
    free_pieces = piece->next;
    used++;
    return piece;
}

static void give_piece(union piece *piece)
{
    piece->next = free_pieces;
    free_pieces = piece;
    used--;
}

static void *allocate(size_t size)
{
    void *block = mem_alloc(size);

    return block != NULL ? block : take_piece(size);
}

static void release(void *block)
{
    if (is_piece(block))
        give_piece(block);
    else
        mem_free(block);
}

static void *move(void *block, size_t had, size_t size)
{
    void *moved = allocate(size);

    if (moved == NULL)
        return NULL;
    memcpy(moved, block, had < size ? had : size);
    release(block);
    return moved;
}

static void *resize(void *block, size_t size)
{
    void *resized;

    if (block == NULL)
        return allocate(size);
    if (is_piece(block))
        return size <= PIECE_BYTES ? block : move(block, PIECE_BYTES, size);
    resized = mem_realloc(block, size);
    return resized != NULL ? resized : move(block, malloc_usable_size(block), size);
}

void reserve_install(void)
{
    event_set_mem_functions(allocate, resize, release);
}

void reserve_open(void)
{
    for (uint32_t i = 0; i < PIECES; i++) {
        pieces[i].next = free_pieces;
        free_pieces = &pieces[i];
    }
    is_open = true;
}

bool reserve_is_low(void)
{
    return used >= PIECES / 2;
}
