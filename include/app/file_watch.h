#ifndef CURFEW_APP_FILE_WATCH_H
#define CURFEW_APP_FILE_WATCH_H

#include <event2/event.h>

#include "app/file_list.h"
#include "base/status.h"
#include "core/settle.h"

struct service;

/*
 * `watch: true`: the files of the configuration are looked at several times a second, and a reload is asked for once
 * what has changed is still. They are looked at by stat and not by inotify: that says nothing of files that another
 * host writes, does not follow the symbolic links of a path, and is refused where a machine has many containers. Zero:
 * nothing is watched. Main thread.
 */
struct file_watch {
    struct service *service;
    struct event *tick;    /* pending while files are watched */
    struct file_list seen; /* as they were when they were last looked at */
    struct settle settle;
};

enum status file_watch_init(struct file_watch *watch, struct service *service) MUST_CHECK;
void file_watch_fini(struct file_watch *watch);

/*
 * The configuration has been loaded, or could not be: from now on its files are watched, if the one in force says so. A
 * bad one is not tried again before one of its files has changed.
 */
void file_watch_renew(struct file_watch *watch);

#endif
