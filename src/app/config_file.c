#include "app/config_file.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/bytes.h"
#include "base/mem.h"
#include "config/load.h"
#include "config/report.h"
#include "config/yaml_tree.h"
#include "runtime/listen.h"

/* A bundle of certificates is the largest file that a configuration names. */
#define NAMED_FILE_MAX ((size_t)16 << 20)
/* An entry of the table of groups, with all its members. */
#define GROUP_BYTES    65536

/* All that can be read, but no more than one byte beyond `most`. False: errno says why. */
static bool read_all(int fd, size_t most, struct bytes *bytes)
{
    ssize_t n = 1;

    while (n != 0 && bytes->len <= most) {
        if (bytes->len == bytes->cap && !bytes_grow(bytes))
            return false;
        n = read(fd, bytes->ptr + bytes->len, bytes->cap - bytes->len);
        if (n < 0 && errno != EINTR)
            return false;
        bytes->len += n > 0 ? (size_t)n : 0;
    }
    return true;
}

/* What errno says of something that was not read; of a pipe, see open_again. */
static const char *reason(int why)
{
    if (why == ENOMEM)
        return "out of memory";
    return why == ESPIPE ? "a pipe, which a reload could not read again; a file is needed" : strerror(why);
}

/* To be read at each reload, which must not wait until somebody writes to a pipe: errno is ESPIPE then. */
static int open_again(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat info;

    if (fd < 0 || fstat(fd, &info) != 0 || !S_ISFIFO(info.st_mode))
        return fd;
    (void)close(fd); /* nothing was written */
    errno = ESPIPE;
    return -1;
}

