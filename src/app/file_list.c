#include "app/file_list.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "base/mem.h"

#define ENDING ".yaml"

static bool make_room(struct file_list *list)
{
    uint32_t cap = list->cap != 0 ? list->cap * 2 : 8;
    struct file_entry *bigger;

    if (list->count < list->cap)
        return true;
    bigger = mem_realloc(list->files, cap * sizeof(*bigger));
    if (bigger == NULL)
        return false;
    list->files = bigger;
    list->cap = cap;
    return true;
}

static uint64_t mix(uint64_t hash, uint64_t number)
{
    return hash_bytes(hash, &number, sizeof(number));
}

/* Of the file at the end of all symbolic links: one that moves leads to another inode. */
static uint64_t mark_of(const char *path)
{
    uint64_t hash = HASH_OF_NOTHING;
    struct stat info;

    if (stat(path, &info) != 0)
        return mix(hash, (uint64_t)errno);
    hash = mix(mix(mix(hash, info.st_dev), info.st_ino), (uint64_t)info.st_size);
    hash = mix(mix(hash, (uint64_t)info.st_mtim.tv_sec), (uint64_t)info.st_mtim.tv_nsec);
    /* What gives a file an old date of change, or other permissions, is seen by this. */
    return mix(mix(hash, (uint64_t)info.st_ctim.tv_sec), (uint64_t)info.st_ctim.tv_nsec);
}

static bool add(struct file_list *list, const char *path, uint64_t mark)
{
    char *copy = make_room(list) ? mem_dup(path, strlen(path)) : NULL;

    if (copy == NULL)
        return false;
    list->files[list->count++] = (struct file_entry){copy, mark};
    return true;
}

bool file_list_add(struct file_list *list, const char *path)
{
    return add(list, path, mark_of(path));
}

bool file_list_append(struct file_list *list, const struct file_list *other)
{
    for (uint32_t i = 0; i < other->count; i++)
        if (!add(list, other->files[i].path, other->files[i].mark))
            return false;
    return true;
}

static bool is_meant(const char *name)
{
    size_t len = strlen(name), ending = strlen(ENDING);

    return name[0] != '.' && len > ending && strcmp(name + len - ending, ENDING) == 0;
}

static bool add_entry(struct file_list *list, const char *directory, const char *name)
{
    size_t len = strlen(directory), cap = len + strlen(name) + 2;
    char *path = mem_alloc(cap);
    bool is_added;

    if (path == NULL)
        return false;
    while (len > 1 && directory[len - 1] == '/')
        len--;
    snprintf(path, cap, "%.*s/%s", (int)len, directory, name);
    is_added = file_list_add(list, path);
    mem_free(path);
    return is_added;
}

static int by_bytes(const void *a, const void *b)
{
    const struct file_entry *left = a, *right = b;

    return strcmp(left->path, right->path);
}

/* Not with scandir, whose allocations could not be made to fail. */
bool file_list_add_directory(struct file_list *list, const char *directory)
{
    uint32_t before = list->count;
    DIR *dir = opendir(directory);
    struct dirent *entry;
    bool is_good = true;

    if (dir == NULL)
        return false;
    while (is_good && (errno = 0, entry = readdir(dir)) != NULL)
        is_good = !is_meant(entry->d_name) || add_entry(list, directory, entry->d_name);
    if (!is_good)
        errno = ENOMEM;
    else if (errno != 0)
        is_good = false;
    (void)closedir(dir); /* nothing was written */
    if (is_good && list->count != before)
        qsort(list->files + before, list->count - before, sizeof(*list->files), by_bytes);
    return is_good;
}

bool file_list_has(const struct file_list *list, const char *path)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (strcmp(list->files[i].path, path) == 0)
            return true;
    return false;
}

const char *file_list_difference(const struct file_list *before, const struct file_list *now)
{
    uint32_t common = before->count < now->count ? before->count : now->count;

    for (uint32_t i = 0; i < common; i++)
        if (before->files[i].mark != now->files[i].mark ||
            strcmp(before->files[i].path, now->files[i].path) != 0)
            return now->files[i].path;
    if (before->count == now->count)
        return NULL;
    return before->count > common ? before->files[common].path : now->files[common].path;
}

void file_list_fini(struct file_list *list)
{
    for (uint32_t i = 0; i < list->count; i++)
        mem_free(list->files[i].path);
    mem_free(list->files);
    *list = (struct file_list){0};
}
