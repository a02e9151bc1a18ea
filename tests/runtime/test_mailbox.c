/* Mailboxes: order, the ring, taking back, and many threads that post to one. */
#include "support.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>

#include "base/mem.h"
#include "runtime/mailbox.h"

#define SENDERS 4
#define LETTERS 20000

struct letter {
    struct mail mail;
    struct mailbox *mailbox;
    char *read;             /* the names of the letters that were read, in order */
    struct letter *posts;   /* posted by its function */
    struct letter *recalls; /* cancelled by its function */
    char name;
};

static void read_letter(struct mail *mail)
{
    struct letter *letter = CONTAINER_OF(mail, struct letter, mail);
    size_t len = strlen(letter->read);

    assert_true(list_is_empty(&mail->node));
    letter->read[len] = letter->name;
    letter->read[len + 1] = '\0';
    if (letter->posts != NULL)
        mailbox_post(letter->mailbox, &letter->posts->mail);
    if (letter->recalls != NULL)
        mailbox_cancel(letter->mailbox, &letter->recalls->mail);
}

struct desk {
    struct mailbox mailbox;
    struct letter letters[4]; /* a, b, c, d */
    char read[32];
};

static int set_up(void **state)
{
    struct desk *desk = test_calloc(1, sizeof(*desk));

    assert_int_equal(mailbox_init(&desk->mailbox), ST_OK);
    for (int i = 0; i < 4; i++) {
        desk->letters[i] =
            (struct letter){.mailbox = &desk->mailbox, .read = desk->read, .name = (char)('a' + i)};
        mail_init(&desk->letters[i].mail, read_letter);
    }
    *state = desk;
    return 0;
}

static int tear_down(void **state)
{
    struct desk *desk = *state;

    mailbox_fini(&desk->mailbox);
    test_free(desk);
    return 0;
}

/* How often it has rung since this was asked last. */
static uint64_t rings(struct desk *desk)
{
    uint64_t count = 0;

    if (read(desk->mailbox.event_fd, &count, sizeof(count)) < 0)
        assert_int_equal(errno, EAGAIN);
    return count;
}

static void mails_are_delivered_in_the_order_in_which_they_came(void **state)
{
    struct desk *desk = *state;

    mailbox_deliver(&desk->mailbox);
    assert_string_equal(desk->read, "");
    for (int i = 0; i < 3; i++)
        mailbox_post(&desk->mailbox, &desk->letters[(i + 1) % 3].mail);
    mailbox_deliver(&desk->mailbox);
    assert_string_equal(desk->read, "bca");
    mailbox_deliver(&desk->mailbox);
    assert_string_equal(desk->read, "bca");
    mailbox_post(&desk->mailbox, &desk->letters[1].mail); /* a mail may be posted again */
    mailbox_deliver(&desk->mailbox);
    assert_string_equal(desk->read, "bcab");
}

static void the_owner_is_rung_once_for_any_number_of_mails(void **state)
{
    struct desk *desk = *state;

    assert_int_equal(rings(desk), 0);
    for (int i = 0; i < 3; i++)
        mailbox_post(&desk->mailbox, &desk->letters[i].mail);
    assert_int_equal(rings(desk), 1);
    mailbox_deliver(&desk->mailbox);
    mailbox_post(&desk->mailbox, &desk->letters[0].mail);
    assert_int_equal(rings(desk), 1);
    mailbox_deliver(&desk->mailbox);
}

static void only_the_first_mail_put_asks_for_a_ring(void **state)
{
    struct desk *desk = *state;

    assert_true(mailbox_put(&desk->mailbox, &desk->letters[0].mail));
    assert_false(mailbox_put(&desk->mailbox, &desk->letters[1].mail));
    assert_int_equal(rings(desk), 0);
    mailbox_deliver(&desk->mailbox);
    assert_string_equal(desk->read, "ab");
    assert_true(mailbox_put(&desk->mailbox, &desk->letters[2].mail));
    /* With the only one taken back, the next one is a first again. */
    mailbox_cancel(&desk->mailbox, &desk->letters[2].mail);
    assert_true(mailbox_put(&desk->mailbox, &desk->letters[3].mail));
    mailbox_deliver(&desk->mailbox);
    assert_string_equal(desk->read, "abd");
}

static void a_mail_that_was_taken_back_is_not_delivered(void **state)
{
    struct desk *desk = *state;

    mailbox_cancel(&desk->mailbox, &desk->letters[3].mail); /* it was never posted: harmless */
    for (int i = 0; i < 4; i++)
        mailbox_post(&desk->mailbox, &desk->letters[i].mail);
    mailbox_cancel(&desk->mailbox, &desk->letters[1].mail);
    mailbox_cancel(&desk->mailbox, &desk->letters[1].mail);
    mailbox_deliver(&desk->mailbox);
    assert_string_equal(desk->read, "acd");
}

