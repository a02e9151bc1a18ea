#include "faulty/behaviours.h"

#include <string.h>

#include "base/number.h"
#include "faulty/reply.h"

static const struct faulty_behaviour *const tables[] = {faulty_answers, faulty_uploads, faulty_faults,
                                                        faulty_admin};

static void answer_unknown(struct faulty_conn *c)
{
    faulty_reply_text(c, 404, "text/plain",
                      SPAN_LIT("no such path; curfew faulty --help lists those that there are\n"));
}

static void answer_out_of_bounds(struct faulty_conn *c)
{
    faulty_reply_text(
        c, 400, "text/plain",
        SPAN_LIT("a number is missing, malformed or out of bounds; see curfew faulty --help\n"));
}

static const struct faulty_behaviour unknown = {.answer = answer_unknown};
static const struct faulty_behaviour out_of_bounds = {.answer = answer_out_of_bounds};

static const struct faulty_behaviour *find_path(struct span path, struct span *number)
{
    for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
        for (const struct faulty_behaviour *b = tables[i]; b->path != NULL; b++) {
            size_t len = strlen(b->path);

            if (path.len < len || memcmp(path.ptr, b->path, len) != 0 || (b->arg == NULL && path.len != len))
                continue;
            *number = (struct span){path.ptr + len, path.len - len};
            return b;
        }
    return NULL;
}

const struct faulty_behaviour *faulty_behaviours_find(const struct faulty_request *request,
                                                      struct faulty_args *args)
{
    struct span number, value;
    const struct faulty_behaviour *b = find_path(request->path, &number);

    *args = (struct faulty_args){0};
    if (b == NULL)
        return &unknown;
    if (b->arg != NULL &&
        (number_u64(number, &args->value) != NUMBER_OK || args->value < b->min || args->value > b->max))
        return &out_of_bounds;
    args->has_bytes = faulty_request_param(request->query, SPAN_LIT("bytes"), &value);
    if (args->has_bytes && number_u64(value, &args->bytes) != NUMBER_OK)
        return &out_of_bounds;
    args->chunked = faulty_request_param(request->query, SPAN_LIT("chunked"), &value);
    args->raw = faulty_request_param(request->query, SPAN_LIT("raw"), &value);
    args->no_length = faulty_request_param(request->query, SPAN_LIT("nolength"), &value);
    return b;
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
