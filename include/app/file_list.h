#ifndef CURFEW_APP_FILE_LIST_H
#define CURFEW_APP_FILE_LIST_H

#include <stdbool.h>
#include <stdint.h>

/* Paths of files. Zero is empty. */
struct file_list {
    char **paths;
    uint32_t count, cap;
};

/* Adds a copy, also of what is there. False: no memory. */
bool file_list_add(struct file_list *list, const char *path) __attribute__((warn_unused_result));
/*
 * Adds the *.yaml of a directory, in the order of the bytes of their names, without those whose name begins with a dot.
 * False: errno says why.
 */
bool file_list_add_directory(struct file_list *list, const char *directory)
    __attribute__((warn_unused_result));
bool file_list_has(const struct file_list *list, const char *path);
void file_list_fini(struct file_list *list);

#endif
