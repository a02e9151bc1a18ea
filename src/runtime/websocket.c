#include "runtime/websocket.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>

#define GUID    "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#define KEY_MAX 64u
#define SHA1    20

bool websocket_make_key(char key[WEBSOCKET_KEY_LEN + 1])
{
    unsigned char bytes[16];
    bool has_random = RAND_bytes(bytes, sizeof(bytes)) == 1;

    ERR_clear_error();
    return has_random && EVP_EncodeBlock((unsigned char *)key, bytes, sizeof(bytes)) == WEBSOCKET_KEY_LEN;
}

bool websocket_accept(struct span key, char accept[WEBSOCKET_ACCEPT_LEN + 1])
{
    unsigned char text[KEY_MAX + sizeof(GUID)], digest[SHA1];
    bool is_done;

    if (key.len == 0 || key.len > KEY_MAX)
        return false;
    memcpy(text, key.ptr, key.len);
    memcpy(text + key.len, GUID, sizeof(GUID) - 1);
    is_done = EVP_Digest(text, key.len + sizeof(GUID) - 1, digest, NULL, EVP_sha1(), NULL) == 1;
    ERR_clear_error();
    return is_done && EVP_EncodeBlock((unsigned char *)accept, digest, SHA1) == WEBSOCKET_ACCEPT_LEN;
}
