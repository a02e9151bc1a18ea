#include "app/calls_command.h"

#include <event2/http.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "app/admin_client.h"
#include "app/output.h"
#include "app/usage.h"
#include "base/text.h"
#include "view/call_list.h"

static const struct usage usage = {
    "calls",
    "usage: curfew calls [OPTION]... [[-c] FILE]\n"
    "       curfew calls [OPTION]... --admin ADDRESS\n"
    "\n"
    "Prints the calls that a running curfew has in flight, those with least left of their deadline\n"
    "first: what is left, how long ago the call began, the phase it is in and for how long, how much\n"
    "of the request the API can have seen, and who speaks HTTP/2. It is asked by its admin listener.\n"
    "\n" USAGE_CONFIG "\n"
    "  -c, --config FILE      the configuration: its admin.listen says where\n"
    "  -a, --admin ADDRESS    where: 127.0.0.1:9600, [::1]:9600 or unix:/path\n"
    "  -o, --older DURATION   only calls that began at least so long ago: 500ms, 10s\n"
    "  -u, --upstream NAME    only calls to this upstream\n"
    "  -p, --phase PHASE      only calls in this phase: upload, queue, backoff, dns, connect, tls, send,\n"
    "                         wait, receive, tunnel\n"
    "  -n, --limit N          at most so many lines, 1 to 10000; 100 unless said\n"
    "  -s, --sort ORDER       left: those with least left first, age: the oldest first\n"
    "  -j, --json             what GET /calls says, as it is\n"
    "  -x, --cut ID           cuts this call, in place of a list: its caller gets a 504\n"
    "  -h, --help             this text\n"
    "\n"
    "Exit status: 0 done, 1 nobody answers, or there is no such call, 2 wrong usage.\n"};

/* Workers answer within a second, or the admin listener says that they do not. */
#define PATIENCE_S 5

struct wish {
    const char *path, *where, *cut;
    struct text query;
    bool as_json;
};

/* Values are escaped, so that they can hold whatever a shell passes. */
static void add_filter(struct wish *wish, const char *key, const char *value)
{
    char *escaped = evhttp_uriencode(value, -1, 0);

    text_printf(&wish->query, "%c%s=%s", wish->query.len == 0 ? '?' : '&', key, escaped ? escaped : "");
    free(escaped);
}

static void print_line(const struct text *line)
{
    printf("%.*s\n", (int)line->len, line->ptr);
}

static void print_table(const struct call_list *list)
{
    struct call_columns columns = call_list_columns(list);
    char block[512];
    struct text line = text_over(block, sizeof(block));

    call_list_put_head(&line, columns);
    print_line(&line);
    for (uint32_t i = 0; i < list->count; i++) {
        line = text_over(block, sizeof(block));
        call_list_put_row(&line, columns, &list->rows[i]);
        print_line(&line);
    }
    if (list->matching > list->count)
        printf("%u of %llu; --limit shows more\n", list->count, (unsigned long long)list->matching);
}

static bool print_answer(const struct wish *wish, const struct admin_answer *answer)
{
    struct call_list list;
    bool is_list;

    if (wish->as_json || wish->cut != NULL) {
        fwrite(answer->content.ptr, 1, answer->content.len, stdout);
        return true;
    }
    is_list = call_list_read(&list, answer->content);
    if (is_list)
        print_table(&list);
    else
        fprintf(stderr, "curfew: calls: this is not a list of calls\n");
    call_list_free(&list);
    return is_list;
}

static int perform(const struct wish *wish, const char *where)
{
    char target[1024];
    char *id = wish->cut != NULL ? evhttp_uriencode(wish->cut, -1, 0) : NULL;
    const struct admin_question question = {where, id != NULL ? "DELETE" : "GET", target, PATIENCE_S, false};
    struct admin_answer answer;
    char why[512];
    bool is_done, is_misused;

    if (id == NULL && wish->cut != NULL) {
        fprintf(stderr, "curfew: calls: out of memory\n");
        return EXIT_FAILURE;
    }
    if (id != NULL)
        snprintf(target, sizeof(target), "/calls/%s", id);
    else
        snprintf(target, sizeof(target), "/calls%.*s", (int)wish->query.len, wish->query.ptr);
    is_done = admin_client_ask(&question, &answer, why, sizeof(why));
    if (!is_done) {
        fprintf(stderr, "curfew: calls: %s: %s\n", where, why);
    } else if (answer.status != 200) {
        admin_answer_put_why(&answer, why, sizeof(why));
        fprintf(stderr, "curfew: calls: %s\n", why);
        is_done = false;
    } else {
        is_done = print_answer(wish, &answer) && output_is_written();
    }
    is_misused = answer.status == 400;
    admin_answer_free(&answer);
    free(id);
    return is_done ? EXIT_SUCCESS : is_misused ? USAGE_WRONG : EXIT_FAILURE;
}

/* False: the exit status is known. */
static bool read_options(int argc, char **argv, struct wish *wish, int *status)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"admin", required_argument, NULL, 'a'},
        {"older", required_argument, NULL, 'o'},
        {"upstream", required_argument, NULL, 'u'},
        {"phase", required_argument, NULL, 'p'},
        {"limit", required_argument, NULL, 'n'},
        {"sort", required_argument, NULL, 's'},
        {"json", no_argument, NULL, 'j'},
        {"cut", required_argument, NULL, 'x'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option;

    opterr = 0;
    *status = USAGE_WRONG;
    while ((option = getopt_long(argc, argv, ":c:a:o:u:p:n:s:jx:h", options, NULL)) != -1) {
        switch (option) {
        case 'c': wish->path = optarg; break;
        case 'a': wish->where = optarg; break;
        case 'o': add_filter(wish, "older", optarg); break;
        case 'u': add_filter(wish, "upstream", optarg); break;
        case 'p': add_filter(wish, "phase", optarg); break;
        case 'n': add_filter(wish, "limit", optarg); break;
        case 's': add_filter(wish, "sort", optarg); break;
        case 'j': wish->as_json = true; break;
        case 'x': wish->cut = optarg; break;
        case 'h':
            fputs(usage.text, stdout);
            *status = EXIT_SUCCESS;
            return false;
        default: (void)usage_wrong_option(&usage, options, option, argv); return false;
        }
    }
    if (wish->query.overflow)
        (void)usage_wrong(&usage, "the filters are longer than %zu bytes", wish->query.cap);
    else if (wish->cut != NULL && wish->query.len != 0)
        (void)usage_wrong(&usage, "--cut is for one call: filters have no use");
    else
        return usage_admin(&usage, wish->path, wish->where, argv + optind, argc - optind, &wish->path);
    return false;
}

int calls_command_main(int argc, char **argv)
{
    char block[900], where[256];
    struct wish wish = {.query = text_over(block, sizeof(block))};
    int status;

    if (!read_options(argc, argv, &wish, &status))
        return status;
    return admin_client_find(wish.path, wish.where, where, sizeof(where)) ? perform(&wish, where)
                                                                          : EXIT_FAILURE;
}
