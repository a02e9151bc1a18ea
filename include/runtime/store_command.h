#ifndef CURFEW_RUNTIME_STORE_COMMAND_H
#define CURFEW_RUNTIME_STORE_COMMAND_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "core/store_fault.h"
#include "core/store_reply.h"
#include "core/timer.h"
#include "runtime/mailbox.h"
#include "runtime/store_cluster.h"
#include "runtime/store_link.h"

/* A command to the store, on its way through connections that come and go: runtime/store.h has what it promises. */
#define STORE_WORDS_MAX 64u /* of one command, or keys and arguments of a script */

struct store_command;
/*
 * The command is over: it may be sent anew, or go. FINE: `reply` is the answer, no error. REFUSED: it is the error.
 * Otherwise NULL. `why` (terminated) says for people what went wrong, "" if nothing did. Both are gone afterwards.
 */
typedef void (*store_fn)(struct store_command *command, enum store_fault fault,
                         const struct store_reply *reply, const char *why);

/* A script, sent by its digest (EVALSHA), and whole where the store does not have it (EVAL). */
struct store_script {
    struct span source; /* outlives its commands */
    char sha1[41];
};
void store_script_init(struct store_script *script, struct span source);

/* Embedded in who asks, zeroed before its first use; one command at a time. All but `sent_ns` is the store's. */
struct store_command {
    struct store_request request, asking;
    struct list_node member; /* in cluster.commands */
    struct store_cluster *cluster;
    struct store_node *node; /* that it was sent to or waits for */
    store_fn fn;
    const struct store_script *script; /* NULL: it is plain */
    struct span *words;                /* a copy, in one block */
    uint32_t word_count, key_count;
    struct timer timer;
    uint32_t redirects;
    bool is_active;
    bool is_sent;
    bool is_whole; /* the script */
    bool asks;     /* after ASKING */
    bool is_late;
    enum store_fault fault; /* to be told at the end of the turn, */
    const char *why;        /* and that */
    struct mail mail;
    int64_t sent_ns; /* when it was sent last, by loop_now; 0: it never was */
};

/* What to send: a command's words, or, with a script, its keys and arguments. */
struct store_words {
    const struct store_script *script;
    const struct span *keys;
    uint32_t key_count;
    const struct span *words;
    uint32_t word_count;
};

void store_command_start(struct store_command *command, struct store_cluster *cluster,
                         const struct store_words *words, int64_t limit_ns, store_fn fn);
void store_command_cancel(struct store_command *command);

/* The node is up: what waits for it goes out. Or nobody is going to open it: that ends. */
void store_commands_go(struct store_node *node);
void store_commands_fail(struct store_node *node, enum store_fault fault, const char *why);
/* All of them are taken back; for who ends the connections next. */
void store_commands_forget(struct store_cluster *cluster);

#endif
