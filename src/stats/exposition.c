#include "stats/exposition.h"

#include "base/invariant.h"
#include "base/text.h"

#define NOT_IN_BLOCK SIZE_MAX

static void flush(struct exposition *out)
{
    if (out->len != 0)
        out->emit(out->arg, (struct span){out->block, out->len});
    out->len = 0;
    out->sample_at = NOT_IN_BLOCK;
}

static inline void put(struct exposition *out, const char *bytes, size_t len)
{
    if (len > sizeof(out->block) - out->len) {
        flush(out);
        if (len > sizeof(out->block)) {
            out->emit(out->arg, (struct span){bytes, len});
            return;
        }
    }
    memcpy(out->block + out->len, bytes, len);
    out->len += len;
    POST(out->len <= sizeof(out->block));
}

#define PUT_LIT(out, literal) put((out), "" literal, sizeof(literal) - 1)

static void put_text(struct exposition *out, const char *text)
{
    put(out, text, strlen(text));
}

#define SPECIAL_IN_HELP  "\\\n"
#define SPECIAL_IN_LABEL "\\\n\""

static void put_escaped(struct exposition *out, const char *text, const char *special)
{
    for (;;) {
        size_t plain = strcspn(text, special);

        put(out, text, plain);
        text += plain;
        if (*text == '\0')
            return;
        PUT_LIT(out, "\\");
        put(out, *text == '\n' ? "n" : text, 1);
        text++;
    }
}

void exposition_init(struct exposition *out, exposition_fn emit, void *arg)
{
    out->emit = emit;
    out->arg = arg;
    out->len = 0;
    out->sample_at = NOT_IN_BLOCK;
    out->stem_len = 0;
    out->has_labels = false;
}

void exposition_family(struct exposition *out, const char *name, enum exposition_type type, const char *help)
{
    static const char *const types[] = {
        [EXPOSITION_COUNTER] = " counter\n",
        [EXPOSITION_GAUGE] = " gauge\n",
        [EXPOSITION_HISTOGRAM] = " histogram\n",
    };

    PUT_LIT(out, "# HELP ");
    put_text(out, name);
    PUT_LIT(out, " ");
    put_escaped(out, help, SPECIAL_IN_HELP);
    PUT_LIT(out, "\n# TYPE ");
    put_text(out, name);
    put_text(out, types[type]);
}

/* Where there is room for a stem, so that one can be kept. */
static void begin_sample(struct exposition *out)
{
    if (sizeof(out->block) - out->len < sizeof(out->stem))
        flush(out);
    out->sample_at = out->len;
}

void exposition_sample(struct exposition *out, const char *name, const char *suffix)
{
    begin_sample(out);
    put_text(out, name);
    put_text(out, suffix);
    out->has_labels = false;
}

void exposition_label(struct exposition *out, const char *key, const char *value)
{
    put(out, out->has_labels ? "," : "{", 1);
    out->has_labels = true;
    put_text(out, key);
    PUT_LIT(out, "=\"");
    put_escaped(out, value, SPECIAL_IN_LABEL);
    PUT_LIT(out, "\"");
}

void exposition_stem(struct exposition *out)
{
    size_t len = out->len - out->sample_at;

    PRE(out->sample_at == NOT_IN_BLOCK || out->sample_at < out->len); /* it has a name at least */
    out->stem_len = 0;
    if (out->sample_at == NOT_IN_BLOCK || len > sizeof(out->stem))
        return;
    memcpy(out->stem, out->block + out->sample_at, len);
    out->stem_len = len;
}

bool exposition_repeat(struct exposition *out)
{
    if (out->stem_len == 0)
        return false;
    begin_sample(out);
    put(out, out->stem, out->stem_len);
    out->has_labels = out->stem[out->stem_len - 1] == '"';
    return true;
}

static void end_sample(struct exposition *out, struct span value)
{
    if (out->has_labels)
        PUT_LIT(out, "}");
    PUT_LIT(out, " ");
    put(out, value.ptr, value.len);
    PUT_LIT(out, "\n");
}

void exposition_u64(struct exposition *out, uint64_t value)
{
    char digits[24];
    struct text number = text_over(digits, sizeof(digits));

    text_u64(&number, value);
    end_sample(out, text_span(&number));
}

void exposition_number(struct exposition *out, double value)
{
    char digits[40];
    struct text number = text_over(digits, sizeof(digits));

    /* A double has 15 digits for sure: whole numbers show none of its noise. */
    text_printf(&number, "%.15g", value);
    end_sample(out, text_span(&number));
}

void exposition_end(struct exposition *out)
{
    flush(out);
}
