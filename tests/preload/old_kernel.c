/*
 * A library to preload into curfew: as before Linux 6.2, the size of /proc/self/fd does not say how many descriptors
 * are open.
 */
#include <dlfcn.h>
#include <string.h>
#include <sys/stat.h>

int stat(const char *path, struct stat *info)
{
    int (*next)(const char *, struct stat *) = (int (*)(const char *, struct stat *))dlsym(RTLD_NEXT, "stat");
    int status = next(path, info);

    if (status == 0 && strcmp(path, "/proc/self/fd") == 0)
        info->st_size = 0;
    return status;
}