static void a_mail_is_taken_back_even_in_the_middle_of_a_delivery(void **state)
{
    struct desk *desk = *state;

    desk->letters[0].recalls = &desk->letters[2];
    for (int i = 0; i < 4; i++)
        mailbox_post(&desk->mailbox, &desk->letters[i].mail);
    mailbox_deliver(&desk->mailbox);
    assert_string_equal(desk->read, "abd");
}

static void what_is_posted_during_a_delivery_comes_with_the_next_one(void **state)
{
    struct desk *desk = *state;

    desk->letters[0].posts = &desk->letters[3];
    mailbox_post(&desk->mailbox, &desk->letters[0].mail);
    mailbox_post(&desk->mailbox, &desk->letters[1].mail);
    assert_int_equal(rings(desk), 1);
    mailbox_deliver(&desk->mailbox);
    assert_string_equal(desk->read, "ab");
    assert_int_equal(rings(desk), 1);
    mailbox_deliver(&desk->mailbox);
    assert_string_equal(desk->read, "abd");
}

static void free_mail(struct mail *mail)
{
    mem_free(CONTAINER_OF(mail, struct letter, mail));
}

static void a_mail_may_be_freed_by_its_own_function(void **state)
{
    struct desk *desk = *state;

    for (int i = 0; i < 3; i++) {
        struct letter *letter = mem_zalloc(sizeof(*letter));

        assert_non_null(letter);
        mail_init(&letter->mail, free_mail);
        mailbox_post(&desk->mailbox, &letter->mail);
    }
    mailbox_deliver(&desk->mailbox);
}

static void a_mailbox_takes_one_descriptor_and_gives_it_back(void **state)
{
    struct mailbox mailbox;
    int before = open_descriptors();

    assert_int_equal(mailbox_init(&mailbox), ST_OK);
    assert_int_equal(open_descriptors(), before + 1);
    mailbox_fini(&mailbox);
    assert_int_equal(open_descriptors(), before);
}

/* ---- threads ------------------------------------------------------------------------------------------- */

struct numbered {
    struct mail mail;
    struct post *post;
    unsigned sender, number;
};

struct post {
    struct mailbox mailbox;
    unsigned next[SENDERS], received, wrong;
    struct numbered *letters[SENDERS];
};

struct sender {
    struct post *post;
    pthread_t thread;
    unsigned index;
};

static void read_numbered(struct mail *mail)
{
    struct numbered *letter = CONTAINER_OF(mail, struct numbered, mail);
    struct post *post = letter->post;

    post->wrong += letter->number != post->next[letter->sender]++;
    post->received++;
}

static void *send_all(void *arg)
{
    struct sender *sender = arg;

    for (unsigned i = 0; i < LETTERS; i++)
        mailbox_post(&sender->post->mailbox, &sender->post->letters[sender->index][i].mail);
    return NULL;
}

static void start_sender(struct sender *sender, struct post *post, unsigned index)
{
    *sender = (struct sender){.post = post, .index = index};
    post->letters[index] = test_calloc(LETTERS, sizeof(struct numbered));
    for (unsigned i = 0; i < LETTERS; i++) {
        post->letters[index][i] = (struct numbered){.post = post, .sender = index, .number = i};
        mail_init(&post->letters[index][i].mail, read_numbered);
    }
    assert_int_equal(pthread_create(&sender->thread, NULL, send_all, sender), 0);
}

static void mails_of_many_threads_come_once_each_and_in_the_order_of_their_sender(void **state)
{
    static struct post post;
    struct sender senders[SENDERS];
    struct pollfd bell;

    alarm(60);
    post = (struct post){0};
    assert_int_equal(mailbox_init(&post.mailbox), ST_OK);
    bell = (struct pollfd){.fd = post.mailbox.event_fd, .events = POLLIN};
    for (unsigned i = 0; i < SENDERS; i++)
        start_sender(&senders[i], &post, i);
    /* Sleeping whenever there is nothing: a ring that got lost would be the end. */
    while (post.received < SENDERS * LETTERS) {
        uint64_t rung;

        assert_int_equal(poll(&bell, 1, 10000), 1);
        assert_int_equal(read(bell.fd, &rung, sizeof(rung)), sizeof(rung));
        mailbox_deliver(&post.mailbox);
    }
    for (unsigned i = 0; i < SENDERS; i++) {
        pthread_join(senders[i].thread, NULL);
        assert_int_equal(post.next[i], LETTERS);
        test_free(post.letters[i]);
    }
    assert_int_equal(post.wrong, 0);
    mailbox_fini(&post.mailbox);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(mails_are_delivered_in_the_order_in_which_they_came, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_owner_is_rung_once_for_any_number_of_mails, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_the_first_mail_put_asks_for_a_ring, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_mail_that_was_taken_back_is_not_delivered, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_mail_is_taken_back_even_in_the_middle_of_a_delivery, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_is_posted_during_a_delivery_comes_with_the_next_one, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_mail_may_be_freed_by_its_own_function, set_up, tear_down),
        cmocka_unit_test(a_mailbox_takes_one_descriptor_and_gives_it_back),
        cmocka_unit_test(mails_of_many_threads_come_once_each_and_in_the_order_of_their_sender),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
