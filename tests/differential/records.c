#include "records.h"

#include <stdio.h>
#include <stdlib.h>

static void need(void *block, size_t len)
{
    if (fread(block, 1, len, stdin) == len)
        return;
    fputs("a record is not whole\n", stderr);
    exit(2);
}

bool record_read(struct record *record)
{
    int kind = getchar();

    if (kind == EOF)
        return false;
    record->responses = kind == 'S';
    need(&record->cut_count, sizeof(record->cut_count));
    need(&record->method_count, sizeof(record->method_count));
    need(&record->len, sizeof(record->len));
    need(record->cuts, record->cut_count * sizeof(record->cuts[0]));
    need(record->methods, record->method_count);
    free(record->bytes);
    record->bytes = malloc(record->len);
    if (record->bytes == NULL)
        abort();
    need(record->bytes, record->len);
    return true;
}

char record_method(const struct record *record, unsigned nth)
{
    return nth < record->method_count ? record->methods[nth] : 'G';
}

void put_hex(struct text *out, struct span bytes)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < bytes.len; i++) {
        char pair[2] = {digits[(unsigned char)bytes.ptr[i] >> 4], digits[bytes.ptr[i] & 15]};

        text_bytes(out, pair, sizeof(pair));
    }
}

void put_field(struct text *out, struct span name, struct span value)
{
    put_hex(out, name);
    TEXT_LIT(out, "3a");
    put_hex(out, value);
    TEXT_LIT(out, "0a");
}
