#include "runtime/tls_trust.h"

#include <stdbool.h>
#include <string.h>

#include "base/mem.h"

struct tls_trust_file {
    const char *path; /* NULL: the system's */
    X509_STORE *store;
};

void tls_trust_init(struct tls_trust *trust)
{
    *trust = (struct tls_trust){.files = NULL};
}

void tls_trust_fini(struct tls_trust *trust)
{
    for (uint32_t i = 0; i < trust->count; i++)
        X509_STORE_free(trust->files[i].store);
    mem_free(trust->files);
    tls_trust_init(trust);
}

static bool is_same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

X509_STORE *tls_trust_find(const struct tls_trust *trust, const char *path)
{
    for (uint32_t i = 0; i < trust->count; i++)
        if (is_same(trust->files[i].path, path))
            return trust->files[i].store;
    return NULL;
}

void tls_trust_keep(struct tls_trust *trust, const char *path, X509_STORE *store)
{
    struct tls_trust_file *files =
        mem_realloc(trust->files, (trust->count + 1) * sizeof(struct tls_trust_file));

    if (files == NULL)
        return;
    trust->files = files;
    if (X509_STORE_up_ref(store) == 1)
        trust->files[trust->count++] = (struct tls_trust_file){path, store};
}
