#include "app/check.h"

#include <stdio.h>
#include <string.h>

#include "app/config_file.h"

static const char usage[] =
    "usage: curfew check FILE\n"
    "\n"
    "Checks a configuration file and says all that is wrong in it, a line each:\n"
    "\n"
    "    FILE:LINE:COLUMN: key: what is wrong, and what would be right\n"
    "\n"
    "Files that it names (certificates, values of headers) have to be readable. FILE may be\n"
    "- for standard input. Nothing is started.\n"
    "\n"
    "Exit status: 0 the file is sound, 1 it is not, 2 wrong usage.\n";

static const char *plural(uint32_t count)
{
    return count == 1 ? "" : "s";
}

static int check(const char *path)
{
    struct snapshot *snapshot = config_file_load(path);

    if (!snapshot)
        return 1;
    printf("%s: ok: %u upstream%s, %u pool%s, %u route%s\n", path, snapshot->upstream_count,
           plural(snapshot->upstream_count), snapshot->pool_count, plural(snapshot->pool_count),
           snapshot->route_count, plural(snapshot->route_count));
    snapshot_free(snapshot);
    return fflush(stdout) == 0 ? 0 : 1;
}

int check_main(int argc, char **argv)
{
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        fputs(usage, stdout);
        return 0;
    }
    if (argc != 2 || (argv[1][0] == '-' && argv[1][1] != '\0')) {
        fputs(usage, stderr);
        return 2;
    }
    return check(argv[1]);
}
