#include "core/http1_fields.h"

#include "base/number.h"
#include "core/octet.h"

/*
 * A tab before or behind the value is sound white space (RFC 9110 5.6.3), yet there are readers that take it for a part
 * of the value, and then see another framing.
 */
static bool has_tab(const struct http1_field *field)
{
    return memchr(field->line.ptr, '\t', field->line.len) != NULL;
}

static enum cause read_content_length(struct http1_head *head, const struct http1_seen *seen,
                                      const char **detail)
{
    const struct http1_field *field = &head->fields[seen->first[HTTP1_FIELD_CONTENT_LENGTH]];
    struct span value = field->value;

    head->odd = field->line;
    if (seen->count[HTTP1_FIELD_CONTENT_LENGTH] > 1) {
        *detail = "two Content-Length fields";
        return CAUSE_BAD_REQUEST;
    }
    if (value.len == 0 || !octet_all(value, OCTET_DIGIT) || has_tab(field)) {
        *detail = "Content-Length is not one number";
        return CAUSE_BAD_REQUEST;
    }
    if (number_u64(value, &head->content_length) != NUMBER_OK || head->content_length > INT64_MAX) {
        *detail = "Content-Length is too large";
        return CAUSE_CONTENT_TOO_LARGE;
    }
    head->framing = HTTP1_LENGTH;
    return CAUSE_NONE;
}

static bool holds_chunked(struct span s)
{
    const size_t len = sizeof("chunked") - 1;

    for (size_t i = 0; i + len <= s.len; i++)
        if (span_eq_nocase((struct span){s.ptr + i, len}, SPAN_LIT("chunked")))
            return true;
    return false;
}

/*
 * A value that is not just "chunked". Other codings in front of it are sound but not ours to undo; anything
 * by which one recipient may see chunked and another not is an attack or a fault.
 */
static enum cause judge_codings(struct span value, const char **detail)
{
    struct span rest = value, coding;
    bool other = false, chunked = false;

    while (span_next_element(&rest, &coding)) {
        bool is_chunked = span_eq_nocase(coding, SPAN_LIT("chunked"));

        if (chunked || !http1_is_token(coding) || (!is_chunked && holds_chunked(coding))) {
            *detail = "Transfer-Encoding is malformed";
            return CAUSE_BAD_REQUEST;
        }
        chunked = is_chunked;
        other |= !is_chunked;
    }
    if (!other) {
        *detail = "Transfer-Encoding is malformed";
        return CAUSE_BAD_REQUEST;
    }
    *detail = "the only transfer coding that is taken is chunked";
    return CAUSE_TRANSFER_CODING;
}

static enum cause read_transfer_encoding(struct http1_head *head, const struct http1_seen *seen,
                                         const char **detail)
{
    const struct http1_field *field = &head->fields[seen->first[HTTP1_FIELD_TRANSFER_ENCODING]];

    head->odd = field->line;
    if (seen->count[HTTP1_FIELD_TRANSFER_ENCODING] > 1) {
        *detail = "two Transfer-Encoding fields";
        return CAUSE_BAD_REQUEST;
    }
    if (seen->count[HTTP1_FIELD_CONTENT_LENGTH] != 0) {
        *detail = "Transfer-Encoding and Content-Length";
        return CAUSE_BAD_REQUEST;
    }
    if (head->minor == 0) {
        *detail = "Transfer-Encoding in HTTP/1.0";
        return CAUSE_BAD_REQUEST;
    }
    if (!span_eq_nocase(field->value, SPAN_LIT("chunked")))
        return judge_codings(field->value, detail);
    if (has_tab(field)) {
        *detail = "Transfer-Encoding is malformed";
        return CAUSE_BAD_REQUEST;
    }
    head->framing = HTTP1_CHUNKED;
    return CAUSE_NONE;
}

enum cause http1_read_framing(struct http1_head *head, const struct http1_seen *seen, const char **detail)
{
    head->framing = HTTP1_NO_CONTENT;
    head->content_length = 0;
    if (seen->count[HTTP1_FIELD_TRANSFER_ENCODING] != 0)
        return read_transfer_encoding(head, seen, detail);
    if (seen->count[HTTP1_FIELD_CONTENT_LENGTH] != 0)
        return read_content_length(head, seen, detail);
    return CAUSE_NONE;
}
