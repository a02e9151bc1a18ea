#include "http/grpc.h"

#include "base/invariant.h"
#include "base/number.h"

#define DIGITS_END UINT64_C(100000000)
#define STATUS     SPAN_LIT("grpc-status")

bool grpc_is_type(struct span content_type)
{
    const struct span grpc = SPAN_LIT("application/grpc");
    char next;

    if (content_type.len < grpc.len || !span_eq_nocase((struct span){content_type.ptr, grpc.len}, grpc))
        return false;
    next = content_type.len > grpc.len ? content_type.ptr[grpc.len] : ';';
    return next == '+' || next == ';' || next == ' ' || next == '\t';
}

struct span grpc_type_of(const struct http1_head *head)
{
    for (const struct http1_field *field = head->fields, *end = field + head->field_count; field < end;
         field++)
        if (span_eq_nocase(field->name, SPAN_LIT("content-type")))
            return grpc_is_type(field->value) ? field->value : SPAN_LIT("");
    return SPAN_LIT("");
}

bool grpc_status_of_head(const struct http1_head *head, enum grpc_code *code)
{
    for (const struct http1_field *field = head->fields, *end = field + head->field_count; field < end;
         field++)
        if (span_eq_nocase(field->name, STATUS)) {
            *code = grpc_code_read(field->value);
            return true;
        }
    return false;
}

bool grpc_status_of_trailers(struct span trailers, enum grpc_code *code)
{
    struct http1_field field;
    bool bad;

    while (http1_next_trailer(&trailers, &field, &bad))
        if (span_eq_nocase(field.name, STATUS)) {
            *code = grpc_code_read(field.value);
            return true;
        }
    return false;
}

void grpc_put_timeout_value(struct text *out, int64_t left_ns)
{
    static const struct {
        int64_t ns;
        char letter;
    } units[] = {{NS_PER_MS, 'm'}, {NS_PER_S, 'S'}, {60 * NS_PER_S, 'M'}, {3600 * NS_PER_S, 'H'}};
    uint64_t count = 0;
    size_t i = 0;

    if (left_ns < NS_PER_MS) { /* the last moments are told finer: 0 is no timeout */
        text_u64(out, left_ns >= NS_PER_US ? (uint64_t)(left_ns / NS_PER_US) : 1);
        text_put(out, left_ns >= NS_PER_US ? SPAN_LIT("u") : SPAN_LIT("n"));
        return;
    }
    while ((count = (uint64_t)(left_ns / units[i].ns)) >= DIGITS_END)
        i++;
    POST(i < sizeof(units) / sizeof(units[0]) && count != 0); /* INT64_MAX is 2,562,047 hours */
    text_u64(out, count);
    text_put(out, (struct span){&units[i].letter, 1});
}

void grpc_put_timeout(struct text *out, int64_t left_ns)
{
    TEXT_LIT(out, "grpc-timeout: ");
    grpc_put_timeout_value(out, left_ns);
    TEXT_LIT(out, "\r\n");
}

void grpc_put_message(struct text *out, struct span message)
{
    static const char digits[] = "0123456789ABCDEF";

    for (size_t i = 0; i < message.len; i++) {
        unsigned char byte = (unsigned char)message.ptr[i];
        char coded[] = {'%', digits[byte >> 4], digits[byte & 15]};

        if (byte >= ' ' && byte <= '~' && byte != '%')
            text_put(out, (struct span){&message.ptr[i], 1});
        else
            text_put(out, (struct span){coded, sizeof(coded)});
    }
}
