#include "runtime/tls_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

static enum status complain(struct tls_fault *fault, enum tls_file file, const char *path, const char *reason)
{
    fault->file = file;
    snprintf(fault->text, sizeof(fault->text), "%s: %s", path, reason);
    ERR_clear_error();
    return ST_BAD;
}

static enum status complain_of_memory(struct tls_fault *fault)
{
    fault->file = TLS_NO_FILE;
    snprintf(fault->text, sizeof(fault->text), "out of memory");
    ERR_clear_error();
    return ST_NOMEM;
}

/* OpenSSL's words for a file that it does not like; the first error is the nearest to the matter. */
static enum status complain_of_content(struct tls_fault *fault, enum tls_file file, const char *path,
                                       const char *what)
{
    unsigned long error = ERR_peek_error();
    const char *reason = ERR_reason_error_string(error);
    char text[256];

    if (ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE)
        return complain_of_memory(fault);
    snprintf(text, sizeof(text), "%s: %s",
             ERR_GET_LIB(error) == ERR_LIB_SSL ? "OpenSSL does not take it" : what,
             reason != NULL ? reason : "unknown error");
    return complain(fault, file, path, text);
}

/* OpenSSL says only roughly what is wrong with a file that can't be read: a byte of it is read first. */
static enum status check_readable(struct tls_fault *fault, enum tls_file file, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char byte;
    ssize_t n = fd >= 0 ? read(fd, &byte, 1) : -1;
    int error = errno;

    if (fd >= 0)
        close(fd);
    if (n > 0)
        return ST_OK;
    return complain(fault, file, path, n == 0 ? "the file is empty" : strerror(error));
}

static enum status read_trust(SSL_CTX *context, const char *path, struct tls_fault *fault)
{
    enum status status;

    if (path == NULL)
        return SSL_CTX_set_default_verify_paths(context) == 1 ? ST_OK : complain_of_memory(fault);
    if ((status = check_readable(fault, TLS_CA_FILE, path)) != ST_OK)
        return status;
    if (SSL_CTX_load_verify_file(context, path) == 1)
        return ST_OK;
    return complain_of_content(fault, TLS_CA_FILE, path, "no CA certificates in PEM form");
}

static enum status load_trust(SSL_CTX *context, const char *path, struct tls_trust *trust,
                              struct tls_fault *fault)
{
    X509_STORE *known = tls_trust_find(trust, path);
    enum status status;

    if (known != NULL) {
        SSL_CTX_set1_cert_store(context, known);
        return ST_OK;
    }
    status = read_trust(context, path, fault);
    if (status == ST_OK)
        tls_trust_keep(trust, path, SSL_CTX_get_cert_store(context));
    return status;
}

static int refuse_passphrase(char *block, int size, int for_writing, void *arg)
{
    (void)block;
    (void)size;
    (void)for_writing;
    *(bool *)arg = true;
    return 0;
}

static enum status load_key(SSL_CTX *context, const char *path, struct tls_fault *fault)
{
    bool is_encrypted = false, loaded;

    SSL_CTX_set_default_passwd_cb(context, refuse_passphrase);
    SSL_CTX_set_default_passwd_cb_userdata(context, &is_encrypted);
    loaded = SSL_CTX_use_PrivateKey_file(context, path, SSL_FILETYPE_PEM) == 1;
    SSL_CTX_set_default_passwd_cb_userdata(context, NULL);
    if (is_encrypted)
        return complain(fault, TLS_KEY_FILE, path,
                        "the key is encrypted, and there is nobody to ask for a passphrase");
    if (!loaded && ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH)
        return complain(fault, TLS_KEY_FILE, path, "the key does not match cert_file");
    if (!loaded && ERR_GET_REASON(ERR_peek_last_error()) == ERR_R_MALLOC_FAILURE)
        return complain_of_memory(fault);
    if (!loaded)
        return complain(fault, TLS_KEY_FILE, path, "no private key in PEM form that can be used");
    if (SSL_CTX_check_private_key(context) != 1)
        return complain(fault, TLS_KEY_FILE, path, "the key does not match cert_file");
    return ST_OK;
}

/* Our own certificate, if there is one; without a file of its own, its key is in the same. */
static enum status load_certificate(SSL_CTX *context, const char *cert_file, const char *key_file,
                                    struct tls_fault *fault)
{
    enum status status;

