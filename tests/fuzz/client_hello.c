/*
 * A ClientHello: the reader of what has come so far (core/client_hello) beside one that takes the records out first, and
 * then reads the message as it lies there whole (RFC 8446 4.1.2, RFC 6066 3).
 *
 * Input: a byte for how it arrives, one for the size of the records that the rest is put into (0: it is as it came).
 */
#include <string.h>

#include "core/client_hello.h"
#include "fuzz.h"

#define BYTES_MAX  20000u
#define RECORD_MAX 16384u

static uint8_t block[BYTES_MAX * 6 + 8], message[BYTES_MAX * 6 + 8];

/* ---- the other reader ----------------------------------------------------------------------------------- */

struct reader {
    const uint8_t *at;
    size_t left;
    bool is_broken;
};

static size_t number(struct reader *reader, size_t bytes)
{
    size_t n = 0;

    if (bytes > reader->left) {
        reader->is_broken = true;
        reader->left = 0;
        return 0;
    }
    for (size_t i = 0; i < bytes; i++)
        n = n << 8 | reader->at[i];
    reader->at += bytes;
    reader->left -= bytes;
    return n;
}

/* The next `len` bytes are a reader's of their own. */
static struct reader part(struct reader *reader, size_t len)
{
    struct reader part = {reader->at, len, false};

    if (len > reader->left) {
        reader->is_broken = true;
        return (struct reader){.is_broken = true};
    }
    reader->at += len;
    reader->left -= len;
    return part;
}

