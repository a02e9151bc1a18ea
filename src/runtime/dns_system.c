#include "runtime/dns_system.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/invariant.h"
#include "base/mem.h"
#include "core/hosts_file.h"

/* Of a larger file, the rest is not looked at. */
#define FILE_MAX (16u << 20)

static const char *const paths[SYSTEM_FILES] = {
    [SYSTEM_RESOLV_CONF] = "/etc/resolv.conf",
    [SYSTEM_NSSWITCH] = "/etc/nsswitch.conf",
    [SYSTEM_HOSTS] = "/etc/hosts",
};

static char *read_all(int fd, size_t size, size_t *len)
{
    char *text = mem_alloc(size);
    ssize_t got = 1;

    *len = 0;
    if (text == NULL)
        errno = ENOMEM;
    while (text != NULL && *len < size && got > 0) {
        got = read(fd, text + *len, size - *len);
        if (got > 0)
            *len += (size_t)got;
    }
    POST(*len <= size);
    return text;
}

/* mem_free'd; an empty text if it can't be read, unless that is for want of something (NULL, errno). */
static char *read_file(const char *path, size_t *len)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat state = {0};
    char *text;

    *len = 0;
    if (fd < 0)
        return errno == EMFILE || errno == ENFILE || errno == ENOMEM ? NULL : mem_dup("", 0);
    (void)fstat(fd, &state); /* of size 0 then */
    text = read_all(
        fd, state.st_size > 0 && state.st_size < FILE_MAX ? (size_t)state.st_size : FILE_MAX / 256, len);
    close(fd);
    return text;
}

static void look_at(const char *path, struct file_state *out)
{
    struct stat state;

    *out = (struct file_state){0};
    if (stat(path, &state) == 0)
        *out = (struct file_state){
            .device = state.st_dev, .number = state.st_ino, .size = state.st_size, .changed = state.st_mtim};
}

static bool is_same(const struct file_state *a, const struct file_state *b)
{
    return a->device == b->device && a->number == b->number && a->size == b->size &&
           a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

/* As in the C library, the environment overrides the file. */
static void heed_environment(struct resolv_conf *conf)
{
    const char *search = getenv("LOCALDOMAIN"), *options = getenv("RES_OPTIONS");
    char name[HOST_NAME_MAX + 1] = "";

    if (search != NULL)
        resolv_conf_set_search(conf, span_of(search));
    else if (gethostname(name, sizeof(name) - 1) == 0)
        resolv_conf_set_host(conf, span_of(name));
    if (options != NULL)
        resolv_conf_set_options(conf, span_of(options));
}

static enum status read_system(struct dns_system *system)
{
    size_t resolv_len, nsswitch_len;
    char *resolv = read_file(paths[SYSTEM_RESOLV_CONF], &resolv_len);
    char *nsswitch = resolv != NULL ? read_file(paths[SYSTEM_NSSWITCH], &nsswitch_len) : NULL;

    if (nsswitch != NULL) {
        resolv_conf_read(&system->resolv, (struct span){resolv, resolv_len});
        heed_environment(&system->resolv);
        nsswitch_read(&system->nsswitch, (struct span){nsswitch, nsswitch_len});
    }
    mem_free(resolv);
    mem_free(nsswitch);
    return nsswitch != NULL ? ST_OK : ST_FAILED;
}

enum status dns_system_refresh(struct dns_system *system, bool *changed)
{
    struct file_state states[SYSTEM_FILES];
    bool is_new = !system->is_read;

    *changed = false;
    for (int i = 0; i < SYSTEM_FILES; i++) {
        look_at(paths[i], &states[i]);
        is_new |= !is_same(&states[i], &system->states[i]);
    }
    if (!is_new)
        return ST_OK;
    if (read_system(system) != ST_OK)
        return ST_FAILED;
    *changed = system->is_read;
    system->is_read = true;
    memcpy(system->states, states, sizeof(states));
    return ST_OK;
}

enum status dns_system_find_host(const char *host, struct ip *out, uint32_t max, uint32_t *count)
{
    size_t len;
    char *text = read_file(paths[SYSTEM_HOSTS], &len);

    *count = 0;
    if (text == NULL)
        return ST_FAILED;
    *count = hosts_file_find((struct span){text, len}, span_of(host), out, max);
    mem_free(text);
    return ST_OK;
}
