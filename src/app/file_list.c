#include "app/file_list.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define ENDING ".yaml"

static bool make_room(struct file_list *list)
{
    uint32_t cap = list->cap != 0 ? list->cap * 2 : 8;
    char **bigger;

    if (list->count < list->cap)
        return true;
    bigger = mem_realloc(list->paths, cap * sizeof(*bigger));
    if (bigger == NULL)
        return false;
    list->paths = bigger;
    list->cap = cap;
    return true;
}

bool file_list_add(struct file_list *list, const char *path)
{
    char *copy = make_room(list) ? mem_dup(path, strlen(path)) : NULL;

    if (copy == NULL)
        return false;
    list->paths[list->count++] = copy;
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
    const char *const *left = a, *const *right = b;

    return strcmp(*left, *right);
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
        qsort(list->paths + before, list->count - before, sizeof(*list->paths), by_bytes);
    return is_good;
}

bool file_list_has(const struct file_list *list, const char *path)
{
    for (uint32_t i = 0; i < list->count; i++)
        if (strcmp(list->paths[i], path) == 0)
            return true;
    return false;
}

void file_list_fini(struct file_list *list)
{
    for (uint32_t i = 0; i < list->count; i++)
        mem_free(list->paths[i]);
    mem_free(list->paths);
    *list = (struct file_list){0};
}
