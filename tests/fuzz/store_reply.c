/*
 * What a store sends: whatever it is, and in whatever pieces it comes, the same answers come out of it in the same
 * order, within the bounds, and then the same end.
 *
 * Input: a byte for the length of the pieces, and then what is sent.
 */
#include "core/turn_words.h"
#include "fuzz.h"
#include "runtime/store_reader.h"

struct heard {
    uint64_t digest; /* of all answers, in order */
    uint32_t count;
    enum status end; /* AGAIN: there could be more */
};

static uint64_t mix(uint64_t digest, uint64_t word)
{
    return (digest ^ word) * UINT64_C(0x100000001b3);
}

/* Touches each byte of the answer. */
static uint64_t look_at(const struct store_reply *reply, uint64_t digest, uint32_t *items)
{
    int64_t number;

    digest = mix(mix(digest, reply->kind), (uint64_t)reply->number);
    for (size_t i = 0; i < reply->text.len; i++)
        digest = mix(digest, (uint8_t)reply->text.ptr[i]);
    for (uint32_t i = 0; i < reply->count; i++) {
        if (store_reply_number(reply, i, &number))
            digest = mix(digest, (uint64_t)number);
        digest = look_at(&reply->items[i], digest, items);
    }
    *items += reply->count;
    MUST(reply->kind == STORE_LIST || reply->count == 0);
    MUST(*items <= STORE_ITEMS_MAX);
    return digest;
}

/* What a fleet reads of it is within bounds, or is no answer. */
static uint64_t read_turn(const struct store_reply *reply, uint64_t digest)
{
    struct turn_reply turn;

    if (!turn_read_reply(reply, &turn))
        return digest;
    MUST(turn.time_us >= 0 && turn.beyond_us >= 0 && turn.pace_us >= 0 && turn.share_us >= 0 &&
         turn.pause_us >= 0 && turn.state <= TURN_ALL_GO && turn.granted <= 1000000000);
    return mix(mix(digest, turn.granted), (uint64_t)turn.due_us);
}

static void take(struct store_reader *reader, struct heard *heard)
{
    const struct store_reply *reply;
    const char *why = NULL;

    while ((heard->end = store_reader_next(reader, &reply, &why)) == ST_OK) {
        uint32_t items = 0;

        heard->digest = read_turn(reply, look_at(reply, heard->digest, &items));
        heard->count++;
    }
    MUST(heard->end == ST_AGAIN || heard->end == ST_BAD);
    MUST(heard->end != ST_BAD || (why != NULL && why[0] != '\0'));
}

static struct heard listen_to(const char *bytes, size_t len, size_t piece)
{
    struct store_reader reader;
    struct heard heard = {.end = ST_AGAIN};

    MUST(store_reader_open(&reader) == ST_OK);
    for (size_t at = 0; at < len && heard.end == ST_AGAIN; at += piece) {
        size_t next = len - at < piece ? len - at : piece;

        MUST(store_reader_feed(&reader, bytes + at, next) == ST_OK);
        take(&reader, &heard);
    }
    store_reader_close(&reader);
    return heard;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct heard whole, pieces;

    if (len < 1)
        return 0;
    whole = listen_to((const char *)bytes + 1, len - 1, len);
    pieces = listen_to((const char *)bytes + 1, len - 1, (size_t)bytes[0] + 1);
    MUST(whole.digest == pieces.digest && whole.count == pieces.count && whole.end == pieces.end);
    return 0;
}
