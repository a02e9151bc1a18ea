/*
 * Runs a target over every input that the tree keeps for it: tests/fuzz/corpus/TARGET, what the fuzzer thought worth
 * keeping, and tests/fuzz/crashes/TARGET, what once went wrong. Needs no fuzzer, so that every build can run it.
 *
 *   TARGET [FILE...]      CURFEW_FUZZ: where corpus and crashes are (tests/fuzz)
 *
 * TARGET is the name of the program. The last input that is named in the output is the one that broke it.
 */
#include <dirent.h>
#include <limits.h>

#include "fuzz.h"

static int run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *bytes;
    long len;

    if (file == NULL || fseek(file, 0, SEEK_END) != 0 || (len = ftell(file)) < 0) {
        perror(path);
        exit(1);
    }
    rewind(file);
    /* To the byte, so that a read behind it is seen. */
    bytes = malloc(len != 0 ? (size_t)len : 1);
    if (bytes == NULL || fread(bytes, 1, (size_t)len, file) != (size_t)len) {
        perror(path);
        exit(1);
    }
    fclose(file);
    puts(path);
    fflush(stdout);
    MUST(LLVMFuzzerTestOneInput(bytes, (size_t)len) == 0);
    free(bytes);
    return 1;
}

/* How many inputs were there; none if there is no such directory. */
static int run_directory(const char *root, const char *kind, const char *target)
{
    char path[PATH_MAX];
    struct dirent **entries = NULL;
    int found, ran = 0;

    snprintf(path, sizeof(path), "%s/%s/%s", root, kind, target);
    found = scandir(path, &entries, NULL, alphasort);
    for (int i = 0; i < found; i++) {
        if (entries[i]->d_name[0] != '.') {
            snprintf(path, sizeof(path), "%s/%s/%s/%s", root, kind, target, entries[i]->d_name);
            ran += run_file(path);
        }
        free(entries[i]);
    }
    free(entries);
    return ran;
}

int main(int argc, char **argv)
{
    const char *root = getenv("CURFEW_FUZZ") != NULL ? getenv("CURFEW_FUZZ") : "tests/fuzz";
    const char *slash = strrchr(argv[0], '/');
    const char *target = slash != NULL ? slash + 1 : argv[0];
    int kept = 0, crashes = 0;

    for (int i = 1; i < argc; i++)
        run_file(argv[i]);
    if (argc > 1)
        return 0;
    kept = run_directory(root, "corpus", target);
    crashes = run_directory(root, "crashes", target);
    printf("%s: %d inputs and %d that once went wrong\n", target, kept, crashes);
    if (kept == 0)
        printf("%s/corpus/%s: no input there\n", root, target);
    return kept == 0;
}
