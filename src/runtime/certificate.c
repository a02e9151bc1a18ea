#include "runtime/certificate.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <time.h>

#include "base/invariant.h"

static bool end_of(const X509 *certificate, int64_t *end_s)
{
    struct tm tm;

    if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &tm) != 1)
        return false;
    *end_s = timegm(&tm);
    return true;
}

enum status certificate_ends(const char *path, int64_t *first_s, int64_t *last_s)
{
    BIO *file = BIO_new_file(path, "r");
    enum status status = ST_BAD;
    X509 *certificate;
    int64_t end_s;

    *first_s = INT64_MAX;
    *last_s = INT64_MIN;
    while (file != NULL && (certificate = PEM_read_bio_X509_AUX(file, NULL, NULL, NULL)) != NULL) {
        if (end_of(certificate, &end_s)) {
            *first_s = end_s < *first_s ? end_s : *first_s;
            *last_s = end_s > *last_s ? end_s : *last_s;
            status = ST_OK;
        }
        X509_free(certificate);
    }
    BIO_free(file);
    POST(status != ST_OK || *first_s <= *last_s);
    ERR_clear_error(); /* the end of the file is an error to the reader */
    return status;
}
