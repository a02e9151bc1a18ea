/*
 * Reads records with http-parser and says what it saw, in the words of curfew.c. The last entry is "refused CODE", or
 * "end".
 */
#include <http_parser.h>
#include <stdio.h>
#include <stdlib.h>

#include "records.h"

enum part { TARGET, FIELDS, CONTENT, TRAILERS, PARTS };

struct reader {
    http_parser parser;
    const struct record *record;
    size_t fed;
    unsigned final_responses;
    struct text parts[PARTS], name, value;
    char words[64]; /* method or code, minor, keep-alive */
    bool has_value, in_content, handed_over;
};

static struct reader *reader_of(http_parser *parser)
{
    return (struct reader *)parser->data;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* http-parser leaves it to its user to cut the white space behind a value. */
static void end_field(struct reader *reader)
{
    struct text *into = &reader->parts[reader->in_content ? TRAILERS : FIELDS];
    struct span value = text_span(&reader->value);

    while (value.len != 0 && is_blank(value.ptr[value.len - 1]))
        value.len--;
    if (reader->name.len != 0)
        put_field(into, text_span(&reader->name), value);
    reader->name.len = reader->value.len = 0;
    reader->has_value = false;
}

static int message_begins(http_parser *parser)
{
    struct reader *reader = reader_of(parser);

    for (enum part part = TARGET; part < PARTS; part++)
        reader->parts[part].len = 0;
    reader->name.len = reader->value.len = 0;
    reader->has_value = reader->in_content = reader->handed_over = false;
    return 0;
}

static int target_comes(http_parser *parser, const char *bytes, size_t len)
{
    put_hex(&reader_of(parser)->parts[TARGET], (struct span){bytes, len});
    return 0;
}

static int name_comes(http_parser *parser, const char *bytes, size_t len)
{
    struct reader *reader = reader_of(parser);

    if (reader->has_value)
        end_field(reader);
    text_bytes(&reader->name, bytes, len);
    return 0;
}

static int value_comes(http_parser *parser, const char *bytes, size_t len)
{
    struct reader *reader = reader_of(parser);

    reader->has_value = true; /* it may be empty */
    text_bytes(&reader->value, bytes, len);
    return 0;
}

static int content_comes(http_parser *parser, const char *bytes, size_t len)
{
    put_hex(&reader_of(parser)->parts[CONTENT], (struct span){bytes, len});
    return 0;
}

static void note_words(struct reader *reader)
{
    http_parser *parser = &reader->parser;
    int minor = parser->http_major == 1 && parser->http_minor > 1 ? 1 : parser->http_minor;

    if (reader->record->responses)
        snprintf(reader->words, sizeof(reader->words), "%u,%d,%d", parser->status_code, minor,
                 http_should_keep_alive(parser));
    else
        snprintf(reader->words, sizeof(reader->words), "%s,%d,%d",
                 http_method_str((enum http_method)parser->method), minor, http_should_keep_alive(parser));
}

/* http-parser wants to know of its user if this response has no content, whatever its fields say. */
static int head_is_whole(http_parser *parser)
{
    struct reader *reader = reader_of(parser);

    end_field(reader);
    note_words(reader);
    reader->in_content = true;
    reader->handed_over = parser->upgrade != 0;
    return reader->record->responses &&
           (parser->status_code == 304 || record_method(reader->record, reader->final_responses) == 'H');
}

static void put_message(struct reader *reader, bool whole)
{
    if (whole)
        printf("%zu", reader->fed);
    else
        putchar('-');
    printf(",%s", reader->words);
    for (enum part part = TARGET; part < PARTS; part++)
        printf(",%.*s", (int)reader->parts[part].len, reader->parts[part].ptr);
    putchar('/');
}

static int message_ends(http_parser *parser)
{
    struct reader *reader = reader_of(parser);

    end_field(reader);
    note_words(reader); /* by now it knows whether there was content */
    put_message(reader, true);
    reader->in_content = false;
    if (reader->record->responses && parser->status_code >= 200)
        reader->final_responses++;
    return 0;
}

static const http_parser_settings settings = {
    .on_message_begin = message_begins,
    .on_url = target_comes,
    .on_header_field = name_comes,
    .on_header_value = value_comes,
    .on_headers_complete = head_is_whole,
    .on_body = content_comes,
    .on_message_complete = message_ends,
};

/*
 * False: it reads no further. `fed` is set first: a message that ends in this piece ends with it, or boundaries differ.
 */
static bool feed(struct reader *reader, size_t end)
{
    size_t start = reader->fed, len = end - start;

    reader->fed = end;
    return http_parser_execute(&reader->parser, &settings, reader->record->bytes + start, len) == len &&
           HTTP_PARSER_ERRNO(&reader->parser) == HPE_OK && !reader->handed_over;
}

static const char *why_not(const struct reader *reader)
{
    return reader->handed_over ? "UPGRADE" : http_errno_name(HTTP_PARSER_ERRNO(&reader->parser)) + 4;
}

static void read_record(struct reader *reader)
{
    const struct record *record = reader->record;
    bool goes_on = true;

    http_parser_init(&reader->parser, record->responses ? HTTP_RESPONSE : HTTP_REQUEST);
    reader->parser.data = reader;
    reader->fed = reader->final_responses = 0;
    reader->has_value = reader->in_content = reader->handed_over = false;
    for (unsigned i = 0; i < record->cut_count && goes_on; i++)
        goes_on = feed(reader, record->cuts[i]);
    if (goes_on && reader->fed < record->len)
        goes_on = feed(reader, record->len);
    if (goes_on && reader->in_content)
        (void)http_parser_execute(&reader->parser, &settings, "", 0); /* the end may be the content's */
    if (goes_on && reader->in_content)
        put_message(reader, false);
    if (goes_on)
        puts("end");
    else
        printf("refused %s\n", why_not(reader));
}

int main(void)
{
    static char blocks[PARTS][1 << 20], name[1 << 16], value[1 << 16];
    static struct record record;
    struct reader reader = {.record = &record};

    for (enum part part = TARGET; part < PARTS; part++)
        reader.parts[part] = text_over(blocks[part], sizeof(blocks[part]));
    reader.name = text_over(name, sizeof(name));
    reader.value = text_over(value, sizeof(value));
    while (record_read(&record))
        read_record(&reader);
    free(record.bytes);
    return 0;
}
