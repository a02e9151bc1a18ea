#include "view/call_list.h"

#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "base/mem.h"
#include "view/format.h"

/* Longer names are shortened. */
#define NAME_WIDTH   24
#define METHOD_WIDTH 7
/* The shortest that says something. */
#define NAME_MIN     8
/* Columns before the names, each with a blank behind it, and the id, of at most 16 digits. */
#define TIMES_WIDTH  32
#define ID_WIDTH     16

static const char *text_of(const json_t *call, const char *key)
{
    const char *text = json_string_value(json_object_get(call, key));

    return text != NULL ? text : "?";
}

static int64_t number_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static struct call_row row_of(const json_t *call)
{
    return (struct call_row){
        .id = text_of(call, "id"),
        .upstream = text_of(call, "upstream"),
        .route = text_of(call, "route"),
        .method = text_of(call, "method"),
        .phase = text_of(call, "phase"),
        .sent = text_of(call, "sent"),
        .age_ms = number_of(call, "age_ms"),
        .left_ms = number_of(call, "left_ms"),
        .phase_ms = number_of(call, "phase_ms"),
        .bytes_up = (uint64_t)number_of(call, "bytes_up"),
        .bytes_down = (uint64_t)number_of(call, "bytes_down"),
        .try_number = number_of(call, "try"),
        .hedged = json_is_true(json_object_get(call, "hedged")),
        .comes_by_h2 = json_object_get(call, "caller_protocol") != NULL,
        .goes_by_h2 = json_object_get(call, "upstream_protocol") != NULL,
        .probes = json_object_get(call, "breaker") != NULL,
    };
}

bool call_list_read(struct call_list *list, struct span json)
{
    json_t *root = json_loadb(json.ptr, json.len, 0, NULL);
    const json_t *calls = json_object_get(root, "calls");
    size_t count = json_array_size(calls);

    *list = (struct call_list){.json = root};
    if (!json_is_array(calls) || count > UINT32_MAX)
        return false;
    list->rows = mem_calloc(count + 1, sizeof(struct call_row));
    if (list->rows == NULL)
        return false;
    for (size_t i = 0; i < count; i++)
        list->rows[i] = row_of(json_array_get(calls, i));
    list->count = (uint32_t)count;
    list->matching = (uint64_t)number_of(root, "matching");
    list->in_flight = (uint64_t)number_of(root, "in_flight");
    return true;
}

void call_list_free(struct call_list *list)
{
    json_decref(list->json);
    mem_free(list->rows);
    *list = (struct call_list){0};
}

static int wider(int width, const char *name)
{
    size_t len = strlen(name);

    if (len > NAME_WIDTH)
        len = NAME_WIDTH;
    return (int)len > width ? (int)len : width;
}

struct call_columns call_list_columns(const struct call_list *list)
{
    struct call_columns columns = {(int)strlen("UPSTREAM"), METHOD_WIDTH, (int)strlen("ROUTE")};

    for (uint32_t i = 0; i < list->count; i++) {
        columns.upstream = wider(columns.upstream, list->rows[i].upstream);
        columns.route = wider(columns.route, list->rows[i].route);
    }
    return columns;
}

/* With the blank behind it. */
static int taken_by(int width)
{
    return width > 0 ? width + 1 : 0;
}

static int room_of(const struct call_columns *columns, int width)
{
    return width - TIMES_WIDTH - ID_WIDTH - taken_by(columns->upstream) - taken_by(columns->method) -
           taken_by(columns->route);
}

/* Takes off the column as much as is missing, and can be. */
static void shorten(const struct call_columns *columns, int *column, int width)
{
    int missing = -room_of(columns, width), spare = *column - NAME_MIN;

    if (missing > 0 && spare > 0)
        *column -= spare < missing ? spare : missing;
}

static void leave_out(const struct call_columns *columns, int *column, int width)
{
    if (room_of(columns, width) < 0)
        *column = 0;
}

struct call_columns call_list_fit(struct call_columns columns, int width)
{
    bool is_route_longer = columns.route > columns.upstream;

    shorten(&columns, is_route_longer ? &columns.route : &columns.upstream, width);
    shorten(&columns, is_route_longer ? &columns.upstream : &columns.route, width);
    leave_out(&columns, &columns.route, width);
    leave_out(&columns, &columns.method, width);
    leave_out(&columns, &columns.upstream, width);
    return columns;
}

static void put_left(struct text *out, const char *name, int width)
{
    if (width == 0)
        return;
    format_put_name(out, name, width);
    TEXT_LIT(out, " ");
}

void call_list_put_head(struct text *out, struct call_columns columns)
{
    text_printf(out, "%7s %7s %-7s %7s ", "LEFT", "AGE", "PHASE", "FOR");
    put_left(out, "UPSTREAM", columns.upstream);
    put_left(out, "METHOD", columns.method);
    put_left(out, "ROUTE", columns.route);
    put_left(out, "ID", ID_WIDTH);
    text_printf(out, "%-8s %6s %6s", "SENT", "UP", "DOWN");
}

static void put_time(struct text *out, int64_t ms)
{
    char block[16];
    struct text time = text_over(block, sizeof(block));

    format_put_time(&time, ms);
    text_printf(out, "%7.*s ", (int)time.len, time.ptr);
}

static void put_bytes(struct text *out, const char *before, uint64_t bytes)
{
    char block[16];
    struct text count = text_over(block, sizeof(block));

    format_put_count(&count, bytes);
    text_printf(out, "%s%6.*s", before, (int)count.len, count.ptr);
}

void call_list_put_row(struct text *out, struct call_columns columns, const struct call_row *row)
{
    put_time(out, row->left_ms);
    put_time(out, row->age_ms);
    put_left(out, row->phase, 7);
    put_time(out, row->phase_ms);
    put_left(out, row->upstream, columns.upstream);
    put_left(out, row->method, columns.method);
    put_left(out, row->route, columns.route);
    put_left(out, row->id, ID_WIDTH);
    put_left(out, row->sent, 8);
    put_bytes(out, "", row->bytes_up);
    put_bytes(out, " ", row->bytes_down);
    if (row->try_number != 0)
        text_printf(out, "  try %" PRId64 "%s", row->try_number, row->hedged ? ", two at once" : "");
    if (row->probes)
        TEXT_LIT(out, "  probe");
    if (row->comes_by_h2 || row->goes_by_h2)
        text_printf(out, "  h2 %s",
                    !row->goes_by_h2    ? "from caller"
                    : !row->comes_by_h2 ? "to API"
                                        : "on both sides");
}
