#include "core/address_memory.h"

#include <stddef.h>
#include <string.h>

#include "base/hash.h"
#include "base/invariant.h"

void address_memory_init(struct address_memory *memory)
{
    memset(memory, 0, sizeof(*memory));
}

static struct address_note *row_of(struct address_memory *memory, const struct address_key *key)
{
    return memory->rows[hash_fold(hash_bytes(HASH_OF_NOTHING, key, sizeof(*key))) % ADDRESS_MEMORY_ROWS];
}

/* NULL: there is none. */
static struct address_note *find(struct address_memory *memory, const struct address_key *key)
{
    struct address_note *row = row_of(memory, key);

    for (uint32_t i = 0; i < ADDRESS_MEMORY_ROW; i++) {
        if (row[i].at_ns != 0 && memcmp(&row[i].key, key, sizeof(*key)) == 0)
            return &row[i];
    }
    return NULL;
}

/* A free place, at_ns being 0, or else the one that was noted longest ago. */
static struct address_note *least(struct address_note *row)
{
    struct address_note *found = row;

    for (uint32_t i = 1; i < ADDRESS_MEMORY_ROW; i++) {
        if (row[i].at_ns < found->at_ns)
            found = &row[i];
    }
    return found;
}

static void clear(struct address_memory *memory, struct address_note *note)
{
    PRE(memory->count > 0 && note->at_ns != 0);
    note->at_ns = 0;
    memory->count--;
}

void address_memory_note(struct address_memory *memory, const struct address_key *key, int64_t now_ns)
{
    struct address_note *note = find(memory, key);

    PRE(now_ns != 0); /* it means that the place is free */
    if (note == NULL) {
        note = least(row_of(memory, key));
        memory->count += note->at_ns == 0;
        note->key = *key;
    }
    note->at_ns = now_ns;
    POST(memory->count <= ADDRESS_MEMORY_ROWS * ADDRESS_MEMORY_ROW);
}

void address_memory_forget(struct address_memory *memory, const struct address_key *key)
{
    struct address_note *note = find(memory, key);

    if (note != NULL)
        clear(memory, note);
}

bool address_memory_has(struct address_memory *memory, const struct address_key *key, int64_t now_ns,
                        int64_t remember_ns)
{
    struct address_note *note = find(memory, key);

    if (note == NULL)
        return false;
    if (now_ns - note->at_ns < remember_ns)
        return true;
    clear(memory, note);
    return false;
}
