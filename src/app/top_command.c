#include "app/top_command.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "app/admin_client.h"
#include "app/output.h"
#include "app/terminal.h"
#include "app/top_feed.h"
#include "app/usage.h"
#include "base/mem.h"
#include "base/number.h"
#include "runtime/loop.h"

static const struct usage usage = {
    "top",
    "usage: curfew top [OPTION]... [[-c] FILE]\n"
    "       curfew top [OPTION]... --admin ADDRESS\n"
    "\n"
    "Shows what a running curfew does, again and again: for each upstream calls a second, those that\n"
    "completed with neither 5xx nor 429 (OK/S), what was answered so (5XX/S, 429/S), calls that got\n"
    "stuck, failed or were rejected, how long those took that completed or were cut (p50, p99), how\n"
    "late calls were cut (p99), the pool with those that wait, and the phases that calls are in now\n"
    "and got stuck in; below them the oldest calls in flight. Figures are those of the last ten turns.\n"
    "If curfew goes away, it says so and goes on when curfew is back. What is written to a pipe or a\n"
    "file is one page, without colour.\n"
    "\n" USAGE_CONFIG "\n"
    "  -c, --config FILE      the configuration: its admin.listen says where\n"
    "  -a, --admin ADDRESS    where: 127.0.0.1:9600, [::1]:9600 or unix:/path\n"
    "  -d, --delay DURATION   from one turn to the next, 100ms to 1h; 1s unless said\n"
    "  --once                 one page, of two turns, even to a terminal\n"
    "  -h, --help             this text\n"
    "\n"
    "Keys: q quits; s sorts upstreams by trouble, name, rate or errors; u and p show the calls of one\n"
    "upstream or phase after the other; l lists those with least left first, or the oldest; up and down\n"
    "select a call, x cuts it after a y.\n"
    "\n"
    "Exit status: 0 done, 1 nobody answers, 2 wrong usage.\n"};

#define DELAY_MIN_NS (100 * NS_PER_MS)
#define DELAY_MAX_NS (3600 * NS_PER_S)
/* A page that goes to a file. */
#define PAGE_WIDTH   120
#define PAGE_CALLS   20
#define PAGE_HEIGHT  (2 * 1000)

static void sleep_for(int64_t ns)
{
    struct timespec rest = {.tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S)};

    while (nanosleep(&rest, &rest) < 0)
        ;
}

/* ---- one page ------------------------------------------------------------------------------------------------ */

static void print_screen(const struct screen *screen)
{
    char row[PAGE_WIDTH];
    int last = screen->height - 1;

    while (last > 0 && screen_row(screen, last, row) == 0)
        last--;
    for (int y = 0; y <= last; y++)
        printf("%.*s\n", screen_row(screen, y, row), row);
}

static bool print_page(const struct top_feed *feed, const struct top_choice *choice)
{
    const struct top_state state = top_feed_state(feed, choice);
    struct screen screen;
    bool is_drawn = screen_init(&screen, PAGE_WIDTH, PAGE_HEIGHT) == ST_OK && top_view_draw(&state, &screen);

    if (is_drawn)
        print_screen(&screen);
    else
        fprintf(stderr, "curfew: top: out of memory\n");
    screen_fini(&screen);
    return is_drawn;
}

static bool show_once(struct top_feed *feed, struct top_choice *choice, int64_t delay_ns)
{
    bool is_there = top_feed_ask(feed, choice, PAGE_CALLS);

    if (is_there) {
        sleep_for(delay_ns);
        is_there = top_feed_ask(feed, choice, PAGE_CALLS);
    }
    if (!is_there)
        fprintf(stderr, "curfew: top: %s: %s\n", feed->where, feed->lost);
    return is_there && print_page(feed, choice) && output_is_written();
}

/* ---- again and again ------------------------------------------------------------------------------------------ */

struct top {
    struct top_feed *feed;
    struct top_choice choice;
    int64_t delay_ns;
    int64_t next_ns; /* when to ask again */
    bool ended;
};

static bool draw(const struct top *top)
{
    struct top_state state = top_feed_state(top->feed, &top->choice);
    struct screen screen;
    int width, height;
    bool is_drawn;

    state.has_keys = true;
    terminal_size(&width, &height);
    is_drawn = screen_init(&screen, width, height) == ST_OK && top_view_draw(&state, &screen);
    if (is_drawn)
        terminal_show(&screen);
    screen_fini(&screen);
    return is_drawn;
}

