/*
 * What of gRPC is in fields (http/grpc, core/grpc_code, core/budget): a content type, a status in a head and in trailers, a
 * timeout from hop to hop, a message. Judged by decoders of our own, in 128 bits. What is between the fields, messages behind
 * their lengths, is content to curfew: it never looks.
 *
 * Input: eight bytes of time that is left, then lines: a content type, a timeout, a status, and the rest is a message.
 */
#include <string.h>

#include "base/number.h"
#include "core/budget.h"
#include "http/grpc.h"
#include "fuzz.h"

typedef unsigned __int128 wide;

static struct span next_line(struct input *input)
{
    struct span rest = input_rest(input);
    const char *end = rest.len != 0 ? memchr(rest.ptr, '\n', rest.len) : NULL;
    struct span line = input_text(input, end != NULL ? (size_t)(end - rest.ptr) : rest.len);

    (void)input_byte(input);
    return line;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

static bool is_type(struct span type)
{
    static const char grpc[] = "application/grpc";
    size_t len = sizeof(grpc) - 1;

    for (size_t i = 0; i < len; i++)
        if (i >= type.len || lower(type.ptr[i]) != grpc[i])
            return false;
    return type.len == len || (type.ptr[len] != '\0' && strchr("+; \t", type.ptr[len]) != NULL);
}

static enum grpc_code code_of(struct span status)
{
    wide code = 0;

