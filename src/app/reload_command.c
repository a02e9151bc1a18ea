#include "app/reload_command.h"

#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "app/config_file.h"
#include "config/address.h"
#include "runtime/listen.h"

static const char usage[] =
    "usage: curfew reload -c FILE\n"
    "       curfew reload --admin ADDRESS\n"
    "\n"
    "Has a running curfew load its configuration anew, and waits until that is in force. If something\n"
    "is wrong with it, says what; then nothing has changed. It is asked by its admin listener.\n"
    "\n"
    "  -c, --config FILE     the configuration: its admin.listen says where\n"
    "  -a, --admin ADDRESS   where: 127.0.0.1:9600, [::1]:9600 or unix:/path\n"
    "  -h, --help            this text\n"
    "\n"
    "Exit status: 0 the new configuration is in force, 1 it is not, 2 wrong usage.\n";

/* Longest answer: errors are at most a hundred lines. */
#define ANSWER_MAX 65536
/* A worker goes over between two calls; longer only means that it hangs. */
#define PATIENCE_S 60

static const char request[] = "POST /reload HTTP/1.0\r\nHost: curfew\r\nContent-Length: 0\r\n\r\n";

static bool fail(const char *where)
{
    fprintf(stderr, "curfew: reload: %s: %s\n", where, strerror(errno));
    return false;
}

/* With a file that has just been given another admin.listen, nobody is where it says. */
static bool fail_to_reach(const char *where)
{
    bool is_nobody_there = errno == ECONNREFUSED || errno == ENOENT;

    (void)fail(where);
    if (is_nobody_there)
        fputs("curfew: reload: one that runs still has the admin.listen of its start: --admin asks there\n",
              stderr);
    return false;
}

/* All that comes, terminated. */
static bool receive(int fd, const char *where, char *answer)
{
    size_t len = 0;
    ssize_t n;

    while ((n = recv(fd, answer + len, ANSWER_MAX - 1 - len, 0)) != 0) {
        if (n < 0 && errno != EINTR)
            return fail(where);
        len += n > 0 ? (size_t)n : 0;
    }
    answer[len] = '\0';
    return true;
}

static bool ask(const struct address *address, char *answer)
{
    const struct timeval patience = {.tv_sec = PATIENCE_S};
    int fd = listen_connect(address);
    bool is_done;

    if (fd < 0)
        return fail_to_reach(address->text);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)); /* without it, Ctrl-C helps */
    is_done = send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) == (ssize_t)sizeof(request) - 1
                  ? receive(fd, address->text, answer)
                  : fail(address->text);
    (void)close(fd);
    return is_done;
}

/* The status code; what there is to say is written. */
static int tell(const char *where, const char *answer)
{
    const char *content = strstr(answer, "\r\n\r\n");
    int status = 0;

    if (content == NULL || sscanf(answer, "HTTP/%*d.%*d %d", &status) != 1) {
        fprintf(stderr, "curfew: reload: %s: this does not seem to be a curfew\n", where);
        return 0;
    }
    fputs(content + 4, status == 200 ? stdout : stderr);
    return status;
}

static int reload(const char *where)
{
    static char answer[ANSWER_MAX];
    struct address address;
    const char *why = address_parse(where, &address);

    if (why != NULL) {
        fprintf(stderr, "curfew: reload: %s: %s\n", where, why);
        return EXIT_FAILURE;
    }
    address.text = where;
    return ask(&address, answer) && tell(where, answer) == 200 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int reload_command_main(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"admin", required_argument, NULL, 'a'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    const char *path = NULL, *where = NULL;
    char block[256];
    int option;

    while ((option = getopt_long(argc, argv, "c:a:h", options, NULL)) != -1) {
        switch (option) {
        case 'c': path = optarg; break;
        case 'a': where = optarg; break;
        case 'h': fputs(usage, stdout); return EXIT_SUCCESS;
        default: fputs(usage, stderr); return 2;
        }
    }
    if ((path == NULL) == (where == NULL) || optind != argc) {
        fputs(usage, stderr);
        return 2;
    }
    if (path == NULL)
        return reload(where);
    return config_file_find_admin(path, block, sizeof(block)) ? reload(block) : EXIT_FAILURE;
}