static void ask(struct top *top)
{
    const struct top_state state = top_feed_state(top->feed, &top->choice);
    int width, height;

    terminal_size(&width, &height);
    (void)top_feed_ask(top->feed, &top->choice, top_view_room(&state, height)); /* shown if it is lost */
    top->next_ns = loop_clock_ns() + top->delay_ns;
}

static void take_key(struct top *top, int key)
{
    struct top_state state = top_feed_state(top->feed, &top->choice);
    enum top_act act = top_view_key(&state, key);

    top->choice = state.choice;
    top->feed->message[0] = '\0';
    switch (act) {
    case TOP_NOTHING:
    case TOP_REDRAW: break;
    case TOP_QUIT: top->ended = true; break;
    case TOP_CUT:
        top_feed_cut(top->feed, &top->choice);
        ask(top);
        break;
    case TOP_ASK_ANEW: ask(top); break;
    }
}

/* True: as long as somebody looks. */
static bool take_turn(struct top *top)
{
    int64_t left_ns = top->next_ns - loop_clock_ns();
    int key = terminal_key(left_ns > 0 ? (int)(left_ns / NS_PER_MS) + 1 : 0);

    if (key == TERMINAL_GONE)
        return false;
    if (key >= 0)
        take_key(top, key);
    else if (key == TERMINAL_RESIZED || loop_clock_ns() >= top->next_ns)
        ask(top);
    return !top->ended;
}

static bool show_on(struct top_feed *feed, const struct top_choice *choice, int64_t delay_ns)
{
    struct top top = {.feed = feed, .choice = *choice, .delay_ns = delay_ns};
    bool is_drawn;

    ask(&top);
    do {
        is_drawn = draw(&top);
    } while (is_drawn && take_turn(&top));
    terminal_close();
    terminal_end_by_signal();
    if (!is_drawn)
        fprintf(stderr, "curfew: top: out of memory\n");
    return is_drawn;
}

/* ---- the command ----------------------------------------------------------------------------------------------- */

static bool read_delay(const char *text, int64_t *delay_ns)
{
    return number_duration(span_of(text), delay_ns) == NUMBER_OK && *delay_ns >= DELAY_MIN_NS &&
           *delay_ns <= DELAY_MAX_NS;
}

static int top(const char *where, int64_t delay_ns, bool once)
{
    struct top_choice choice = {.phase = TOP_NO_PHASE};
    struct top_feed *feed = mem_zalloc(sizeof(*feed));
    bool is_done;

    if (feed == NULL) {
        fprintf(stderr, "curfew: top: out of memory\n");
        return EXIT_FAILURE;
    }
    feed->where = where;
    is_done =
        !once && terminal_open() ? show_on(feed, &choice, delay_ns) : show_once(feed, &choice, delay_ns);
    top_feed_fini(feed);
    mem_free(feed);
    return is_done ? EXIT_SUCCESS : EXIT_FAILURE;
}

int top_command_main(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'}, {"admin", required_argument, NULL, 'a'},
        {"delay", required_argument, NULL, 'd'},  {"once", no_argument, NULL, '1'},
        {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0},
    };
    const char *path = NULL, *address = NULL;
    int64_t delay_ns = NS_PER_S;
    char where[256];
    bool once = false;
    int option;

    opterr = 0;
    while ((option = getopt_long(argc, argv, ":c:a:d:h", options, NULL)) != -1) {
        switch (option) {
        case 'c': path = optarg; break;
        case 'a': address = optarg; break;
        case 'd':
            if (!read_delay(optarg, &delay_ns))
                return usage_wrong(&usage, "--delay is a duration from 100ms to 1h, not \"%s\"", optarg);
            break;
        case '1': once = true; break;
        case 'h': fputs(usage.text, stdout); return EXIT_SUCCESS;
        default: return usage_wrong_option(&usage, options, option, argv);
        }
    }
    if (!usage_admin(&usage, path, address, argv + optind, argc - optind, &path))
        return USAGE_WRONG;
    return admin_client_find(path, address, where, sizeof(where)) ? top(where, delay_ns, once) : EXIT_FAILURE;
}
