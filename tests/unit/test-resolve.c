/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <arpa/inet.h>
#include <dirent.h>
#include <systemd/sd-event.h>

#include "resolve.h"
#include "test.h"

typedef struct Answer {
        sd_event *event;
        int error;
        unsigned n;
        char address[INET6_ADDRSTRLEN];
} Answer;

static void on_done(int error, struct addrinfo *addresses, void *userdata)
{
        Answer *a = userdata;

        a->n++;
        a->error = error;
        assert_int_equal(!addresses, error != 0);
        if (addresses && addresses->ai_family == AF_INET)
                inet_ntop(AF_INET, &((struct sockaddr_in *) addresses->ai_addr)->sin_addr, a->address,
                          sizeof(a->address));
        if (addresses) {
                assert_int_equal(addresses->ai_socktype, SOCK_STREAM);
                freeaddrinfo(addresses);
        }
        sd_event_exit(a->event, 0);
}

static Answer ask(const char *host, int flags)
{
        Answer a = {};
        Resolve *r;

        assert_int_equal(sd_event_new(&a.event), 0);
        assert_int_equal(resolve_start(a.event, host, flags, on_done, &a, &r), 0);
        assert_int_equal(a.n, 0);
        assert_int_equal(sd_event_loop(a.event), 0);
        assert_int_equal(a.n, 1);
        sd_event_unref(a.event);
        return a;
}

static unsigned count_threads(void)
{
        DIR *d = opendir("/proc/self/task");
        unsigned n = 0;

        assert_non_null(d);
        for (struct dirent *e; (e = readdir(d));)
                n += e->d_name[0] != '.';
        closedir(d);
        return n;
}

/* An emulator (qemu-user) has threads of its own. */
static int count_at_rest(void **state)
{
        *state = (void *) (uintptr_t) count_threads();
        return 0;
}

static void wait_for_threads(void **state)
{
        for (unsigned i = 0; count_threads() > (uintptr_t) *state; i++) {
                assert_true(i < 1000);
                usleep(10000);
        }
}

static void test_addresses(void **state)
{
        Answer a = ask("192.0.2.7", AI_NUMERICHOST);

        assert_int_equal(a.error, 0);
        assert_string_equal(a.address, "192.0.2.7");
        assert_int_equal(ask("2001:db8::7", AI_NUMERICHOST).error, 0);
        assert_int_equal(ask("localhost", AI_NUMERICHOST).error, EAI_NONAME);
}

/* A thread for it, which is gone afterwards. */
static void test_name(void **state)
{
        assert_int_equal(ask("localhost", 0).error, 0);
        wait_for_threads(state);
}

/* Whatever the thread is at, nobody hears of it and nothing is lost. */
static void test_cancel(void **state)
{
        Answer a = {};

        assert_int_equal(sd_event_new(&a.event), 0);
        for (unsigned i = 0; i < 200; i++) {
                bool name = i % 3 > 0;
                Resolve *r;

                assert_int_equal(resolve_start(a.event, name ? "localhost" : "192.0.2.7", name ? 0 : AI_NUMERICHOST,
                                               on_done, &a, &r),
                                 0);
                if (i % 2)
                        usleep(i);
                assert_null(resolve_cancel(r));
        }
        wait_for_threads(state);
        assert_true(sd_event_run(a.event, 0) >= 0);
        assert_int_equal(a.n, 0);
        assert_null(resolve_cancel(NULL));
        sd_event_unref(a.event);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_addresses),
                cmocka_unit_test(test_name),
                cmocka_unit_test(test_cancel),
        };

        return cmocka_run_group_tests(tests, count_at_rest, NULL);
}
