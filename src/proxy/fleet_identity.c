#include "proxy/fleet_identity.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/invariant.h"

#define PATH_BYTES 4096

/* The first of $STATE_DIRECTORY's, as systemd lists them: with colons between. */
static bool put_path(char *path)
{
    const char *directory = secure_getenv("STATE_DIRECTORY");
    size_t len = directory != NULL ? strcspn(directory, ":") : 0;
    int written;

    if (len == 0)
        return false;
    written = snprintf(path, PATH_BYTES, "%.*s/fleet.id", (int)len, directory);
    return written > 0 && written < PATH_BYTES;
}

/* -1: there is no file, or another process has it. */
static int open_locked(void)
{
    char path[PATH_BYTES];
    int fd;

    if (!put_path(path))
        return -1;
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

static bool is_identity(const char *text, ssize_t len)
{
    return len == FLEET_IDENTITY_LEN && strspn(text, "0123456789abcdef") == FLEET_IDENTITY_LEN;
}

static enum status draw(char *text)
{
    uint8_t bytes[FLEET_IDENTITY_LEN / 2];

    if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
        return ST_FAILED;
    for (size_t i = 0; i < sizeof(bytes); i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    POST(is_identity(text, (ssize_t)strlen(text)));
    return ST_OK;
}

/* A file that can't be written is as good as none. */
static void keep(struct fleet_identity *identity)
{
    if (identity->fd >= 0 &&
        pwrite(identity->fd, identity->text, FLEET_IDENTITY_LEN, 0) == FLEET_IDENTITY_LEN &&
        ftruncate(identity->fd, FLEET_IDENTITY_LEN) == 0)
        return;
    fleet_identity_fini(identity);
}

enum status fleet_identity_renew(struct fleet_identity *identity)
{
    enum status status = draw(identity->text);

    if (status == ST_OK)
        keep(identity);
    return status;
}

enum status fleet_identity_init(struct fleet_identity *identity)
{
    char text[FLEET_IDENTITY_LEN + 1] = "";
    ssize_t len;

    *identity = (struct fleet_identity){.fd = open_locked()};
    len = identity->fd >= 0 ? pread(identity->fd, text, FLEET_IDENTITY_LEN, 0) : 0;
    if (!is_identity(text, len))
        return fleet_identity_renew(identity);
    memcpy(identity->text, text, sizeof(text));
    return ST_OK;
}

void fleet_identity_fini(struct fleet_identity *identity)
{
    if (identity->fd >= 0)
        close(identity->fd);
    identity->fd = -1;
}
