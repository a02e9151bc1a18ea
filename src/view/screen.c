#include "view/screen.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"

enum status screen_init(struct screen *screen, int width, int height)
{
    size_t count = (size_t)(width > 0 ? width : 0) * (size_t)(height > 0 ? height : 0);

    *screen = (struct screen){width, height, mem_calloc(count + 1, sizeof(struct screen_cell))};
    if (screen->cells == NULL)
        return ST_NOMEM;
    for (size_t i = 0; i < count; i++)
        screen->cells[i] = (struct screen_cell){' ', STYLE_PLAIN};
    return ST_OK;
}

void screen_fini(struct screen *screen)
{
    mem_free(screen->cells);
    screen->cells = NULL;
}

static bool is_inside(const struct screen *screen, int x, int y)
{
    return x >= 0 && x < screen->width && y >= 0 && y < screen->height;
}

int screen_put(struct screen *screen, int x, int y, enum style style, struct span text)
{
    for (size_t i = 0; i < text.len; i++, x++) {
        char c = text.ptr[i] >= ' ' && text.ptr[i] <= '~' ? text.ptr[i] : '?';

        if (is_inside(screen, x, y))
            screen->cells[y * screen->width + x] = (struct screen_cell){c, (uint8_t)style};
    }
    return x;
}

int screen_printf(struct screen *screen, int x, int y, enum style style, const char *format, ...)
{
    char block[512];
    va_list arguments;
    int len;

    va_start(arguments, format);
    len = vsnprintf(block, sizeof(block), format, arguments);
    va_end(arguments);
    if (len < 0)
        return x;
    if ((size_t)len >= sizeof(block))
        len = (int)sizeof(block) - 1;
    return screen_put(screen, x, y, style, (struct span){block, (size_t)len});
}

void screen_style_row(struct screen *screen, int y, enum style style)
{
    for (int x = 0; x < screen->width; x++)
        if (is_inside(screen, x, y))
            screen->cells[y * screen->width + x].style = (uint8_t)style;
}

int screen_row(const struct screen *screen, int y, char *out)
{
    int len = screen->width;

    while (len > 0 && screen->cells[y * screen->width + len - 1].c == ' ')
        len--;
    for (int x = 0; x < len; x++)
        out[x] = screen->cells[y * screen->width + x].c;
    return len;
}
