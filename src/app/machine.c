#include "app/machine.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/number.h"

uint64_t machine_descriptors(void)
{
    struct rlimit limit;

    return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_max : UINT64_MAX;
}

/* In a container its own group is the root of the tree. "max", or no such file: no limit. */
static uint64_t group_memory(void)
{
    int fd = open("/sys/fs/cgroup/memory.max", O_RDONLY | O_CLOEXEC);
    char bytes[32];
    ssize_t n = fd >= 0 ? read(fd, bytes, sizeof(bytes)) : -1;
    uint64_t limit = UINT64_MAX;

    if (fd >= 0)
        (void)close(fd); /* nothing was written */
    if (n <= 0 || number_u64((struct span){bytes, (size_t)n - 1}, &limit) != NUMBER_OK)
        return UINT64_MAX;
    return limit;
}

uint64_t machine_memory(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
    uint64_t group = group_memory();
    uint64_t machine = pages > 0 && page_bytes > 0 ? (uint64_t)pages * (uint64_t)page_bytes : UINT64_MAX;

    return group < machine ? group : machine;
}
