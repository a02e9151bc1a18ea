#include "app/check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "app/check_json.h"
#include "app/check_measured.h"
#include "app/check_store.h"
#include "app/config_file.h"
#include "app/machine.h"
#include "app/output.h"
#include "app/usage.h"
#include "base/number.h"
#include "config/lint.h"
#include "config/report.h"
#include "call/access_log.h"
#include "proxy/memory_bound.h"
#include "runtime/certificate.h"
#include "runtime/tls_files.h"

static const struct usage usage = {
    "check", "usage: curfew check [OPTION]... [[-c] FILE]\n"
             "\n"
             "Checks a configuration file and says all that is wrong in it, a line each:\n"
             "\n"
             "    FILE:LINE:COLUMN: key: what is wrong, and what would be right\n"
             "\n"
             "Files that it names have to be what `serve` can use: certificates and the keys that belong to\n"
             "them, values of headers, a log that can be written.\n"
             "Nothing is started.\n"
             "\n"
             "A sound file may still not mean what it says. Lines with \"warning:\" name limits that can\n"
             "never strike, calls that a shutdown would cut, certificates that expire within 30 days,\n"
             "a system without CA certificates, and more connections or memory than there is. If a curfew\n"
             "runs at the file's admin.listen, it is asked what it has measured, and they name queues in\n"
             "which calls wait for longer than their deadline leaves, and breakers whose ratio is of more\n"
             "calls than there are.\n"
             "\n"
             "With --store, the fleet's store is connected to, and each right that the fleet needs is used:\n"
             "what it refuses is an error, and what it might lose a warning. It writes to keys of its own\n"
             "alone, and leaves none.\n"
             "\n" USAGE_CONFIG "\n"
             "  -c, --config FILE         the configuration\n"
             "  -j, --json                the same as JSON, on standard output\n"
             "  -a, --admin ADDRESS       ask the curfew there instead: 127.0.0.1:9600, or unix:/path\n"
             "  --offline                 ask nobody\n"
             "  --store                   try the fleet's store\n"
             "  --strict                  a warning is an error\n"
             "  --descriptors COUNT       descriptors that curfew may have (LimitNOFILE=); this\n"
             "                            process's hard limit unless said\n"
             "  --memory SIZE             memory that it may have; this machine's, or its control\n"
             "                            group's, unless said\n"
             "  --stop-timeout DURATION   how long a stop may take before curfew is killed\n"
             "                            (TimeoutStopSec=, terminationGracePeriodSeconds); 90s unless\n"
             "                            said\n"
             "  -h, --help                this text\n"
             "\n"
             "Exit status: 0 the file is sound, 1 it is not, 2 wrong usage.\n"};

/* systemd's own default (systemd-system.conf, DefaultTimeoutStopSec=). */
#define STOP_TIMEOUT_NS (90 * NS_PER_S)

struct checking {
    const char *path;
    const char *admin; /* NULL: the file's own */
    bool is_strict, as_json, is_offline, tries_store;
    struct lint_bounds bounds;
    char store[480]; /* what the fleet's store is; "": not known */
};

static const char *plural(uint32_t count)
{
    return count == 1 ? "" : "s";
}

/*
 * A chain ends with the first of its certificates. A bundle of authorities often holds some that have expired; it is
 * of no use when all have.
 */
static void check_files(const struct snapshot *snapshot, struct config_errors *warnings)
{
    for (uint32_t i = 0; i < snapshot->upstream_count; i++) {
        const struct tls_config *tls = &snapshot->upstreams[i].tls;
        const struct caller_tls_config *callers = &snapshot->upstreams[i].caller_tls;
        int64_t first_s, last_s;

        if (tls->spec.cert_file && certificate_ends(tls->spec.cert_file, &first_s, &last_s) == ST_OK)
            lint_certificate(tls->cert_at, tls->spec.cert_file, first_s, time(NULL), warnings);
        if (tls->spec.ca_file && certificate_ends(tls->spec.ca_file, &first_s, &last_s) == ST_OK)
            lint_certificate(tls->ca_at, tls->spec.ca_file, last_s, time(NULL), warnings);
        if (callers->spec.cert_file && certificate_ends(callers->spec.cert_file, &first_s, &last_s) == ST_OK)
            lint_certificate(callers->cert_at, callers->spec.cert_file, first_s, time(NULL), warnings);
        if (callers->spec.client_ca_file &&
            certificate_ends(callers->spec.client_ca_file, &first_s, &last_s) == ST_OK)
            lint_certificate(callers->client_ca_at, callers->spec.client_ca_file, last_s, time(NULL),
                             warnings);
    }
}

