#ifndef CURFEW_RUNTIME_STORE_READER_H
#define CURFEW_RUNTIME_STORE_READER_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "core/store_reply.h"

/*
 * A store's answers out of the bytes that it sends (RESP2), by hiredis' reader, within bounds: an answer has
 * STORE_REPLY_MAX bytes at most, and STORE_ITEMS_MAX items with those of nested lists. One thread.
 */
#define STORE_REPLY_MAX 65536u
#define STORE_ITEMS_MAX 4096u

struct redisReader;

struct store_reader {
    struct redisReader *reader; /* NULL: closed */
    struct store_reply *reply;  /* that was given last */
    size_t fed;                 /* bytes, since the last answer was complete */
    uint32_t items;             /* of the answer that is being read */
    const char *why;            /* NULL, or the bound that it breaks */
};

/* Closed, or zeroed, before. */
enum status store_reader_open(struct store_reader *reader) MUST_CHECK;
void store_reader_close(struct store_reader *reader);

/* What has come. ST_NOMEM. */
enum status store_reader_feed(struct store_reader *reader, const char *bytes, size_t len) MUST_CHECK;

/*
 * ST_OK: *reply is the next answer, until this is called again. ST_AGAIN: it is not complete. ST_BAD: what came is
 * none, or beyond a bound; *why (static, or until the reader is closed) says what is wrong. ST_NOMEM. After the last
 * two it has to be closed.
 */
enum status store_reader_next(struct store_reader *reader, const struct store_reply **reply,
                              const char **why) MUST_CHECK;

#endif
