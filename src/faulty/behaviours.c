#include "faulty/behaviours.h"

#include <string.h>

#include "base/number.h"
#include "faulty/reply.h"

static const struct faulty_behaviour *const tables[] = {faulty_answers, faulty_uploads, faulty_faults,
                                                        faulty_orders,  faulty_events,  faulty_h2_faults,
                                                        faulty_sockets, faulty_admin};

static void answer_unknown(struct faulty_conn *c)
{
    faulty_reply_text(c, 404, "text/plain",
                      SPAN_LIT("no such path; curfew faulty --help lists those that there are\n"));
}

static void answer_out_of_bounds(struct faulty_conn *c)
{
    faulty_reply_text(c, 400, "text/plain",
                      SPAN_LIT("a value is missing, malformed or out of bounds; see curfew faulty --help\n"));
}

static const struct faulty_behaviour unknown = {.answer = answer_unknown};
static const struct faulty_behaviour out_of_bounds = {.answer = answer_out_of_bounds};

/* A value with its %XX put in. False: it is too long, or not what a field's value may be. */
static bool copy_text(char *out, size_t cap, struct span value)
{
    size_t len = 0;

    for (size_t i = 0; i < value.len; i++) {
        uint64_t byte = (unsigned char)value.ptr[i];

        if (byte == '%' &&
            (value.len - i < 3 || number_hex((struct span){value.ptr + i + 1, 2}, &byte) != NUMBER_OK))
            return false;
        if (value.ptr[i] == '%')
            i += 2;
        if (byte < ' ' || byte > '~' || len + 1 >= cap)
            return false;
        out[len++] = (char)byte;
    }
    out[len] = '\0';
    return true;
}

/* A parameter's text; empty if it is not there. */
static bool take_text(const struct faulty_request *request, const char *name, char *out, size_t cap)
{
    struct span value;

    if (!faulty_request_param(request->query, span_of(name), &value))
        value = SPAN_LIT("");
    return copy_text(out, cap, value);
}

static bool take_number(const struct faulty_request *request, const char *name, uint64_t *out, bool *is_there)
{
    struct span value;

    *is_there = faulty_request_param(request->query, span_of(name), &value);
    return !*is_there || number_u64(value, out) == NUMBER_OK;
}

/* FNV-1a. */
static uint64_t hash(uint64_t sum, struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        sum = (sum ^ (unsigned char)text.ptr[i]) * UINT64_C(0x100000001b3);
    return sum;
}

static bool take_path(const struct faulty_behaviour *b, struct span rest, struct faulty_args *args)
{
    if (b->arg == NULL)
        return true;
    if (b->takes_text)
        return rest.len != 0 && copy_text(args->text, sizeof(args->text), rest);
    return number_u64(rest, &args->value) == NUMBER_OK && args->value >= b->min && args->value <= b->max;
}

static const struct faulty_behaviour *find_path(struct span path, struct span *rest)
{
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
        for (const struct faulty_behaviour *b = tables[i]; b->path != NULL; b++) {
            size_t len = strlen(b->path);

            if (path.len < len || memcmp(path.ptr, b->path, len) != 0 || (b->arg == NULL && path.len != len))
                continue;
            *rest = (struct span){path.ptr + len, path.len - len};
            return b;
        }
    return NULL;
}

const struct faulty_behaviour *faulty_behaviours_find(const struct faulty_request *request,
                                                      struct faulty_args *args)
{
    struct span rest, value;
    const struct faulty_behaviour *b = find_path(request->path, &rest);

    *args = (struct faulty_args){0};
    if (b == NULL)
        return &unknown;
    if (!take_path(b, rest, args) || !take_number(request, "bytes", &args->bytes, &args->has_bytes) ||
        !take_number(request, "down", &args->down, &args->has_down) ||
        !take_text(request, "by", args->by, sizeof(args->by)) ||
        !take_text(request, "after", args->after, sizeof(args->after)))
        return &out_of_bounds;
    args->chunked = faulty_request_param(request->query, SPAN_LIT("chunked"), &value);
    args->raw = faulty_request_param(request->query, SPAN_LIT("raw"), &value);
    args->no_length = faulty_request_param(request->query, SPAN_LIT("nolength"), &value);
    args->told = faulty_request_param(request->query, SPAN_LIT("told"), &value);
    args->key = hash(UINT64_C(0xcbf29ce484222325), rest);
    if (faulty_request_param(request->query, SPAN_LIT("key"), &value))
        args->key = hash(args->key * 3, value);
    return b->is_good == NULL || b->is_good(args) ? b : &out_of_bounds;
}

void faulty_behaviours_describe(FILE *out)
{
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
        for (const struct faulty_behaviour *b = tables[i]; b->path != NULL; b++) {
            char name[64];

            (void)snprintf(name, sizeof(name), "%s%s%s", b->path, b->arg != NULL ? b->arg : "",
                           b->params != NULL ? b->params : "");
            (void)fprintf(out, "  %-26s %s\n", name, b->help);
        }
}
