#ifndef CURFEW_ADMIN_RESERVE_H
#define CURFEW_ADMIN_RESERVE_H

#include <stdbool.h>

/*
 * Memory that the admin's thread has left when the heap has none. evhttp does not survive that everywhere (libevent
 * 2.1: evhttp_request_new and others read through a NULL), and all calls would end with it. So the small pieces that
 * libevent asks for on that thread come from here then; large ones are buffers, and their failure libevent handles.
 * While the reserve is low, no clients are accepted.
 */

/* Has libevent allocate by way of the reserve, which is still closed. Before anything else of libevent. */
void reserve_install(void);

/* Opens it for the calling thread, once the other threads have made what they need. */
void reserve_open(void);

/* Half of it is in use. On the thread that opened it. */
bool reserve_is_low(void);

#endif
