#ifndef CURFEW_TESTS_FUZZ_SINK_H
#define CURFEW_TESTS_FUZZ_SINK_H

#include "base/text.h"
#include "fuzz.h"
#include "runtime/transport.h"

/* What proxy/flow writes to, in place of a socket: takes now much, now little, now nothing. */
struct sink {
    struct transport transport;
    struct text text;
    struct luck luck;
    bool greedy; /* takes all, always */
};

static inline void sink_init(struct sink *sink, char *block, size_t cap, uint8_t seed)
{
    *sink = (struct sink){.text = text_over(block, cap), .luck = luck_of(seed), .greedy = seed == 0};
    sink->transport.arg = sink;
}

/* The sink's own, where the real one is linked with sockets and TLS. */
enum status transport_write(struct transport *transport, const struct iovec *pieces, int count, size_t *len)
{
    struct sink *sink = transport->arg;
    size_t room = SIZE_MAX;

    *len = 0;
    MUST(count > 0 && count <= 8);
    if (!sink->greedy) {
        if (luck_below(&sink->luck, 8) == 0)
            return ST_AGAIN;
        room = 1 + luck_below(&sink->luck, 1u << luck_below(&sink->luck, 10));
    }
    for (int i = 0; i < count; i++) {
        size_t part = pieces[i].iov_len < room ? pieces[i].iov_len : room;

        MUST(pieces[i].iov_len != 0);
        text_bytes(&sink->text, pieces[i].iov_base, part);
        MUST(!sink->text.overflow);
        room -= part;
        *len += part;
    }
    return ST_OK;
}

#endif
