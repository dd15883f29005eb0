/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"

#include <sys/socket.h>

#include "systemd-query.h"

/* Both ends of a connection: one asks, the other takes calls and answers when it is told to. */
typedef struct Fixture {
        sd_bus *client, *server;
        SystemdQueries *queries;
        sd_bus_message *calls[256];
        unsigned n_calls, n_answers;
} Fixture;

static int on_call(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        Fixture *f = userdata;
        uint8_t type;

        if (sd_bus_message_get_type(m, &type) < 0 || type != SD_BUS_MESSAGE_METHOD_CALL)
                return 0;
        assert_true(f->n_calls < 256);
        f->calls[f->n_calls++] = sd_bus_message_ref(m);
        return 1;
}

static void pump(Fixture *f)
{
        int r;

        do
                r = (sd_bus_process(f->client, NULL) > 0) | (sd_bus_process(f->server, NULL) > 0);
        while (r > 0);
}

static void answer_all(Fixture *f)
{
        for (unsigned n = f->n_calls; n > 0; n--)
                assert_true(sd_bus_reply_method_return(f->calls[n - 1], "v", "s", "") >= 0);
        while (f->n_calls > 0)
                sd_bus_message_unref(f->calls[--f->n_calls]);
        pump(f);
}

static int on_answer(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        Fixture *f = userdata;

        f->n_answers++;
        return 0;
}

static int set_up(void **state)
{
        static Fixture f;
        sd_id128_t id;
        int fds[2];

        f = (Fixture){};
        *state = &f;
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
        assert_true(sd_id128_randomize(&id) >= 0);
        assert_true(sd_bus_new(&f.server) >= 0);
        assert_true(sd_bus_set_fd(f.server, fds[0], fds[0]) >= 0);
        assert_true(sd_bus_set_server(f.server, true, id) >= 0);
        assert_true(sd_bus_set_anonymous(f.server, true) >= 0);
        assert_true(sd_bus_add_filter(f.server, NULL, on_call, &f) >= 0);
        assert_true(sd_bus_start(f.server) >= 0);
        assert_true(sd_bus_new(&f.client) >= 0);
        assert_true(sd_bus_set_fd(f.client, fds[1], fds[1]) >= 0);
        assert_true(sd_bus_set_anonymous(f.client, true) >= 0);
        assert_true(sd_bus_start(f.client) >= 0);
        assert_true(systemd_queries_new(f.client, &f.queries) >= 0);
        return 0;
}

static int tear_down(void **state)
{
        Fixture *f = *state;

        systemd_queries_free(f->queries);
        while (f->n_calls > 0)
                sd_bus_message_unref(f->calls[--f->n_calls]);
        sd_bus_close_unref(f->client);
        sd_bus_close_unref(f->server);
        return 0;
}

static SystemdQuery *ask(Fixture *f)
{
        SystemdQuery *q = NULL;

        assert_int_equal(systemd_query_unit_property(f->queries, "a.service", "org.freedesktop.systemd1.Unit", "Id",
                                                     on_answer, f, &q),
                         0);
        return q;
}

static void test_some_at_once(void **state)
{
        Fixture *f = *state;
        SystemdQuery *queries[100];
        unsigned rounds = 0;

        for (size_t k = 0; k < 100; k++)
                queries[k] = ask(f);
        pump(f);
        for (; f->n_calls > 0; rounds++) {
                assert_true(f->n_calls <= 32);
                answer_all(f);
        }
        assert_int_equal(f->n_answers, 100);
        assert_int_equal(rounds, 4);
        for (size_t k = 0; k < 100; k++)
                systemd_query_free(queries[k]);
}

/* Whoever asks again before systemd has answered must not fill the bus: it counts what was abandoned. */
static void test_abandoned(void **state)
{
        Fixture *f = *state;
        SystemdQuery *last;

        for (unsigned k = 0; k < 200; k++) {
                systemd_query_free(ask(f));
                pump(f);
        }
        last = ask(f);
        pump(f);
        assert_int_equal(f->n_calls, 32);
        answer_all(f);
        assert_int_equal(f->n_calls, 1);
        assert_int_equal(f->n_answers, 0);
        answer_all(f);
        assert_int_equal(f->n_answers, 1);
        systemd_query_free(last);
        /* And what nobody waits for any more ends with the rest. */
        systemd_query_free(ask(f));
        pump(f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(test_some_at_once, set_up, tear_down),
                cmocka_unit_test_setup_teardown(test_abandoned, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
