#ifndef CURFEW_RUNTIME_TLS_TRUST_H
#define CURFEW_RUNTIME_TLS_TRUST_H

#include <openssl/x509.h>
#include <stdint.h>

/*
 * The authorities that the contexts of one configuration trust: a file is read once, however many upstreams name it.
 * That counts: of a system's bundle, some 140 certificates, OpenSSL makes 1.2 MiB in 50 ms. What was read goes with the
 * last context that has it. One thread.
 */
struct tls_trust {
    struct tls_trust_file *files;
    uint32_t count;
};

void tls_trust_init(struct tls_trust *trust);
void tls_trust_fini(struct tls_trust *trust);

/* What was read from this file, NULL being the system's; borrowed. NULL: nothing was yet. */
X509_STORE *tls_trust_find(const struct tls_trust *trust, const char *path);

/* The path is borrowed, the store is shared. Without memory for it, the file will be read again. */
void tls_trust_keep(struct tls_trust *trust, const char *path, X509_STORE *store);

#endif
