/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sys/socket.h>

#include "http/accept-filter.h"
#include "test.h"

#define MANY    300
#define SECONDS 1

typedef struct Fixture {
        sd_event *event;
        Wheel *wheel;
        AcceptFilter *filter;
        unsigned n_ready, n_gone, n_ticks;
} Fixture;

static void on_ready(int fd, void *userdata)
{
        Fixture *f = userdata;
        char c = 0;

        f->n_ready++;
        assert_int_equal(recv(fd, &c, 1, MSG_DONTWAIT), 1);
        assert_int_equal(c, 'x');
        safe_close(fd);
}

static void on_gone(void *userdata)
{
        Fixture *f = userdata;

        f->n_gone++;
}

static int setup(void **state)
{
        Fixture *f = calloc(1, sizeof(*f));

        assert_return_code(sd_event_new(&f->event), 0);
        assert_return_code(wheel_new(f->event, &f->wheel), 0);
        assert_return_code(accept_filter_new(f->event, f->wheel, SECONDS, on_ready, on_gone, f, &f->filter), 0);
        *state = f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;

        accept_filter_free(f->filter);
        wheel_free(f->wheel);
        sd_event_unref(f->event);
        free(f);
        return 0;
}

/* Adds a connection; gives its other end. */
static int add(Fixture *f)
{
        int fds[2];

        assert_return_code(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), errno);
        assert_return_code(accept_filter_add(f->filter, fds[0]), 0);
        return fds[1];
}

static void run(Fixture *f)
{
        while (sd_event_run(f->event, 0) > 0)
                ;
}

static void test_first_byte(void **state)
{
        Fixture *f = *state;
        _cleanup_close_ int a = add(f), b = add(f), c = add(f), d = add(f);

        run(f);
        assert_int_equal(accept_filter_count(f->filter), 4);
        assert_int_equal(send(a, "x", 1, 0), 1);
        run(f);
        assert_int_equal(f->n_ready, 1);
        /* Who has said all that it has to say is ready, too. */
        assert_int_equal(send(b, "x", 1, 0), 1);
        assert_int_equal(shutdown(b, SHUT_WR), 0);
        run(f);
        assert_int_equal(f->n_ready, 2);
        assert_int_equal(f->n_gone, 0);
        c = safe_close(c);
        run(f);
        assert_int_equal(f->n_gone, 1);
        assert_int_equal(accept_filter_count(f->filter), 1);
        /* The teardown frees it with one still there. */
        assert_true(d >= 0);
}

static void test_silence(void **state)
{
        Fixture *f = *state;
        _cleanup_close_ int a = add(f), b = add(f);

        for (unsigned i = 0; i < 50 && accept_filter_count(f->filter) > 0; i++)
                assert_return_code(sd_event_run(f->event, 100 * USEC_PER_MSEC), 0);
        assert_int_equal(f->n_gone, 2);
        assert_int_equal(send(a, "x", 1, MSG_NOSIGNAL), -1);
        assert_int_equal(errno, EPIPE);
        assert_true(b >= 0);
}

static void test_close(void **state)
{
        Fixture *f = *state;
        _cleanup_close_ int a = add(f), b = add(f), c = add(f);

        /* Not looked at yet, but not silent either. */
        assert_int_equal(send(c, "x", 1, 0), 1);
        accept_filter_close_silent(f->filter);
        assert_int_equal(f->n_gone, 2);
        assert_int_equal(accept_filter_count(f->filter), 1);
        assert_int_equal(f->n_ready, 0);
        run(f);
        assert_int_equal(f->n_ready, 1);
        assert_int_equal(accept_filter_count(f->filter), 0);
        assert_true(a >= 0 && b >= 0);
}

static void test_drop(void **state)
{
        Fixture *f = *state;
        _cleanup_close_ int a = add(f), b = add(f), c = add(f);
        char byte;

        assert_int_equal(send(a, "x", 1, 0), 1);
        assert_true(accept_filter_drop_oldest(f->filter));
        assert_int_equal(recv(b, &byte, 1, 0), 0);
        assert_int_equal(f->n_gone, 1);
        assert_int_equal(recv(c, &byte, 1, MSG_DONTWAIT), -1);
        assert_false(accept_filter_drop_oldest(f->filter));
        run(f);
        assert_int_equal(f->n_ready, 1);
}

static int on_tick(sd_event_source *source, void *userdata)
{
        Fixture *f = userdata;

        f->n_ticks++;
        return accept_filter_count(f->filter) > 0 ? 0 : sd_event_source_set_enabled(source, SD_EVENT_OFF);
}

/* However many there are at once, others have their turn in between. */
static void test_many(void **state)
{
        Fixture *f = *state;
        sd_event_source *tick = NULL;
        int fds[MANY];

        for (unsigned i = 0; i < MANY; i++)
                fds[i] = add(f);
        for (unsigned i = 0; i < MANY; i++)
                if (i % 2)
                        assert_int_equal(send(fds[i], "x", 1, 0), 1);
                else
                        fds[i] = safe_close(fds[i]);
        assert_return_code(sd_event_add_post(f->event, &tick, on_tick, f), 0);
        run(f);
        assert_int_equal(f->n_ready, MANY / 2);
        assert_int_equal(f->n_gone, MANY / 2);
        assert_in_range(f->n_ticks, MANY / 16, MANY);
        sd_event_source_disable_unref(tick);
        for (unsigned i = 0; i < MANY; i++)
                safe_close(fds[i]);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_first_byte, setup, teardown),
                cmocka_unit_test_setup_teardown(test_silence, setup, teardown),
                cmocka_unit_test_setup_teardown(test_drop, setup, teardown),
                cmocka_unit_test_setup_teardown(test_close, setup, teardown),
                cmocka_unit_test_setup_teardown(test_many, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
