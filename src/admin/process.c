#include "admin/process.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static double seconds_of(clockid_t clock)
{
    struct timespec now;

    return clock_gettime(clock, &now) == 0 ? (double)now.tv_sec + (double)now.tv_nsec * 1e-9 : 0;
}

/* The first bytes of a file, terminated; empty if it can't be read. */
static void read_start(const char *path, char *out, size_t cap)
{
    FILE *file = fopen(path, "re");
    size_t len = file ? fread(out, 1, cap - 1, file) : 0;

    out[len] = '\0';
    if (file)
        fclose(file);
}

static void read_memory(struct process_stats *out)
{
    double page_bytes = (double)sysconf(_SC_PAGESIZE);
    unsigned long virtual_pages, resident_pages;
    char text[200];

    read_start("/proc/self/statm", text, sizeof(text));
    if (sscanf(text, "%lu %lu", &virtual_pages, &resident_pages) != 2)
        return;
    out->virtual_bytes = (double)virtual_pages * page_bytes;
    out->resident_bytes = (double)resident_pages * page_bytes;
}

/*
 * Field 22 of proc(5)'s stat: clock ticks from boot to the start of the process. The name before it may hold anything.
 */
static double started_after_boot(void)
{
    unsigned long long ticks;
    const char *after_name;
    char text[1024];

    read_start("/proc/self/stat", text, sizeof(text));
    after_name = strrchr(text, ')');
    if (!after_name ||
        sscanf(after_name + 1, " %*c%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%*s%llu", &ticks) != 1)
        return 0;
    return (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

static double seconds_now(void)
{
    return seconds_of(CLOCK_MONOTONIC);
}

static double list_open_fds(void)
{
    DIR *directory = opendir("/proc/self/fd");
    double count = 0;

    if (!directory)
        return 0;
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(directory);
    return count - 1; /* without the directory's own */
}

/*
 * Since Linux 6.2 the size of the directory is the count. Before, there is only the list, which takes the kernel close
 * to a microsecond for each: it is not made again before a hundred times as long as it took is over, and so takes 1 %
 * of a CPU at most, however many descriptors and scrapes there are.
 */
#define LIST_SHARE 100

static double count_open_fds(struct process_reader *reader)
{
    struct stat directory;
    double now;

    if (stat("/proc/self/fd", &directory) == 0 && directory.st_size > 0)
        return (double)directory.st_size;
    now = seconds_now();
    if (now >= reader->next_list) {
        reader->listed_fds = list_open_fds();
        reader->next_list = now + LIST_SHARE * (seconds_now() - now);
    }
    return reader->listed_fds;
}

static double most_fds(void)
{
    struct rlimit limit;

    return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? (double)limit.rlim_cur : 0;
}

void process_stats_read(struct process_reader *reader, struct process_stats *out)
{
    *out = (struct process_stats){
        .cpu_seconds = seconds_of(CLOCK_PROCESS_CPUTIME_ID),
        .open_fds = count_open_fds(reader),
        .max_fds = most_fds(),
    };
    /* Once: or else a step of the clock would look like a restart. */
    if (reader->start_time_seconds == 0)
        reader->start_time_seconds =
            seconds_of(CLOCK_REALTIME) - seconds_of(CLOCK_BOOTTIME) + started_after_boot();
    out->start_time_seconds = reader->start_time_seconds;
    read_memory(out);
}
