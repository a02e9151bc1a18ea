#ifndef CURFEW_APP_FILE_WATCH_H
#define CURFEW_APP_FILE_WATCH_H

struct service;

/*
 * `watch: true`: the files of the configuration are looked at several times a second, and a reload is asked for once
 * what has changed is still. They are looked at by stat and not by inotify: that says nothing of files that another
 * host writes, does not follow the symbolic links of a path, and is refused where a machine has many containers. Main
 * thread.
 */
struct file_watch;

/* A reload is asked for by `reload`. NULL: not enough memory. */
struct file_watch *file_watch_new(struct service *service, void (*reload)(struct service *service));
/* Of NULL: nothing. */
void file_watch_free(struct file_watch *watch);

/*
 * The configuration has been loaded, or could not be: from now on its files are watched, if the one in force says so. A
 * bad one is not tried again before one of its files has changed.
 */
void file_watch_renew(struct file_watch *watch);

#endif