static bool read_path(const char *path, bool may_be_pipe, size_t most, struct bytes *bytes)
{
    int fd = may_be_pipe ? open(path, O_RDONLY | O_CLOEXEC) : open_again(path);
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

static bool is_shortage(int why)
{
    return why == ENOMEM || why == EMFILE || why == ENFILE;
}

/* config_files.read; `arg` is the config_file. */
static char *read_named(void *arg, const char *path, size_t *len, const char **why)
{
    struct config_file *file = arg;
    struct bytes bytes = {0};

    if (!file_list_has(&file->named, path) && !file_list_add(&file->named, path)) {
        *why = NULL;
    } else if (!read_path(path, false, NAMED_FILE_MAX, &bytes)) {
        file->is_short = file->is_short || is_shortage(errno);
        *why = errno == ENOMEM ? NULL : reason(errno);
    } else if (bytes.len > NAMED_FILE_MAX) {
        *why = "larger than 16MiB";
    } else {
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

/* Made at the start, as systemd does it for a service. */
static bool may_be_made(const char *directory)
{
    return strncmp(directory, "/run/", 5) == 0 || strncmp(directory, "/var/run/", 9) == 0;
}

static bool is_there(const char *path, size_t len)
{
    char directory[LISTEN_PATH_MAX];

    snprintf(directory, sizeof(directory), "%.*s", (int)len, path);
    return access(directory, F_OK) == 0;
}

/* config_files.refuse_socket */
static const char *refuse_socket(void *arg, const char *path)
{
    const char *name = strrchr(path, '/');
    struct stat info;

    (void)arg;
    if (stat(path, &info) == 0)
        return S_ISSOCK(info.st_mode) ? NULL : "is there already, and is no socket";
    if (errno == ENOTDIR)
        return "a part of its path is no directory";
    if (errno == ENOENT && name > path && !may_be_made(path) && !is_there(path, (size_t)(name - path)))
        return "its directory is not there";
    return NULL;
}

/* config_files.variable */
static const char *find_variable(void *arg, const char *name)
{
    (void)arg;
    return getenv(name);
}

/* ---- the bytes ------------------------------------------------------------------------------------------ */

static bool is_stdin(const char *path)
{
    return strcmp(path, "-") == 0;
}

void config_file_report(struct config_file *file, const char *what)
{
    struct config_error *error = &file->errors.list[0];

    *error = (struct config_error){.file = file->path};
    snprintf(error->text, sizeof(error->text), "%s", what);
    file->errors.count = 1;
}

static bool fail(struct config_file *file, int why)
{
    file->is_short = file->is_short || is_shortage(why);
    config_file_report(file, reason(why));
    return false;
}

/* The names of the files. False: errno says why. */
static bool list_sources(const char *path, struct file_list *sources)
{
    struct stat info;

    if (stat(path, &info) == 0 && S_ISDIR(info.st_mode))
        return file_list_add_directory(sources, path);
    errno = ENOMEM;
    return file_list_add(sources, is_stdin(path) ? "<stdin>" : path);
}

static bool find_sources(struct config_file *file)
{
    if (!list_sources(file->path, &file->sources))
        return fail(file, errno);
    if (file->sources.count == 0)
        config_file_report(file, "no *.yaml is in this directory");
    return file->sources.count != 0;
}

/*
 * One byte more than config_load takes, so that it sees that a file is too large. A file that is named by itself may be
 * a pipe at the start: a shell's <(command).
 */
static bool read_source(struct config_file *file, struct config_source *source, const char *path)
{
    bool is_from_stdin = is_stdin(file->path);
    bool may_be_pipe = !file->is_again && strcmp(path, file->path) == 0;
    struct bytes bytes = {0};

    source->name = path;
    if (is_from_stdin ? read_all(STDIN_FILENO, YAML_BYTES_MAX, &bytes)
                      : read_path(path, may_be_pipe, YAML_BYTES_MAX, &bytes)) {
        source->bytes = (struct span){bytes.ptr, bytes.len};
        return true;
    }
    (void)fail(file, errno);
    file->errors.list[0].file = path;
    mem_free(bytes.ptr);
    return false;
}

static void free_sources(struct config_source *sources, uint32_t count)
{
    for (uint32_t i = 0; sources != NULL && i < count; i++)
        mem_free((char *)(uintptr_t)sources[i].bytes.ptr);
    mem_free(sources);
}

/* NULL: file->errors says why. The result has file->sources.count members, and is for free_sources. */
static struct config_source *read_sources(struct config_file *file)
{
    struct config_source *sources;
    bool is_good;

    if (!find_sources(file))
        return NULL;
    sources = mem_calloc(file->sources.count, sizeof(*sources));
    is_good = sources != NULL || fail(file, ENOMEM);
    for (uint32_t i = 0; is_good && i < file->sources.count; i++)
        is_good = read_source(file, &sources[i], file->sources.files[i].path);
    if (is_good)
        return sources;
    free_sources(sources, file->sources.count);
    return NULL;
}

/* ---- what they mean ------------------------------------------------------------------------------------------ */

struct config_file *config_file_new(const char *path)
{
    struct config_file *file = mem_zalloc(sizeof(*file));

    if (file == NULL) {
        fprintf(stderr, "curfew: %s: out of memory\n", path);
        return NULL;
    }
    file->path = path;
    file->errors.warnings = &file->warnings;
    return file;
}

void config_file_free(struct config_file *file)
{
    if (file == NULL)
        return;
    file_list_fini(&file->sources);
    file_list_fini(&file->named);
    mem_free(file);
}

static struct config_files files_of(struct config_file *file)
{
    return (struct config_files){.read = read_named,
                                 .group = find_group,
                                 .refuse_socket = file->is_check ? refuse_socket : NULL,
                                 .variable = find_variable,
                                 .arg = file};
}

struct snapshot *config_file_load(struct config_file *file)
{
    const struct config_files files = files_of(file);
    struct config_source *sources = read_sources(file);
    struct snapshot *snapshot = NULL;

    if (sources == NULL)
        return NULL;
    if (config_load_all(sources, file->sources.count, &files, &snapshot, &file->errors) == ST_NOMEM)
        (void)fail(file, ENOMEM);
    free_sources(sources, file->sources.count);
    if (snapshot != NULL && snapshot->watch && is_stdin(file->path))
        report_place(&file->warnings, snapshot->watch_at, "has no effect on standard input, which ends");
    return snapshot;
}

bool config_file_look(const struct config_file *file, struct file_list *now)
{
    /* A directory that is gone, or can't be read any more, has no files: that, too, is a change. */
    if (!list_sources(file->path, now) && errno == ENOMEM)
        return false;
    for (uint32_t i = 0; i < file->named.count; i++)
        if (!file_list_add(now, file->named.files[i].path))
            return false;
    return true;
}

static void put_list(FILE *out, const struct config_file *file, const struct config_errors *errors,
                     const char *prefix, const char *what)
{
    uint32_t listed = errors->count < CONFIG_ERRORS_MAX ? errors->count : CONFIG_ERRORS_MAX;

    for (uint32_t i = 0; i < listed; i++) {
        const struct config_error *error = &errors->list[i];

        if (error->line == 0)
            fprintf(out, "curfew: %s: %s\n", error->file, error->text);
        else
            fprintf(out, "%s:%u:%u: %s%s\n", error->file, error->line, error->column, prefix, error->text);
    }
    if (errors->count > listed)
        fprintf(out, "%s: and %u %s more\n", is_stdin(file->path) ? "<stdin>" : file->path,
                errors->count - listed, what);
}

void config_file_put(FILE *out, const struct config_file *file)
{
    put_list(out, file, &file->errors, "", "errors");
    put_list(out, file, &file->warnings, "warning: ", "warnings");
}

struct snapshot *config_file_get(const char *path)
{
    struct config_file *file = config_file_new(path);
    struct snapshot *snapshot = file != NULL ? config_file_load(file) : NULL;

    if (file != NULL && snapshot == NULL)
        config_file_put(stderr, file);
    config_file_free(file);
    return snapshot;
}

static void complain_of_admin(FILE *out, const struct config_file *file, bool metrics_will_do)
{
    if (file->errors.count != 0)
        config_file_put(out, file);
    else if (metrics_will_do)
        fprintf(out, "curfew: %s: without admin.listen or admin.metrics_listen there is nobody to ask\n",
                file->path);
    else
        fprintf(out,
                "curfew: %s: without admin.listen there is nobody to ask (a reload comes by SIGHUP, too)\n",
                file->path);
}

bool config_file_find_admin(const char *path, bool metrics_will_do, FILE *complaints, char *text, size_t cap)
{
    struct config_file *file = config_file_new(path);
    struct config_source *sources = file != NULL ? read_sources(file) : NULL;
    bool is_there = false;

    if (sources != NULL) {
        const struct config_files files = files_of(file);

        is_there = config_find_admin(sources, file->sources.count, &files, metrics_will_do, &file->errors,
                                     text, cap);
    }
    if (!is_there && file != NULL && complaints != NULL)
        complain_of_admin(complaints, file, metrics_will_do);
    free_sources(sources, file != NULL ? file->sources.count : 0);
    config_file_free(file);
    return is_there;
}
