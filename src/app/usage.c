#include "app/usage.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/suggest.h"

#define DEFAULT_CONFIG "/etc/curfew/curfew.yaml"

static int put_use(const struct usage *usage)
{
    const char *end = strstr(usage->text, "\n\n");
    int len = end != NULL ? (int)(end - usage->text) : (int)strlen(usage->text);

    fprintf(stderr, "%.*s\ncurfew %s --help tells more.\n", len, usage->text, usage->command);
    return USAGE_WRONG;
}

int usage_wrong(const struct usage *usage, const char *format, ...)
{
    va_list args;

    fprintf(stderr, "curfew: %s: ", usage->command);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    return put_use(usage);
}

/* "--surf", of which a value may be part: no such option, or several that begin so. */
static int wrong_long_option(const struct usage *usage, const struct option *options, const char *written)
{
    struct span name = {written + 2, strcspn(written + 2, "=")};
    struct suggestion suggestion = suggest_for(name);
    int beginning_so = 0;

    for (; options->name != NULL; options++) {
        if (span_eq(span_of(options->name), name))
            return usage_wrong(usage, "--%s takes no value", options->name);
        beginning_so += strncmp(options->name, name.ptr, name.len) == 0;
        suggest_offer(&suggestion, span_of(options->name));
    }
    if (beginning_so > 1)
        return usage_wrong(usage, "several options begin with --%.*s", SPAN_FMT(name));
    if (suggestion.best.len == 0)
        return usage_wrong(usage, "unknown option --%.*s", SPAN_FMT(name));
    return usage_wrong(usage, "unknown option --%.*s; did you mean --%.*s?", SPAN_FMT(name),
                       SPAN_FMT(suggestion.best));
}

int usage_wrong_option(const struct usage *usage, const struct option *options, int returned, char **argv)
{
    const char *written = argv[optind - 1];

    if (returned == ':')
        return usage_wrong(usage, "%s needs a value", written);
    if (strncmp(written, "--", 2) == 0)
        return wrong_long_option(usage, options, written);
    return usage_wrong(usage, "unknown option -%c", optopt);
}

/* What is taken when the command line says nothing; NULL: there is nothing to take. */
static const char *find_default(void)
{
    const char *variable = getenv("CURFEW_CONFIG");

    if (variable != NULL && *variable != '\0')
        return variable;
    return access(DEFAULT_CONFIG, F_OK) == 0 || errno != ENOENT ? DEFAULT_CONFIG : NULL;
}

const char *usage_config(const struct usage *usage, const char *by_option, char **arguments, int count)
{
    const char *path = by_option != NULL ? by_option : count > 0 ? arguments[0] : find_default();
    int allowed = by_option != NULL ? 0 : 1;

    if (count > allowed) {
        (void)usage_wrong(usage, "unexpected argument \"%s\": the configuration is \"%s\" already",
                          arguments[allowed], path);
        return NULL;
    }
    if (path == NULL)
        (void)usage_wrong(usage, "no configuration is named, and there is no " DEFAULT_CONFIG);
    else if (*path == '\0')
        (void)usage_wrong(usage, "the name of the configuration is empty");
    return path != NULL && *path != '\0' ? path : NULL;
}

bool usage_admin(const struct usage *usage, const char *by_option, const char *address, char **arguments,
                 int count, const char **path)
{
    *path = NULL;
    if (address == NULL) {
        *path = usage_config(usage, by_option, arguments, count);
        return *path != NULL;
    }
    if (by_option != NULL || count > 0)
        (void)usage_wrong(usage, "--admin says where: the configuration \"%s\" has no use",
                          by_option != NULL ? by_option : arguments[0]);
    return by_option == NULL && count == 0;
}
