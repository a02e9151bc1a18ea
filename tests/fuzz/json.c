/*
 * base/json, which writes the log and the problem body: any bytes become one line of valid JSON that says the same.
 * jansson is the judge.
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

enum kind { OPEN, CLOSE, STRING, NUMBER, TIME, TRUTH, KINDS };

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

static void check_member(json_t *object, const struct member *member)
{
    const json_t *found = json_object_get(object, member->key);
    double ms = (double)((int64_t)member->number / 1000) / 1000;

    MUST(found != NULL);
    switch (member->kind) {
    case STRING: check_string(found, member->value); break;
    case NUMBER: MUST(json_real_value(found) == (double)member->number); break;
    case TIME: MUST(fabs(json_real_value(found) - ms) <= fabs(ms) * 1e-15); break;
    case TRUTH: MUST(json_boolean_value(found) == (member->number != 0)); break;
    default: MUST(json_is_object(found)); break;
    }
}

/* Members as they were written, each object's own and those within it; returns the first one that is not its. */
static uint32_t check_object(const struct document *document, json_t *object, uint32_t at)
{
    size_t members = 0;

    while (at < document->count && document->members[at].kind != CLOSE) {
        const struct member *member = &document->members[at++];

        check_member(object, member);
        members++;
        if (member->kind == OPEN)
            at = check_object(document, json_object_get(object, member->key), at) + 1;
    }
    MUST(json_object_size(object) == members);
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
    check_object(document, root, 0);
    json_decref(root);
}

static void write_member(struct document *document, struct input *input, enum kind kind)
{
    struct member *member = &document->members[document->count];

    if (kind == CLOSE ? document->depth == 1 : kind == OPEN && document->depth == DEPTH_MAX)
        return;
    *member = (struct member){.kind = kind};
    snprintf(member->key, sizeof(member->key), "k%u", document->count++);
    if (kind == NUMBER || kind == TIME || kind == TRUTH)
        member->number = input_number(input, kind == TRUTH ? 1 : 8);
    switch (kind) {
    case OPEN:
        document->depth++;
        jsonw_open_object(&document->writer, member->key);
        break;
    case CLOSE:
        document->depth--;
        jsonw_close_object(&document->writer);
        break;
    case STRING:
        member->value = input_text(input, input_byte(input));
        jsonw_string(&document->writer, member->key, member->value);
        break;
    case NUMBER: jsonw_u64(&document->writer, member->key, member->number); break;
    case TIME: jsonw_ms(&document->writer, member->key, (int64_t)member->number); break;
    default: jsonw_bool(&document->writer, member->key, member->number != 0); break;
    }
}

/* Writes all of the input onto a text with room for `cap` bytes. */
static void write_document(struct document *document, struct input input, char *block, size_t cap)
{
    document->text = text_over(block, cap);
    document->writer = jsonw_on(&document->text);
    document->count = 0;
    document->depth = 1;
    jsonw_open_object(&document->writer, NULL);
    while (input.left != 0 && document->count < MEMBERS_MAX)
        write_member(document, &input, (enum kind)(input_byte(&input) % KINDS));
    for (uint32_t depth = document->depth; depth > 0; depth--)
        jsonw_close_object(&document->writer);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static struct document document, cut;
    static char block[TEXT_MAX];
    size_t cap;
    char *short_block;

    write_document(&document, (struct input){bytes, len}, block, sizeof(block));
    check_text(&document);
    /* In a block that is too short: says so, and writes no byte behind it. */
    cap = document.text.len * (len % 16) / 16;
    short_block = malloc(cap != 0 ? cap : 1);
    MUST(short_block != NULL);
    write_document(&cut, (struct input){bytes, len}, short_block, cap);
    MUST(cut.text.overflow && cut.text.len <= cap && memcmp(short_block, block, cut.text.len) == 0);
    free(short_block);
    return 0;
}
