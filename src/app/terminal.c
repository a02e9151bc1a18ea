#include "app/terminal.h"

#include <curses.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "view/top_view.h"

/* How long an Escape waits for the rest of a key's sequence. */
#define ESCAPE_MS 25

static SCREEN *terminal;
static bool is_open;
static attr_t styles[STYLE_COUNT];
static volatile sig_atomic_t signal_came;

static const int ending_signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};

static void note(int number)
{
    signal_came = number;
}

/* Without SA_RESTART, so that waiting for a key ends. */
static void take_signals(void)
{
    struct sigaction action = {.sa_handler = note};

    for (size_t i = 0; i < sizeof(ending_signals) / sizeof(ending_signals[0]); i++)
        (void)sigaction(ending_signals[i], &action, NULL);
}

static attr_t coloured(short pair, short colour, attr_t attributes)
{
    return init_pair(pair, colour, -1) == OK ? attributes | (attr_t)COLOR_PAIR(pair) : attributes;
}

static void choose_styles(void)
{
    styles[STYLE_TITLE] = A_REVERSE;
    styles[STYLE_HEAD] = A_BOLD;
    styles[STYLE_DIM] = A_DIM;
    styles[STYLE_WARN] = A_BOLD;
    styles[STYLE_ALERT] = A_BOLD;
    styles[STYLE_SELECTED] = A_REVERSE;
    if (getenv("NO_COLOR") != NULL || !has_colors() || start_color() != OK || use_default_colors() != OK)
        return;
    styles[STYLE_GOOD] = coloured(1, COLOR_GREEN, A_NORMAL);
    styles[STYLE_WARN] = coloured(2, COLOR_YELLOW, A_NORMAL);
    styles[STYLE_ALERT] = coloured(3, COLOR_RED, A_BOLD);
    styles[STYLE_HEAD] = coloured(4, COLOR_CYAN, A_BOLD);
}

/* Whether the cursor can be sent to a place: a dumb terminal has lines that follow each other, and no more. */
static bool can_be_drawn_on(void)
{
    const char *move = tigetstr("cup");

    return move != NULL && move != (const char *)-1;
}

bool terminal_open(void)
{
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
        return false;
    terminal = newterm(NULL, stdout, stdin);
    if (terminal == NULL)
        return false;
    if (!can_be_drawn_on()) {
        (void)endwin();
        delscreen(terminal);
        return false;
    }
    is_open = true;
    take_signals();
    (void)cbreak();
    (void)noecho();
    (void)nonl();
    (void)keypad(stdscr, TRUE);
    (void)nodelay(stdscr, TRUE);
    (void)set_escdelay(ESCAPE_MS);
    (void)curs_set(0);
    choose_styles();
    return true;
}

void terminal_close(void)
{
    if (!is_open)
        return;
    is_open = false;
    (void)curs_set(1);
    (void)endwin();
    delscreen(terminal);
}

void terminal_size(int *width, int *height)
{
    getmaxyx(stdscr, *height, *width);
}

/* Cells of one style in a row are written at once. Returns the column behind them. */
static int show_run(const struct screen *screen, int x, int y)
{
    const struct screen_cell *cells = &screen->cells[y * screen->width];
    uint8_t style = cells[x].style;

    (void)attrset((int)styles[style]);
    for (; x < screen->width && cells[x].style == style; x++)
        (void)mvaddch(y, x, (chtype)(unsigned char)cells[x].c);
    return x;
}

void terminal_show(const struct screen *screen)
{
    (void)erase();
    for (int y = 0; y < screen->height; y++)
        for (int x = 0; x < screen->width;)
            x = show_run(screen, x, y);
    (void)refresh();
}

static int translate(int key)
{
    switch (key) {
    case ERR: return TERMINAL_NO_KEY;
    case KEY_RESIZE: return TERMINAL_RESIZED;
    case KEY_UP: return TOP_KEY_UP;
    case KEY_DOWN: return TOP_KEY_DOWN;
    case KEY_HOME: return TOP_KEY_HOME;
    default: return key < 256 ? key : TERMINAL_NO_KEY; /* curses has names for many */
    }
}

int terminal_key(int wait_ms)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    int key = getch(), ready;

    if (signal_came != 0)
        return TERMINAL_GONE;
    if (key != ERR)
        return translate(key);
    ready = poll(&input, 1, wait_ms);
    if (signal_came != 0)
        return TERMINAL_GONE;
    key = getch();
    /* Something is there to be read, and it is nothing: the end. */
    if (ready > 0 && key == ERR && (input.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0)
        return TERMINAL_GONE;
    return translate(key);
}

void terminal_end_by_signal(void)
{
    if (signal_came == 0)
        return;
    (void)signal(signal_came, SIG_DFL);
    (void)raise(signal_came);
}
