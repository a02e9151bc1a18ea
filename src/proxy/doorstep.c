#include "proxy/doorstep.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "config/address.h"
#include "runtime/listen.h"

static struct doorstep *doorstep_of(struct list_node *node)
{
    return CONTAINER_OF(node, struct doorstep, node);
}

/* The socket of an upstream with port 0 is known by its upstream alone. */
static bool is_same_place(const struct doorstep *step, const struct upstream_config *upstream,
                          const struct address *address)
{
    if (step->address == NULL || step->next != NULL)
        return false;
    if (address_is_same(step->address, address) ||
        (address->family != ADDRESS_UNIX && address_is_same(&step->real, address)))
        return true;
    return address_is_equal(step->address, address) && strcmp(step->upstream->name, upstream->name) == 0;
}

static struct doorstep *find(struct list_node *doorsteps, const struct upstream_config *upstream,
                             const struct address *address)
{
    LIST_FOREACH(node, doorsteps) {
        if (is_same_place(doorstep_of(node), upstream, address))
            return doorstep_of(node);
    }
    return NULL;
}

static struct doorstep *add(struct list_node *doorsteps, int fd, struct handed_socket *handed)
{
    struct doorstep *step = mem_zalloc(sizeof(*step));
    char path[LISTEN_PATH_MAX];

    if (step == NULL)
        return NULL;
    step->fd = fd;
    step->handed = handed;
    (void)listen_find_address(fd, &step->real, path); /* if not, it is known by what was asked for */
    step->real.path = NULL;
    if (handed != NULL)
        handed->is_taken = true;
    list_push_back(doorsteps, &step->node);
    return step;
}

static void close_one(struct doorstep *step)
{
    const struct address *address = step->address != NULL ? step->address : step->next_address;

    list_remove(&step->node);
    if (step->handed != NULL)
        step->handed->is_taken = false;
    else
        listen_close(address, step->fd);
    mem_free(step);
}

/* What is wrong, by errno, with a listener that could not be opened or could not get its permissions. */
static void explain_failure(const struct upstream_config *upstream, const struct address *address, char *why,
                            size_t why_cap)
{
    snprintf(why, why_cap, "upstreams.%s.listen: %s: %s%s", upstream->name, address->text, strerror(errno),
             listen_advice(address, errno));
}

static struct doorstep *open_anew(struct list_node *doorsteps, const struct upstream_config *upstream,
                                  const struct address *address, char *why, size_t why_cap)
{
    int fd = listen_open(address);
    struct doorstep *step = fd < 0 ? NULL : add(doorsteps, fd, NULL);

    if (step != NULL)
        return step;
    if (fd >= 0) {
        listen_close(address, fd);
        errno = ENOMEM;
    }
    explain_failure(upstream, address, why, why_cap);
    return NULL;
}

/*
 * How well a handed socket fits a listener, 0: not at all. What is called there expects the API whose `listen` that is,
 * whatever the socket's name; the name decides for a socket at an address that no `listen` has.
 */
static int fit(const struct handed_socket *socket, const struct upstream_config *upstream,
               const struct address *address)
{
    bool is_named = strcmp(socket->name, upstream->name) == 0;

    if (socket->is_taken)
        return 0;
    return 2 * address_is_same(&socket->address, address) + is_named;
}

static bool is_planned(struct list_node *doorsteps, const struct address *address)
{
    LIST_FOREACH(node, doorsteps) {
        if (doorstep_of(node)->next_address == address)
            return true;
    }
    return false;
}

static void plan(struct doorstep *step, const struct upstream_config *upstream, const struct address *address)
{
    step->next = upstream;
    step->next_address = address;
}

struct search {
    struct list_node *doorsteps;
    const struct snapshot *snapshot;
    struct handed_socket *handed;
    size_t handed_count;
    char *why;
    size_t why_cap;
    int wanted; /* the fit */
};

static bool use_old(struct search *search, const struct upstream_config *upstream,
                    const struct address *address)
{
    struct doorstep *step = find(search->doorsteps, upstream, address);

    if (step == NULL)
        return true;
    plan(step, upstream, address);
    if (step->handed != NULL || listen_permit(address))
        return true;
    explain_failure(upstream, address, search->why, search->why_cap);
    return false;
}

