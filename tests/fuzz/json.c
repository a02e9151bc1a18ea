/*
 * base/json, which writes the log, the problem body and what the admin answers: any bytes become one line of valid JSON
 * that says the same, in one piece or by blocks. jansson is the judge.
 *
 * Input: members, a byte for the kind of each, and its value: a string has its length in front, numbers are 8 bytes.
 */
#include <jansson.h>
#include <math.h>

#include "base/json.h"
#include "fuzz.h"

#define MEMBERS_MAX 64
#define DEPTH_MAX   8
#define TEXT_MAX    (MEMBERS_MAX * (255 * 6 + 40))

enum kind { OPEN, CLOSE, STRING, NUMBER, TIME, TRUTH, LIST, REAL, SIGNED, HEX, NOTHING, KINDS };

struct member {
    enum kind kind;
    struct span value;
    uint64_t number;
    char key[8];
};

struct document {
    struct jsonw writer;
    struct text text;
    uint32_t count, depth;
    bool is_list[DEPTH_MAX]; /* by depth, from 1 on */
    struct member members[MEMBERS_MAX];
};

/* How long the character is that `s` begins with; 0 if it begins with none. */
static size_t character(struct span s)
{
    for (size_t len = 1; len <= 4 && len <= s.len; len++) {
        json_t *text = json_stringn(s.ptr, len);

        json_decref(text);
        if (text != NULL)
            return len;
    }
    return 0;
}

/* Each byte that begins no character has become U+FFFD; all the rest is what it was. */
static void check_replaced(struct span value, struct span decoded)
{
    while (value.len != 0) {
        size_t len = character(value), from = len != 0 ? len : 1, to = len != 0 ? len : 3;

        MUST(decoded.len >= to && memcmp(decoded.ptr, len != 0 ? value.ptr : "\xef\xbf\xbd", to) == 0);
        value = (struct span){value.ptr + from, value.len - from};
        decoded = (struct span){decoded.ptr + to, decoded.len - to};
    }
    MUST(decoded.len == 0);
}

static void check_string(const json_t *found, struct span value)
{
    /* NULL if it is not UTF-8. */
    json_t *same = json_stringn(value.ptr, value.len);

    MUST(json_is_string(found));
    if (same != NULL)
        MUST(json_equal(same, found));
    else
        check_replaced(value, (struct span){json_string_value(found), json_string_length(found)});
    json_decref(same);
}

static double real_of(const struct member *member)
{
    double value;

    memcpy(&value, &member->number, sizeof(value));
    return isfinite(value) ? value : 0;
}

static void check_hex(const json_t *found, uint64_t number)
{
    char digits[20];

    snprintf(digits, sizeof(digits), "%llx", (unsigned long long)number);
    MUST(json_is_string(found) && strcmp(json_string_value(found), digits) == 0);
}

static void check_member(const json_t *found, const struct member *member)
{
    double ms = (double)((int64_t)member->number / 1000) / 1000;

    MUST(found != NULL);
    switch (member->kind) {
    case STRING: check_string(found, member->value); break;
    case NUMBER: MUST(json_real_value(found) == (double)member->number); break;
    case TIME: MUST(fabs(json_real_value(found) - ms) <= fabs(ms) * 1e-15); break;
    case TRUTH: MUST(json_boolean_value(found) == (member->number != 0)); break;
    case REAL: MUST(json_real_value(found) == real_of(member)); break;
    case SIGNED: MUST(json_real_value(found) == (double)(int64_t)member->number); break;
    case HEX: check_hex(found, member->number); break;
    case NOTHING: MUST(json_is_null(found)); break;
    case LIST: MUST(json_is_array(found)); break;
    default: MUST(json_is_object(found)); break;
    }
}

/* Members as they were written, each container's own and those within it; returns the first one that is not its. */
static uint32_t check_container(const struct document *document, json_t *container, uint32_t at)
{
    bool is_list = json_is_array(container);
    size_t members = 0;

    while (at < document->count && document->members[at].kind != CLOSE) {
        const struct member *member = &document->members[at++];
        json_t *found =
            is_list ? json_array_get(container, members) : json_object_get(container, member->key);

        check_member(found, member);
        members++;
        if (member->kind == OPEN || member->kind == LIST)
            at = check_container(document, found, at) + 1;
    }
    MUST((is_list ? json_array_size(container) : json_object_size(container)) == members);
    return at;
}