/* False: it is none that could be asked for. */
static bool take_name(struct reader name, struct client_hello_name *out)
{
    if (name.left == 0 || name.left > CLIENT_HELLO_NAME || out->len != 0)
        return false;
    for (size_t i = 0; i < name.left; i++) {
        uint8_t c = name.at[i];

        if (c <= 0x20 || c >= 0x7f)
            return false;
        out->text[i] = (char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
    }
    out->len = (uint8_t)(name.left > 1 && name.at[name.left - 1] == '.' ? name.left - 1 : name.left);
    return true;
}

static bool take_names(struct reader extension, struct client_hello_name *out)
{
    struct reader list = part(&extension, number(&extension, 2));

    if (extension.is_broken || extension.left != 0)
        return false;
    while (list.left != 0) {
        size_t type = number(&list, 1);
        struct reader name = part(&list, number(&list, 2));

        if (list.is_broken || (type == 0 && !take_name(name, out)))
            return false;
    }
    return true;
}

static enum client_hello_result read_whole(struct reader hello, struct client_hello_name *out)
{
    struct reader extensions;
    bool has_names = false;

    (void)part(&hello, 34);
    (void)part(&hello, number(&hello, 1));
    (void)part(&hello, number(&hello, 2));
    (void)part(&hello, number(&hello, 1));
    if (hello.is_broken)
        return CLIENT_HELLO_BROKEN;
    if (hello.left == 0)
        return CLIENT_HELLO_UNNAMED;
    extensions = part(&hello, number(&hello, 2));
    if (hello.is_broken || hello.left != 0)
        return CLIENT_HELLO_BROKEN;
    while (extensions.left != 0) {
        size_t type = number(&extensions, 2);
        struct reader extension = part(&extensions, number(&extensions, 2));

        if (extensions.is_broken || (type == 0 && (has_names || !take_names(extension, out))))
            return CLIENT_HELLO_BROKEN;
        has_names |= type == 0;
    }
    return out->len != 0 ? CLIENT_HELLO_NAMED : CLIENT_HELLO_UNNAMED;
}

/* The parts of handshake records, one behind the other. False: another kind of bytes follows them. */
static bool unwrap(const uint8_t *at, size_t left, size_t *len)
{
    *len = 0;
    while (left != 0) {
        size_t size = left >= 5 ? (size_t)at[3] << 8 | at[4] : 1;

        if (at[0] != 22 || (left > 1 && at[1] != 3) || size == 0 || size > RECORD_MAX)
            return false;
        if (left <= 5)
            return true;
        if (*len == 0 && at[5] != 1)
            return false;
        if (size > left - 5)
            size = left - 5;
        memcpy(message + *len, at + 5, size);
        *len += size;
        at += 5 + size;
        left -= 5 + size;
    }
    return true;
}

/* MORE, too, where there is too much of it: that is up to the number of bytes, and not to what they are. */
static enum client_hello_result reference(struct span bytes, struct client_hello_name *out)
{
    size_t have, len = 0;
    bool is_sound = unwrap((const uint8_t *)bytes.ptr, bytes.len, &have);

    out->len = 0;
    if (have >= 4) {
        len = (size_t)message[1] << 16 | (size_t)message[2] << 8 | message[3];
        if (len <= have - 4 && len <= CLIENT_HELLO_MAX - 9)
            return read_whole((struct reader){message + 4, len, false}, out);
    }
    return is_sound ? CLIENT_HELLO_MORE : CLIENT_HELLO_NOT_TLS;
}

/* ---- both ----------------------------------------------------------------------------------------------- */

static void must_agree(struct span bytes, enum client_hello_result result,
                       const struct client_hello_name *name)
{
    struct client_hello_name other;
    enum client_hello_result wanted = reference(bytes, &other);

    if (result == CLIENT_HELLO_TOO_LARGE) {
        MUST(wanted == CLIENT_HELLO_MORE || bytes.len >= CLIENT_HELLO_MAX);
        return;
    }
    MUST(result == wanted || bytes.len >= CLIENT_HELLO_MAX);
    MUST(result != CLIENT_HELLO_NAMED || wanted != CLIENT_HELLO_NAMED ||
         (name->len == other.len && memcmp(name->text, other.text, name->len) == 0));
}

/* What was said of a beginning, but MORE, is what is said of all. */
static void read_in_pieces(struct span bytes, uint8_t seed)
{
    struct arrival arrival = arrival_of(bytes, seed);
    enum client_hello_result said = CLIENT_HELLO_MORE;
    struct client_hello_name name, first = {.len = 0};

    while (arrival_more(&arrival)) {
        enum client_hello_result result = client_hello_read(arrival_from(&arrival, 0), &name);

        MUST(said == CLIENT_HELLO_MORE || said == CLIENT_HELLO_TOO_LARGE || result == said);
        MUST(said != CLIENT_HELLO_NAMED ||
             (name.len == first.len && memcmp(name.text, first.text, name.len) == 0));
        if (bytes.len < 400 ||
            arrival.have == bytes.len) /* of all beginnings of a long one it takes too long */
            must_agree(arrival_from(&arrival, 0), result, &name);
        said = result;
        first = name;
    }
    arrival_free(&arrival);
}

/* In records of so many bytes. */
static struct span in_records(struct span bytes, size_t size)
{
    size_t len = 0;

    while (bytes.len != 0) {
        size_t count = bytes.len < size ? bytes.len : size;
        uint8_t header[] = {22, 3, 1, (uint8_t)(count >> 8), (uint8_t)count};

        memcpy(block + len, header, sizeof(header));
        memcpy(block + len + sizeof(header), bytes.ptr, count);
        len += sizeof(header) + count;
        bytes.ptr += count;
        bytes.len -= count;
    }
    return (struct span){(const char *)block, len};
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct input input = {bytes, len > BYTES_MAX ? BYTES_MAX : len};
    uint8_t seed = input_byte(&input), size = input_byte(&input);
    struct span hello = input_rest(&input);

    /* Byte by byte, each beginning is read anew: of long ones that takes too long. */
    if (hello.len > 2000 && seed == 0)
        seed = 1;
    read_in_pieces(size != 0 ? in_records(hello, size) : hello, seed);
    return 0;
}
