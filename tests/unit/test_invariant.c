#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/invariant.h"
#include "base/list.h"
#include "base/text.h"

/* What a child that ends by a broken contract says; tests are always compiled with contracts. */
static const char *words_of(void (*breach)(void))
{
    static char words[512];
    int pipe_ends[2], status;
    ssize_t len;
    pid_t pid;

    assert_int_equal(pipe(pipe_ends), 0);
    pid = fork();
    if (pid == 0) {
        signal(SIGABRT, SIG_DFL);
        dup2(pipe_ends[1], STDERR_FILENO);
        breach();
        _exit(0);
    }
    close(pipe_ends[1]);
    len = read(pipe_ends[0], words, sizeof(words) - 1);
    close(pipe_ends[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(len > 0);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    words[len] = '\0';
    return words;
}

static void put_on_two_lists(void)
{
    struct list_node one, other, node;

    list_init(&one);
    list_init(&other);
    list_init(&node);
    list_push_back(&one, &node);
    list_push_back(&other, &node);
}

static void remove_from_a_list_that_was_forgotten(void)
{
    struct list_node head, node;

    list_init(&head);
    list_init(&node);
    list_push_back(&head, &node);
    list_init(&head);
    list_remove(&node);
}

static void break_a_promise(void)
{
    POST(1 + 1 == 3);
}

static void do_the_impossible(void)
{
    IMPOSSIBLE("a state that the table does not have");
}

static void a_breach_ends_the_process_and_says_which_contract_it_was(void **state)
{
    assert_non_null(strstr(words_of(put_on_two_lists), "PRE(list_is_alone(node))"));
    assert_non_null(strstr(words_of(remove_from_a_list_that_was_forgotten), "PRE(node->prev->next == node"));
    assert_non_null(strstr(words_of(break_a_promise), "break_a_promise: Assertion `POST(1 + 1 == 3)'"));
    assert_non_null(
        strstr(words_of(do_the_impossible), "IMPOSSIBLE(\"a state that the table does not have\")"));
}

static void a_node_that_has_never_been_on_a_list_may_be_all_zero(void **state)
{
    struct list_node head, node = {0};

    list_init(&head);
    list_push_back(&head, &node);
    assert_ptr_equal(list_take_front(&head), &node);
}

static void what_was_noted_is_told_once(void **state)
{
    const char *what = "";

    assert_int_equal(invariant_take(&what), 0);
    assert_null(what);
    invariant_note("one");
    invariant_note("another");
    assert_int_equal(invariant_take(&what), 2);
    assert_string_equal(what, "another");
    assert_int_equal(invariant_take(&what), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_breach_ends_the_process_and_says_which_contract_it_was),
        cmocka_unit_test(a_node_that_has_never_been_on_a_list_may_be_all_zero),
        cmocka_unit_test(what_was_noted_is_told_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