static int conclude_in_json(const struct checking *checking, const struct config_file *file,
                            const struct snapshot *snapshot)
{
    bool is_ok = file->errors.count == 0 && (file->warnings.count == 0 || !checking->is_strict);

    check_json_print(file, snapshot, is_ok);
    return output_is_written() && is_ok ? 0 : 1;
}

static int conclude(const struct checking *checking, const struct config_file *file,
                    const struct snapshot *snapshot)
{
    const struct config_errors *warnings = &file->warnings;

    if (checking->as_json)
        return conclude_in_json(checking, file, snapshot);
    config_file_put(stderr, file);
    if (file->errors.count != 0)
        return 1;
    if (checking->is_strict && warnings->count != 0) {
        fprintf(stderr, "%s: %u warning%s, and --strict\n", checking->path, warnings->count,
                plural(warnings->count));
        return 1;
    }
    printf("%s: ok: %u upstream%s, %u pool%s, %u route%s", checking->path, snapshot->upstream_count,
           plural(snapshot->upstream_count), snapshot->pool_count, plural(snapshot->pool_count),
           snapshot->route_count, plural(snapshot->route_count));
    if (warnings->count != 0)
        printf(", %u warning%s", warnings->count, plural(warnings->count));
    printf("\n");
    if (checking->store[0] != '\0')
        printf("%s: the fleet's store is %s\n", checking->path, checking->store);
    return output_is_written() ? 0 : 1;
}

/* What `serve` would open at its start, and could not. */
static void check_log(const struct snapshot *snapshot, struct config_errors *errors)
{
    const struct log_config *log = &snapshot->log;

    if (!access_log_can_open(log))
        report_place(errors, log->access_at, "%.100s: %s", log->access_path, strerror(errno));
}

/* True unless there is no memory to look. */
static bool check_tls_of(const struct upstream_config *upstream, struct tls_trust *trust,
                         struct config_errors *errors)
{
    const struct tls_config *tls = &upstream->tls;
    const struct place *places[] = {
        [TLS_CA_FILE] = tls->ca_at, [TLS_CERT_FILE] = tls->cert_at, [TLS_KEY_FILE] = tls->key_at};
    struct tls_fault fault;
    enum status status = tls_files_check(&tls->spec, trust, &fault);

    if (status == ST_BAD)
        report_place(errors, places[fault.file], "%s", fault.text);
    return status != ST_NOMEM;
}

/* Likewise towards callers. */
static bool check_caller_tls(const struct upstream_config *upstream, struct config_errors *errors)
{
    const struct caller_tls_config *tls = &upstream->caller_tls;
    const struct place *places[] = {
        [TLS_CA_FILE] = tls->client_ca_at, [TLS_CERT_FILE] = tls->cert_at, [TLS_KEY_FILE] = tls->key_at};
    struct tls_fault fault;
    enum status status = tls->enabled ? tls_files_check_server(&tls->spec, &fault) : ST_OK;

    if (status == ST_BAD)
        report_place(errors, places[fault.file], "%s", fault.text);
    return status != ST_NOMEM;
}

static bool check_each_tls(const struct snapshot *snapshot, struct tls_trust *trust, struct config_file *file)
{
    for (uint32_t i = 0; i < snapshot->upstream_count; i++) {
        const struct upstream_config *upstream = &snapshot->upstreams[i];

        if (!check_caller_tls(upstream, &file->errors))
            return false;
        if (!upstream->tls.enabled)
            continue;
        if (!check_tls_of(upstream, trust, &file->errors))
            return false;
        if (upstream->tls.spec.ca_file == NULL && !tls_files_has_system_trust())
            report_place(
                &file->warnings, upstream->at,
                "this system has no CA certificates, so that no certificate can be verified; install them "
                "(ca-certificates), or name some in tls.ca_file");
    }
    return true;
}

