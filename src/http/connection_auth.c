#include "http/connection_auth.h"

#include "http/octet.h"

#define REQUEST_FIELDS (HTTP1_BIT(AUTHORIZATION) | HTTP1_BIT(PROXY_AUTHORIZATION))
#define CHALLENGES     (HTTP1_BIT(WWW_AUTHENTICATE) | HTTP1_BIT(PROXY_AUTHENTICATE))

/* Most schemes are Bearer or Basic: the first letter tells. */
static bool may_be_of_connection(struct span scheme)
{
    char first = scheme.len != 0 ? (char)(scheme.ptr[0] | 0x20) : '\0';

    return first == 'n' || first == 'k' || first == 'c';
}

static bool is_of_connection(struct span scheme)
{
    static const struct span schemes[] = {
        {"NTLM", 4}, {"Negotiate", 9}, {"Nego2", 5}, {"Kerberos", 8}, {"CredSSP", 7}};

    for (unsigned i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
        if (span_eq_nocase(scheme, schemes[i]))
            return true;
    return false;
}

/* The next run of token characters, wherever it stands; empty: none is left. */
static struct span next_word(struct span *rest)
{
    struct span word;

    while (rest->len != 0 && !octet_is(rest->ptr[0], OCTET_TOKEN)) {
        rest->ptr++;
        rest->len--;
    }
    word = (struct span){rest->ptr, 0};
    while (word.len < rest->len && octet_is(rest->ptr[word.len], OCTET_TOKEN))
        word.len++;
    rest->ptr += word.len;
    rest->len -= word.len;
    return word;
}

/* Credentials begin with their scheme (RFC 9110 11.4). */
static bool is_such_credentials(struct span value)
{
    size_t len = 0;

    if (!may_be_of_connection(value))
        return false;
    while (len < value.len && value.ptr[len] != ' ' && value.ptr[len] != '\t' && value.ptr[len] != ',')
        len++;
    return is_of_connection((struct span){value.ptr, len});
}

/*
 * Challenges and their parameters are both separated by commas, and a value may be quoted (RFC 9110 11.6.1). A realm by
 * the name of a scheme costs a connection that could have been shared; a challenge that is missed costs an identity. So
 * each word is looked at.
 */
static bool has_such_challenge(struct span value)
{
    struct span word;

    while ((word = next_word(&value)).len != 0)
        if (may_be_of_connection(word) && is_of_connection(word))
            return true;
    return false;
}

bool connection_auth_in_request(const struct http1_head *request)
{
    const struct http1_field *field = request->fields, *end = field + request->field_count;

    if ((request->known & REQUEST_FIELDS) == 0)
        return false;
    for (; field < end; field++)
        if ((field->id == HTTP1_FIELD_AUTHORIZATION || field->id == HTTP1_FIELD_PROXY_AUTHORIZATION) &&
            is_such_credentials(field->value))
            return true;
    return false;
}

bool connection_auth_in_response(const struct http1_head *response)
{
    if ((response->known & (CHALLENGES | HTTP1_BIT(PERSISTENT_AUTH))) == 0)
        return false;
    for (uint32_t i = 0; i < response->field_count; i++) {
        const struct http1_field *field = &response->fields[i];

        if ((1u << field->id & CHALLENGES) != 0 && has_such_challenge(field->value))
            return true;
        if (field->id == HTTP1_FIELD_PERSISTENT_AUTH && !span_eq_nocase(field->value, SPAN_LIT("false")))
            return true;
    }
    return false;
}
