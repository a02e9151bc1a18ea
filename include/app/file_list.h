#ifndef CURFEW_APP_FILE_LIST_H
#define CURFEW_APP_FILE_LIST_H

#include <stdbool.h>
#include <stdint.h>

/* A path, and what distinguishes the file that it led to from another, or from itself once it has been written to. */
struct file_entry {
    char *path;
    uint64_t mark;
};

/* Zero is empty. */
struct file_list {
    struct file_entry *files;
    uint32_t count, cap;
};

/*
 * Adds a copy of the path, also of what is there, and the mark that the file has now: whoever reads it does so
 * afterwards, so that what changes meanwhile is a change. False: no memory.
 */
bool file_list_add(struct file_list *list, const char *path) __attribute__((warn_unused_result));
/* Adds copies of all entries of another list, with the marks that they have there. False: no memory. */
bool file_list_append(struct file_list *list, const struct file_list *other)
    __attribute__((warn_unused_result));
/*
 * Adds the *.yaml of a directory, in the order of the bytes of their names, without those whose name begins with a dot.
 * False: errno says why.
 */
bool file_list_add_directory(struct file_list *list, const char *directory)
    __attribute__((warn_unused_result));
bool file_list_has(const struct file_list *list, const char *path);
/* The first path that only one of them has, or that has another mark; NULL: they are the same. */
const char *file_list_difference(const struct file_list *before, const struct file_list *now);
void file_list_fini(struct file_list *list);

#endif
