#include "http/octet.h"

#define BETWEEN(c, low, high) ((c) >= (low) && (c) <= (high))
#define DIGIT(c)              BETWEEN(c, '0', '9')
#define ALPHA(c)              (BETWEEN(c, 'a', 'z') || BETWEEN(c, 'A', 'Z'))
#define LOWER_HEX(c)          (DIGIT(c) || BETWEEN(c, 'a', 'f'))
#define HEX(c)                (LOWER_HEX(c) || BETWEEN(c, 'A', 'F'))

/* Of tchar: what tokens hold beside letters and digits. */
#define TCHAR_SIGN(c)                                                                                        \
    ((c) == '!' || BETWEEN(c, '#', '\'') || (c) == '*' || (c) == '+' || (c) == '-' || (c) == '.' ||          \
     (c) == '^' || (c) == '_' || (c) == '`' || (c) == '|' || (c) == '~')
/* Of unreserved and sub-delims, RFC 3986 2.2 and 2.3. */
#define HOST_SIGN(c)                                                                                         \
    ((c) == '-' || (c) == '.' || (c) == '_' || (c) == '~' || (c) == '!' || (c) == '$' ||                     \
     BETWEEN(c, '&', ',') || (c) == ';' || (c) == '=')

#define CLASSES(c)                                                                                           \
    ((ALPHA(c) || DIGIT(c) || TCHAR_SIGN(c) ? OCTET_TOKEN : 0) |                                             \
     (BETWEEN(c, 0x21, 0x7e) && (c) != '#' ? OCTET_TARGET : 0) |                                             \
     (ALPHA(c) || DIGIT(c) || HOST_SIGN(c) ? OCTET_HOST : 0) | (DIGIT(c) ? OCTET_DIGIT : 0) |                \
     (HEX(c) ? OCTET_HEX : 0) | (LOWER_HEX(c) ? OCTET_LOWER_HEX : 0))
#define FOUR(c) CLASSES(c), CLASSES((c) + 1), CLASSES((c) + 2), CLASSES((c) + 3)
#define ROW(c)  FOUR(c), FOUR((c) + 4), FOUR((c) + 8), FOUR((c) + 12)

const uint8_t octet_classes[256] = {
    ROW(0x00), ROW(0x10), ROW(0x20), ROW(0x30), ROW(0x40), ROW(0x50), ROW(0x60), ROW(0x70),
    ROW(0x80), ROW(0x90), ROW(0xa0), ROW(0xb0), ROW(0xc0), ROW(0xd0), ROW(0xe0), ROW(0xf0),
};