/* Certificates and keys as `serve` would load them; the system's, if they are what is trusted. */
static bool check_tls(const struct snapshot *snapshot, struct config_file *file)
{
    struct tls_trust trust;
    bool has_memory;

    tls_trust_init(&trust);
    has_memory = check_each_tls(snapshot, &trust, file);
    tls_trust_fini(&trust);
    return has_memory;
}

/* What a sound configuration asks of this machine, and what it probably does not mean. */
static void check_meaning(struct checking *checking, struct config_file *file,
                          const struct snapshot *snapshot)
{
    check_log(snapshot, &file->errors);
    checking->bounds.worst_memory_bytes = memory_bound(snapshot);
    if (!check_tls(snapshot, file) || lint_give(snapshot, &checking->bounds, &file->warnings) != ST_OK) {
        config_file_report(file, "out of memory");
        return;
    }
    check_files(snapshot, &file->warnings);
    if (!checking->is_offline && file->errors.count == 0)
        check_measured(snapshot, checking->admin, &file->warnings);
    if (checking->tries_store)
        check_store(snapshot, file, checking->store, sizeof(checking->store));
}

static int check(struct checking *checking)
{
    struct config_file *file = config_file_new(checking->path);
    struct snapshot *snapshot;
    int result = 1;

    if (file != NULL)
        file->is_check = true;
    snapshot = file != NULL ? config_file_load(file) : NULL;
    if (snapshot != NULL)
        check_meaning(checking, file, snapshot);
    if (file != NULL)
        result = conclude(checking, file, snapshot);
    snapshot_free(snapshot);
    config_file_free(file);
    return result;
}

enum {
    OPTION_STRICT = 256,
    OPTION_OFFLINE,
    OPTION_STORE,
    OPTION_DESCRIPTORS,
    OPTION_MEMORY,
    OPTION_STOP_TIMEOUT
};

/* What the value should be; NULL: it is. */
static const char *take_option(struct checking *checking, int option, const char *value)
{
    struct lint_bounds *bounds = &checking->bounds;

    switch (option) {
    case 'c': checking->path = value; return NULL;
    case 'a': checking->admin = value; return NULL;
    case OPTION_OFFLINE: checking->is_offline = true; return NULL;
    case OPTION_STORE: checking->tries_store = true; return NULL;
    case 'j': checking->as_json = true; return NULL;
    case OPTION_STRICT: checking->is_strict = true; return NULL;
    case OPTION_DESCRIPTORS:
        return number_u64(span_of(value), &bounds->descriptors) == NUMBER_OK ? NULL : "a whole number";
    case OPTION_MEMORY:
        return number_size(span_of(value), &bounds->memory_bytes) == NUMBER_OK ? NULL
                                                                               : "a size, as in 512MiB";
    default:
        return number_duration(span_of(value), &bounds->stop_ns) == NUMBER_OK ? NULL
                                                                              : "a duration, as in 90s";
    }
}

int check_main(int argc, char **argv)
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"admin", required_argument, NULL, 'a'},
        {"offline", no_argument, NULL, OPTION_OFFLINE},
        {"json", no_argument, NULL, 'j'},
        {"store", no_argument, NULL, OPTION_STORE},
        {"strict", no_argument, NULL, OPTION_STRICT},
        {"descriptors", required_argument, NULL, OPTION_DESCRIPTORS},
        {"memory", required_argument, NULL, OPTION_MEMORY},
        {"stop-timeout", required_argument, NULL, OPTION_STOP_TIMEOUT},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    struct checking checking = {
        .bounds = {machine_descriptors(), machine_memory(), 0, STOP_TIMEOUT_NS},
    };
    const char *needed;
    int option, index = 0;

    opterr = 0;
    while ((option = getopt_long(argc, argv, ":c:a:jh", options, &index)) != -1) {
        if (option == 'h') {
            fputs(usage.text, stdout);
            return 0;
        }
        if (option == '?' || option == ':')
            return usage_wrong_option(&usage, options, option, argv);
        if ((needed = take_option(&checking, option, optarg)) != NULL)
            return usage_wrong(&usage, "--%s is %s, not \"%s\"", options[index].name, needed, optarg);
    }
    checking.path = usage_config(&usage, checking.path, argv + optind, argc - optind);
    return checking.path != NULL ? check(&checking) : USAGE_WRONG;
}