static void check_text(const struct document *document)
{
    json_error_t error;
    json_t *root = json_loadb(document->text.ptr, document->text.len,
                              JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &error);

    MUST(!document->text.overflow && root != NULL);
    for (size_t i = 0; i < document->text.len; i++) {
        unsigned char c = (unsigned char)document->text.ptr[i];

        MUST(c >= 0x20 && c != 0x7f);
        MUST(c != 0xc2 || (unsigned char)document->text.ptr[i + 1] >= 0xa0);
    }
    check_container(document, root, 0);
    json_decref(root);
}

static void close_last(struct document *document)
{
    if (document->is_list[--document->depth])
        jsonw_close_array(&document->writer);
    else
        jsonw_close_object(&document->writer);
}

static void write_member(struct document *document, struct input *input, enum kind kind)
{
    struct member *member = &document->members[document->count];
    const char *key = document->is_list[document->depth - 1] ? NULL : member->key;
    struct jsonw *writer = &document->writer;

    if (kind == CLOSE ? document->depth == 1 : (kind == OPEN || kind == LIST) && document->depth == DEPTH_MAX)
        return;
    *member = (struct member){.kind = kind};
    snprintf(member->key, sizeof(member->key), "k%u", document->count++);
    if (kind >= NUMBER && kind != LIST && kind != NOTHING)
        member->number = input_number(input, kind == TRUTH ? 1 : 8);
    switch (kind) {
    case OPEN: jsonw_open_object(writer, key); break;
    case LIST: jsonw_open_array(writer, key); break;
    case CLOSE: close_last(document); break;
    case STRING:
        member->value = input_text(input, input_byte(input));
        jsonw_string(writer, key, member->value);
        break;
    case NUMBER: jsonw_u64(writer, key, member->number); break;
    case SIGNED: jsonw_i64(writer, key, (int64_t)member->number); break;
    case HEX: jsonw_hex(writer, key, member->number); break;
    case TIME: jsonw_ms(writer, key, (int64_t)member->number); break;
    case REAL: jsonw_real(writer, key, real_of(member), 17); break;
    case NOTHING: jsonw_null(writer, key); break;
    default: jsonw_bool(writer, key, member->number != 0); break;
    }
    if (kind == OPEN || kind == LIST)
        document->is_list[document->depth++] = kind == LIST;
}

/* Writes all of the input by this writer, onto document.text. */
static void write_document(struct document *document, struct input input, struct jsonw writer)
{
    document->writer = writer;
    document->count = 0;
    document->depth = 1;
    document->is_list[0] = false;
    jsonw_open_object(&document->writer, NULL);
    while (input.left != 0 && document->count < MEMBERS_MAX)
        write_member(document, &input, (enum kind)(input_byte(&input) % KINDS));
    while (document->depth > 0)
        close_last(document);
}

/* ---- by blocks ------------------------------------------------------------------------------------------- */

static struct text gathered;

static void gather(struct jsonw *writer)
{
    text_put(&gathered, text_span(writer->out));
    writer->out->len = 0;
}

static void check_blocks(struct document *document, struct input input, struct span whole)
{
    static char block[512], all[TEXT_MAX];

    gathered = text_over(all, sizeof(all));
    document->text = text_over(block, sizeof(block));
    write_document(document, input, jsonw_flushed(&document->text, gather));
    gather(&document->writer);
    MUST(!document->text.overflow && span_eq(text_span(&gathered), whole));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static struct document document, cut;
    static char block[TEXT_MAX];
    size_t cap;
    char *short_block;

    document.text = text_over(block, sizeof(block));
    write_document(&document, (struct input){bytes, len}, jsonw_on(&document.text));
    check_text(&document);
    check_blocks(&cut, (struct input){bytes, len}, text_span(&document.text));
    /* In a block that is too short: says so, and writes no byte behind it. */
    cap = document.text.len * (len % 16) / 16;
    short_block = malloc(cap != 0 ? cap : 1);
    MUST(short_block != NULL);
    cut.text = text_over(short_block, cap);
    write_document(&cut, (struct input){bytes, len}, jsonw_on(&cut.text));
    MUST(cut.text.overflow && cut.text.len <= cap && memcmp(short_block, block, cut.text.len) == 0);
    free(short_block);
    return 0;
}
