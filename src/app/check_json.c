#include "app/check_json.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"

/* A path, all of its bytes escaped, beside a message. */
#define ITEM_BYTES 32768

/* The message without the path of the key that it begins with. */
static struct span message_of(const struct config_error *error)
{
    struct span text = span_of(error->text);
    size_t skipped = error->path_len != 0 ? error->path_len + strlen(": ") : 0;

    return skipped <= text.len ? (struct span){text.ptr + skipped, text.len - skipped} : text;
}

/* What has no place has no line, what has no key no key. */
static void print_item(const struct config_error *error)
{
    char block[ITEM_BYTES];
    struct text text = text_over(block, sizeof(block));
    struct jsonw j = jsonw_on(&text);

    jsonw_open_object(&j, NULL);
    jsonw_string(&j, "file", span_of(error->file));
    if (error->line != 0) {
        jsonw_u64(&j, "line", error->line);
        jsonw_u64(&j, "column", error->column);
    }
    if (error->path_len != 0)
        jsonw_string(&j, "key", (struct span){error->text, error->path_len});
    jsonw_string(&j, "message", message_of(error));
    jsonw_close_object(&j);
    printf("%.*s", SPAN_FMT(text_span(&text)));
}

static void print_list(const char *name, const struct config_errors *errors)
{
    uint32_t listed = errors->count < CONFIG_ERRORS_MAX ? errors->count : CONFIG_ERRORS_MAX;

    printf(",\n \"%s\": [", name);
    for (uint32_t i = 0; i < listed; i++) {
        printf("%s\n  ", i != 0 ? "," : "");
        print_item(&errors->list[i]);
    }
    printf("%s]", listed != 0 ? "\n " : "");
}

void check_json_print(const struct config_file *file, const struct snapshot *snapshot, bool is_ok)
{
    char block[ITEM_BYTES];
    struct text text = text_over(block, sizeof(block));

    jsonw_quote(&text, span_of(file->path));
    printf("{\"config\": %.*s,\n \"ok\": %s", SPAN_FMT(text_span(&text)), is_ok ? "true" : "false");
    if (snapshot != NULL)
        printf(",\n \"upstreams\": %u,\n \"pools\": %u,\n \"routes\": %u", snapshot->upstream_count,
               snapshot->pool_count, snapshot->route_count);
    printf(",\n \"error_count\": %u,\n \"warning_count\": %u", file->errors.count, file->warnings.count);
    print_list("errors", &file->errors);
    print_list("warnings", &file->warnings);
    printf("}\n");
}
