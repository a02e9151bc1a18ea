/*
 * The bytes are looked at in two passes. The first one hops from record to record and counts what of the message there
 * is, so that a hello which comes byte by byte is not read anew for each of them: only a whole one is read. It says at
 * once, too, that bytes are no TLS: whoever speaks first something else, or waits to be spoken to, is not waited for
 * longer than its first bytes take.
 *
 *   record     | 22 | 3, x | length 2 | a part of the message |
 *   message    | 1 | length 3 | version 2 | random 32 | session 1+n | suites 2+n | compression 1+n | extensions 2+n |
 *   extension  | type 2 | length 2 | of server_name: list 2 | type 1 | name 2+n | ...
 */
#include "core/client_hello.h"

#include <stdbool.h>

#include "base/invariant.h"

#define RECORD_HEADER    5u
#define RECORD_HANDSHAKE 22u
#define RECORD_MAX       16384u
#define MESSAGE_HEADER   4u
#define MESSAGE_HELLO    1u
#define LENGTH_MAX       (CLIENT_HELLO_MAX - MESSAGE_HEADER - RECORD_HEADER)
#define VERSION_RANDOM   (2u + 32u)
#define EXT_SERVER_NAME  0u
#define NAME_TYPE_HOST   0u

/* A place in the message, which records interrupt. */
struct cursor {
    struct span bytes;
    size_t at;
    size_t record_left; /* of the record at hand */
    size_t left;        /* of the part of the message at hand */
    bool is_short;      /* that part has ended too early */
};

static uint8_t byte_at(struct span bytes, size_t at)
{
    return (uint8_t)bytes.ptr[at];
}

static size_t record_len(struct span bytes, size_t at)
{
    return (size_t)byte_at(bytes, at + 3) << 8 | byte_at(bytes, at + 4);
}

/* What of a record's header has come: can it be one that holds a handshake? */
static bool may_be_record(struct span bytes, size_t at)
{
    size_t have = bytes.len - at;

    if (have > 0 && byte_at(bytes, at) != RECORD_HANDSHAKE)
        return false;
    if (have > 1 && byte_at(bytes, at + 1) != 3)
        return false;
    return have < RECORD_HEADER || (record_len(bytes, at) != 0 && record_len(bytes, at) <= RECORD_MAX);
}

static uint8_t take(struct cursor *cursor)
{
    if (cursor->left == 0) {
        cursor->is_short = true;
        return 0;
    }
    cursor->left--;
    if (cursor->record_left == 0) {
        cursor->record_left = record_len(cursor->bytes, cursor->at);
        cursor->at += RECORD_HEADER;
    }
    cursor->record_left--;
    PRE(cursor->at < cursor->bytes.len); /* the first pass has seen it */
    return byte_at(cursor->bytes, cursor->at++);
}

static size_t take_number(struct cursor *cursor, unsigned bytes)
{
    size_t number = 0;

    while (bytes-- > 0)
        number = number << 8 | take(cursor);
    return number;
}

static void skip(struct cursor *cursor, size_t len)
{
    while (len > 0 && !cursor->is_short) {
        (void)take(cursor);
        len--;
    }
}

/* How much of the message has come, as far as its records are sound. False: what follows is none of its records. */
static bool count(struct span bytes, size_t *have)
{
    size_t at = 0;

    *have = 0;
    while (at < bytes.len && *have <= CLIENT_HELLO_MAX) {
        size_t len;

        if (!may_be_record(bytes, at))
            return false;
        if (bytes.len - at <= RECORD_HEADER)
            return true;
        len = record_len(bytes, at);
        at += RECORD_HEADER;
        if (*have == 0 && byte_at(bytes, at) != MESSAGE_HELLO)
            return false;
        if (len > bytes.len - at)
            len = bytes.len - at;
        *have += len;
        at += len;
    }
    return true;
}

/* A name goes as it is compared; one that is too long or has a byte that no name has is broken. */
static bool take_name(struct cursor *cursor, size_t len, struct client_hello_name *name)
{
    if (len == 0 || len > CLIENT_HELLO_NAME || name->len != 0)
        return false;
    for (size_t i = 0; i < len; i++) {
        uint8_t c = take(cursor);

        if (c <= ' ' || c > '~')
            return false;
        name->text[i] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
    }
    name->len = (uint8_t)len;
    if (name->len > 1 && name->text[name->len - 1] == '.')
        name->len--;
    return true;
}

/* RFC 6066 3: a list of names, of which there is one at most of each type. */
static bool read_server_name(struct cursor *cursor, size_t len, struct client_hello_name *name)
{
    size_t end = cursor->left - len, list = take_number(cursor, 2);

    if (cursor->is_short || len < 2 || list != len - 2)
        return false;
    while (cursor->left > end) {
        uint8_t type = take(cursor);
        size_t name_len = take_number(cursor, 2);

        if (cursor->is_short || cursor->left < end || name_len > cursor->left - end)
            return false;
        if (type != NAME_TYPE_HOST)
            skip(cursor, name_len);
        else if (!take_name(cursor, name_len, name))
            return false;
    }
    return cursor->left == end;
}

static bool read_extensions(struct cursor *cursor, struct client_hello_name *name)
{
    bool seen = false;

    while (cursor->left != 0) {
        size_t type = take_number(cursor, 2), len = take_number(cursor, 2);

        if (cursor->is_short || len > cursor->left)
            return false;
        if (type != EXT_SERVER_NAME) {
            skip(cursor, len);
            continue;
        }
        if (seen || !read_server_name(cursor, len, name))
            return false;
        seen = true;
    }
    return true;
}

/* The message is whole. */
static enum client_hello_result read_message(struct cursor *cursor, struct client_hello_name *name)
{
    skip(cursor, VERSION_RANDOM);
    skip(cursor, take_number(cursor, 1));
    skip(cursor, take_number(cursor, 2));
    skip(cursor, take_number(cursor, 1));
    if (cursor->is_short)
        return CLIENT_HELLO_BROKEN;
    if (cursor->left == 0)
        return CLIENT_HELLO_UNNAMED; /* before TLS 1.3, there need be no extensions */
    if (take_number(cursor, 2) != cursor->left || cursor->is_short || !read_extensions(cursor, name) ||
        cursor->is_short)
        return CLIENT_HELLO_BROKEN;
    return name->len != 0 ? CLIENT_HELLO_NAMED : CLIENT_HELLO_UNNAMED;
}

enum client_hello_result client_hello_read(struct span bytes, struct client_hello_name *name)
{
    struct cursor cursor = {.bytes = bytes, .left = MESSAGE_HEADER};
    size_t have, len = 0;
    bool is_sound = count(bytes, &have);

    name->len = 0;
    if (have >= MESSAGE_HEADER) {
        (void)take(&cursor);
        len = take_number(&cursor, 3);
        if (len <= LENGTH_MAX && have - MESSAGE_HEADER >= len) {
            cursor.left = len; /* what follows may be early data (RFC 8446 4.2.10), and is not looked at */
            return read_message(&cursor, name);
        }
    }
    if (!is_sound)
        return CLIENT_HELLO_NOT_TLS;
    return len > LENGTH_MAX || bytes.len >= CLIENT_HELLO_MAX ? CLIENT_HELLO_TOO_LARGE : CLIENT_HELLO_MORE;
}