static bool use_handed(struct search *search, const struct upstream_config *upstream,
                       const struct address *address)
{
    for (size_t i = 0; i < search->handed_count && !is_planned(search->doorsteps, address); i++) {
        struct handed_socket *socket = &search->handed[i];
        struct doorstep *step;

        if (fit(socket, upstream, address) != search->wanted)
            continue;
        step = add(search->doorsteps, socket->fd, socket);
        if (step == NULL) {
            snprintf(search->why, search->why_cap, "not enough memory");
            return false;
        }
        plan(step, upstream, address);
    }
    return true;
}

static bool use_new(struct search *search, const struct upstream_config *upstream,
                    const struct address *address)
{
    struct doorstep *step;

    if (is_planned(search->doorsteps, address))
        return true;
    step = open_anew(search->doorsteps, upstream, address, search->why, search->why_cap);
    if (step != NULL)
        plan(step, upstream, address);
    return step != NULL;
}

/* For each address of the snapshot. */
static bool each(struct search *search,
                 bool (*use)(struct search *search, const struct upstream_config *upstream,
                             const struct address *address))
{
    for (uint32_t i = 0; i < search->snapshot->upstream_count; i++) {
        const struct upstream_config *upstream = &search->snapshot->upstreams[i];

        for (uint32_t j = 0; j < upstream->listen_count; j++)
            if (!use(search, upstream, &upstream->listen[j]))
                return false;
    }
    return true;
}

bool doorsteps_plan(struct list_node *doorsteps, const struct snapshot *snapshot,
                    struct handed_socket *handed, size_t handed_count, char *why, size_t why_cap)
{
    struct search search = {doorsteps, snapshot, handed, handed_count, why, why_cap, 0};
    bool is_done = each(&search, use_old);

    /* The best fit of all first, so that nobody takes what is another one's. */
    for (search.wanted = 3; is_done && search.wanted > 0; search.wanted--)
        is_done = each(&search, use_handed);
    if (is_done && each(&search, use_new))
        return true;
    doorsteps_forget_plan(doorsteps);
    return false;
}

void doorsteps_forget_plan(struct list_node *doorsteps)
{
    doorsteps_sweep(doorsteps);
    LIST_FOREACH(node, doorsteps)
        plan(doorstep_of(node), NULL, NULL);
}

void doorsteps_commit(struct list_node *doorsteps)
{
    LIST_FOREACH(node, doorsteps) {
        struct doorstep *step = doorstep_of(node);

        step->upstream = step->next;
        /* One that is to be closed needs its old one for that. */
        if (step->next != NULL)
            step->address = step->next_address;
        plan(step, NULL, NULL);
    }
}

void doorsteps_sweep(struct list_node *doorsteps)
{
    struct list_node *next = doorsteps->next;

    while (next != doorsteps) {
        struct doorstep *step = doorstep_of(next);

        next = next->next;
        if (step->upstream == NULL)
            close_one(step);
    }
}

void doorsteps_close(struct list_node *doorsteps)
{
    while (!list_is_empty(doorsteps))
        close_one(doorstep_of(doorsteps->next));
}

static void put_difference(FILE *out, const struct doorstep *step)
{
    char block[LISTEN_PATH_MAX + 64];
    struct text where = text_over(block, sizeof(block));

    if (step->handed == NULL) {
        fprintf(
            out,
            "warning: upstreams.%s.listen: %s: no socket unit holds it, so that a restart refuses connections "
            "there\n",
            step->upstream->name, step->address->text);
        return;
    }
    if (address_is_same(&step->handed->address, step->address) ||
        (step->address->family != ADDRESS_UNIX && step->address->port == 0))
        return;
    listen_put_address(&where, &step->handed->address, step->fd);
    fprintf(out, "warning: upstreams.%s.listen: %s is not open: socket \"%s\" at %.*s is in its place\n",
            step->upstream->name, step->address->text, step->handed->name, SPAN_FMT(text_span(&where)));
}

void doorsteps_put_differences(FILE *out, struct list_node *doorsteps)
{
    bool any = false;

    LIST_FOREACH(node, doorsteps)
        any |= doorstep_of(node)->handed != NULL;
    LIST_FOREACH(node, doorsteps) {
        if (any && doorstep_of(node)->upstream != NULL)
            put_difference(out, doorstep_of(node));
    }
}