    for (size_t i = 0; i < status.len; i++) {
        if (status.ptr[i] < '0' || status.ptr[i] > '9')
            return GRPC_OTHER;
        code = code > GRPC_OTHER ? code : code * 10 + (unsigned)(status.ptr[i] - '0');
    }
    return status.len != 0 && code < GRPC_OTHER ? (enum grpc_code)code : GRPC_OTHER;
}

static bool is_on_a_line(struct span value)
{
    return http1_is_field_value(value) &&
           (value.len == 0 ||
            (strchr(" \t", value.ptr[0]) == NULL && strchr(" \t", value.ptr[value.len - 1]) == NULL));
}

/* ---- heads and trailers -------------------------------------------------------------------------------- */

static void check_fields(struct span type, struct span status)
{
    struct http1_field fields[] = {{.name = SPAN_LIT("x-grpc-status"), .value = SPAN_LIT("1")},
                                   {.name = SPAN_LIT("Content-Type"), .value = type},
                                   {.name = SPAN_LIT("GRPC-Status"), .value = status},
                                   {.name = SPAN_LIT("grpc-status"), .value = SPAN_LIT("2")}};
    struct http1_head head = {.fields = fields, .field_count = 4};
    char block[4096];
    struct text text = text_over(block, sizeof(block));
    enum grpc_code code = GRPC_NONE, again = GRPC_NONE;
    struct span found = grpc_type_of(&head);

    MUST(grpc_is_type(type) == is_type(type));
    MUST(is_type(type) ? found.ptr == type.ptr && found.len == type.len : found.len == 0);
    MUST(grpc_status_of_head(&head, &code) && code == code_of(status));
    MUST(code == GRPC_OTHER || grpc_code_read(span_of(grpc_code_name(code))) == code);
    head.field_count = 2;
    MUST(!grpc_status_of_head(&head, &again) && again == GRPC_NONE);
    if (!is_on_a_line(status))
        return;
    TEXT_LIT(&text, "x-grpc-status: 1\r\nGRPC-status: ");
    text_put(&text, status);
    TEXT_LIT(&text, "\r\ngrpc-status: 2\r\n");
    if (!text.overflow)
        MUST(grpc_status_of_trailers(text_span(&text), &again) && again == code);
}

/* ---- what is left -------------------------------------------------------------------------------------- */

/* A value of at most 8 digits and a unit, in nanoseconds, and what its unit is. */
static wide read_timeout(struct span value, wide *unit_ns)
{
    static const char units[] = "HMSmun";
    static const int64_t lengths[] = {3600 * NS_PER_S, 60 * NS_PER_S, NS_PER_S, NS_PER_MS, NS_PER_US, 1};
    wide count = 0;

    MUST(value.len >= 2 && value.len <= 9);
    for (size_t i = 0; i + 1 < value.len; i++) {
        MUST(value.ptr[i] >= '0' && value.ptr[i] <= '9');
        count = count * 10 + (unsigned)(value.ptr[i] - '0');
    }
    for (unsigned i = 0; i < 6; i++)
        if (units[i] == value.ptr[value.len - 1]) {
            *unit_ns = (uint64_t)lengths[i];
            return count * (uint64_t)lengths[i];
        }
    MUST(false); /* no unit */
}

/* It is never more than what is left, less by under one of its unit, and as fine as 8 digits, or milliseconds, allow. */
static int64_t check_timeout(int64_t left_ns)
{
    char block[GRPC_TIMEOUT_ROOM];
    struct text text = text_over(block, sizeof(block));
    int64_t read_ns;
    wide unit_ns, told_ns;

    grpc_put_timeout_value(&text, left_ns);
    MUST(!text.overflow);
    told_ns = read_timeout(text_span(&text), &unit_ns);
    MUST(told_ns > 0);
    if (left_ns <= NS_PER_US) {
        MUST(told_ns == (left_ns == NS_PER_US ? (wide)NS_PER_US : 1));
    } else {
        MUST(told_ns <= (wide)left_ns && (wide)left_ns - told_ns < unit_ns);
        MUST(unit_ns <= (wide)NS_PER_MS || (wide)left_ns >= (wide)NS_PER_MS * 100000000);
    }
    MUST(budget_parse(SPAN_LIT("grpc-timeout"), text_span(&text), &read_ns) && (wide)read_ns == told_ns);
    text = text_over(block, sizeof(block));
    grpc_put_timeout(&text, left_ns);
    MUST(!text.overflow && text_span(&text).len > 4);
    return read_ns;
}

/* What a caller said, sent on from hop to hop at once, never grows, and stays what it is after the first. */
static void check_hops(struct span timeout)
{
    int64_t ns, next_ns, last_ns;

    if (!budget_parse(SPAN_LIT("grpc-timeout"), timeout, &ns))
        return;
    next_ns = check_timeout(ns);
    MUST(next_ns <= ns || ns == 0);
    last_ns = check_timeout(next_ns);
    MUST(last_ns == next_ns);
}

/* ---- a message ----------------------------------------------------------------------------------------- */

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Decoded, it is what it was; what is in it can stand in a field. */
static void check_message(struct span message)
{
    static char block[3 * 4096];
    struct text text = text_over(block, sizeof(block));
    struct text small = text_over(block, message.len); /* often too small */
    struct span coded;
    size_t at = 0;

    if (message.len > 4096)
        return;
    grpc_put_message(&small, message);
    MUST(text_span(&small).len <= message.len);
    grpc_put_message(&text, message);
    MUST(!text.overflow);
    coded = text_span(&text);
    MUST(http1_is_field_value(coded));
    for (size_t i = 0; i < message.len; i++, at++) {
        MUST(at < coded.len && coded.ptr[at] >= ' ' && coded.ptr[at] <= '~');
        if (coded.ptr[at] != '%') {
            MUST(coded.ptr[at] == message.ptr[i]);
            continue;
        }
        MUST(at + 2 < coded.len);
        MUST(hex(coded.ptr[at + 1]) * 16 + hex(coded.ptr[at + 2]) == (unsigned char)message.ptr[i]);
        at += 2;
    }
    MUST(at == coded.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct input input = {data, len};
    int64_t left_ns = (int64_t)input_number(&input, 8);
    struct span type = next_line(&input), timeout = next_line(&input), status = next_line(&input);

    check_fields(type, status);
    (void)check_timeout(left_ns);
    check_hops(timeout);
    check_message(input_rest(&input));
    return 0;
}
