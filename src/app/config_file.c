#include "app/config_file.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "config/load.h"
#include "config/yaml_tree.h"

/* A bundle of certificates is the largest file that a configuration names. */
#define NAMED_FILE_MAX ((size_t)16 << 20)
/* An entry of the table of groups, with all its members. */
#define GROUP_BYTES    65536

struct bytes {
    char *ptr;
    size_t len, cap;
};

static bool grow(struct bytes *bytes)
{
    size_t cap = bytes->cap ? bytes->cap * 2 : 16384;
    char *bigger = mem_realloc(bytes->ptr, cap);

    if (!bigger)
        return false;
    bytes->ptr = bigger;
    bytes->cap = cap;
    return true;
}

/* All that can be read, but no more than one byte beyond `most`. False: errno says why. */
static bool read_all(int fd, size_t most, struct bytes *bytes)
{
    ssize_t n = 1;

    while (n != 0 && bytes->len <= most) {
        if (bytes->len == bytes->cap && !grow(bytes)) {
            errno = ENOMEM;
            return false;
        }
        n = read(fd, bytes->ptr + bytes->len, bytes->cap - bytes->len);
        if (n < 0 && errno != EINTR)
            return false;
        bytes->len += n > 0 ? (size_t)n : 0;
    }
    return true;
}

static bool read_path(const char *path, size_t most, struct bytes *bytes)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool is_good;
    int why;

    if (fd < 0)
        return false;
    is_good = read_all(fd, most, bytes);
    why = errno;
    (void)close(fd); /* nothing was written */
    errno = why;
    return is_good;
}

static size_t without_line_break(const char *bytes, size_t len)
{
    if (len != 0 && bytes[len - 1] == '\n')
        len--;
    if (len != 0 && bytes[len - 1] == '\r')
        len--;
    return len;
}

/* config_files.read */
static char *read_named(void *arg, const char *path, size_t *len, const char **why)
{
    struct bytes bytes = {0};

    (void)arg;
    if (!read_path(path, NAMED_FILE_MAX, &bytes))
        *why = errno == ENOMEM ? NULL : strerror(errno);
    else if (bytes.len > NAMED_FILE_MAX)
        *why = "larger than 16MiB";
    else {
        *len = without_line_break(bytes.ptr, bytes.len);
        return bytes.ptr;
    }
    mem_free(bytes.ptr);
    return NULL;
}

/* config_files.group */
static bool find_group(void *arg, const char *name, uint32_t *number)
{
    char block[GROUP_BYTES];
    struct group group, *found = NULL;

    (void)arg;
    if (getgrnam_r(name, &group, block, sizeof(block), &found) != 0 || found == NULL)
        return false;
    *number = found->gr_gid;
    return true;
}

/* config_files.variable */
static const char *find_variable(void *arg, const char *name)
{
    (void)arg;
    return getenv(name);
}

static const struct config_files files = {
    .read = read_named,
    .group = find_group,
    .variable = find_variable,
};

static const char *shown_name(const char *path)
{
    return strcmp(path, "-") == 0 ? "<stdin>" : path;
}

void config_file_print(FILE *out, const char *path, bool are_warnings, const struct config_errors *errors)
{
    const char *name = shown_name(path);
    uint32_t listed = errors->count < CONFIG_ERRORS_MAX ? errors->count : CONFIG_ERRORS_MAX;

    for (uint32_t i = 0; i < listed; i++) {
        const struct config_error *error = &errors->list[i];

        fprintf(out, "%s:%u:%u: %s%s\n", name, error->line, error->column, are_warnings ? "warning: " : "",
                error->text);
    }
    if (errors->count > listed)
        fprintf(out, "%s: and %u %s more\n", name, errors->count - listed,
                are_warnings ? "warnings" : "errors");
}

static struct snapshot *parse(FILE *out, const char *path, struct span bytes)
{
    struct config_errors *errors = mem_zalloc(sizeof(*errors));
    struct snapshot *snapshot = NULL;
    enum status status = errors ? config_load(bytes, &files, &snapshot, errors) : ST_NOMEM;

    if (status == ST_BAD)
        config_file_print(out, path, false, errors);
    else if (status != ST_OK)
        fprintf(out, "curfew: %s: out of memory\n", shown_name(path));
    mem_free(errors);
    return status == ST_OK ? snapshot : NULL;
}

struct snapshot *config_file_read(const char *path, FILE *out)
{
    bool is_stdin = strcmp(path, "-") == 0;
    struct snapshot *snapshot = NULL;
    struct bytes bytes = {0};

    /* One byte more than config_load takes, so that it sees that the file is too large. */
    if (is_stdin ? read_all(STDIN_FILENO, YAML_BYTES_MAX, &bytes) : read_path(path, YAML_BYTES_MAX, &bytes))
        snapshot = parse(out, path, (struct span){bytes.ptr, bytes.len});
    else
        fprintf(out, "curfew: %s: %s\n", shown_name(path), strerror(errno));
    mem_free(bytes.ptr);
    return snapshot;
}

struct snapshot *config_file_load(const char *path)
{
    return config_file_read(path, stderr);
}

bool config_file_find_admin(const char *path, char *text, size_t cap)
{
    struct config_errors *errors = mem_zalloc(sizeof(*errors));
    struct bytes bytes = {0};
    bool is_there = false;

    if (errors == NULL || !read_path(path, YAML_BYTES_MAX, &bytes))
        fprintf(stderr, "curfew: %s: %s\n", path, strerror(errors == NULL ? ENOMEM : errno));
    else if (config_find_admin((struct span){bytes.ptr, bytes.len}, &files, errors, text, cap))
        is_there = true;
    else if (errors->count != 0)
        config_file_print(stderr, path, false, errors);
    else
        fprintf(stderr, "curfew: %s: without admin.listen there is nobody to ask; send it SIGHUP instead\n",
                path);
    mem_free(bytes.ptr);
    mem_free(errors);
    return is_there;
}
