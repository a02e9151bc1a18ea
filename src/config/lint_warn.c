#include "config/lint_warn.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "config/report.h"

struct number_text lint_line(const struct place *place)
{
    struct number_text quantity = {" (the default)"};

    if (place)
        snprintf(quantity.text, sizeof(quantity.text), " (line %" PRIu32 ")", place->line);
    return quantity;
}

void lint_warn(struct config_errors *out, const struct place *place, const char *path, const char *format,
               ...)
{
    const struct place nowhere = {.file = out->file, .line = 1, .column = 1, .path = path};
    char text[256];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    report_place(out, place ? place : &nowhere, "%s", text);
}