    if (cert_file == NULL)
        return ST_OK;
    if (key_file == NULL)
        key_file = cert_file;
    if ((status = check_readable(fault, TLS_CERT_FILE, cert_file)) != ST_OK ||
        (status = check_readable(fault, TLS_KEY_FILE, key_file)) != ST_OK)
        return status;
    if (SSL_CTX_use_certificate_chain_file(context, cert_file) != 1)
        return complain_of_content(fault, TLS_CERT_FILE, cert_file, "no certificate in PEM form");
    return load_key(context, key_file, fault);
}

enum status tls_files_load(SSL_CTX *context, const struct tls_spec *spec, struct tls_trust *trust,
                           struct tls_fault *fault)
{
    enum status status = load_trust(context, spec->ca_file, trust, fault);

    return status == ST_OK ? load_certificate(context, spec->cert_file, spec->key_file, fault) : status;
}

/* Whose certificates are trusted, and the names of these authorities, by which a client chooses what to show. */
static enum status load_client_trust(SSL_CTX *context, const char *path, struct tls_fault *fault)
{
    enum status status = read_trust(context, path, fault);
    STACK_OF(X509_NAME) * names;

    if (status != ST_OK)
        return status;
    names = SSL_load_client_CA_file(path);
    if (names == NULL)
        return complain_of_content(fault, TLS_CA_FILE, path, "no CA certificates in PEM form");
    SSL_CTX_set_client_CA_list(context, names);
    return ST_OK;
}

enum status tls_files_load_server(SSL_CTX *context, const struct tls_server_spec *spec,
                                  struct tls_fault *fault)
{
    enum status status =
        spec->client_ca_file != NULL ? load_client_trust(context, spec->client_ca_file, fault) : ST_OK;

    return status == ST_OK ? load_certificate(context, spec->cert_file, spec->key_file, fault) : status;
}

enum status tls_files_check(const struct tls_spec *spec, struct tls_trust *trust, struct tls_fault *fault)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    enum status status =
        context != NULL ? tls_files_load(context, spec, trust, fault) : complain_of_memory(fault);

    SSL_CTX_free(context);
    return status;
}

enum status tls_files_check_server(const struct tls_server_spec *spec, struct tls_fault *fault)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    enum status status =
        context != NULL ? tls_files_load_server(context, spec, fault) : complain_of_memory(fault);

    SSL_CTX_free(context);
    return status;
}

/* ---- the system's CA certificates ---------------------------------------------------------------------- */

static const char *from_environment(const char *name, const char *otherwise)
{
    const char *value = getenv(name);

    return value != NULL ? value : otherwise;
}

static bool has_certificate(const char *path)
{
    BIO *file = BIO_new_file(path, "r");
    X509 *first = file != NULL ? PEM_read_bio_X509_AUX(file, NULL, NULL, NULL) : NULL;
    bool found = first != NULL;

    X509_free(first);
    BIO_free(file);
    ERR_clear_error();
    return found;
}

/* Certificates are looked for by the hash of their subject: "5ed36f99.0". */
static bool is_hashed(const char *name)
{
    return strlen(name) > 9 && strspn(name, "0123456789abcdef") == 8 && name[8] == '.';
}

static bool has_hashed_files(const char *path)
{
    DIR *dir = opendir(path);
    const struct dirent *entry;
    bool found = false;

    while (dir != NULL && !found && (entry = readdir(dir)) != NULL)
        found = is_hashed(entry->d_name);
    if (dir != NULL)
        (void)closedir(dir);
    return found;
}

/* Of a list with colons between. Where there is no memory to look, one is supposed. */
static bool has_hashed_files_in_one_of(const char *list)
{
    char *paths = mem_dup(list, strlen(list)), *rest = paths, *path;
    bool found = paths == NULL;

    while (!found && (path = strsep(&rest, ":")) != NULL)
        found = has_hashed_files(path);
    mem_free(paths);
    return found;
}

bool tls_files_has_system_trust(void)
{
    return has_certificate(
               from_environment(X509_get_default_cert_file_env(), X509_get_default_cert_file())) ||
           has_hashed_files_in_one_of(
               from_environment(X509_get_default_cert_dir_env(), X509_get_default_cert_dir()));
}
