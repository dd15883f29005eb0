/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"

#include <sodium.h>
#include <systemd/sd-event.h>
#include <time.h>

#include "auth/password.h"
#include "shared/util.h"

typedef struct Outcome {
        unsigned n;
        const struct Outcome *others;
        unsigned others_before; /* how many others were done when this was */
        int r;
        char hash[256];
} Outcome;

typedef struct Fixture {
        sd_event *event;
        UvBridge *uv;
        PasswordPool *pool;
} Fixture;

static const PasswordAsker somebody = { .class = PASSWORD_LOGIN };

static int setup(void **state)
{
        static Fixture f;

        assert_return_code(sd_event_new(&f.event), 0);
        assert_return_code(uv_bridge_new(f.event, &f.uv), 0);
        assert_return_code(password_pool_new(f.uv, 2, &f.pool), 0);
        *state = &f;
        return 0;
}

static int teardown(void **state)
{
        Fixture *f = *state;

        uv_bridge_free(f->uv);
        password_pool_free(f->pool);
        sd_event_unref(f->event);
        return 0;
}

static void done(int r, const char *hash, void *userdata)
{
        Outcome *o = userdata;

        if (o->others && o->n == 0)
                o->others_before = o->others->n;
        o->n++;
        o->r = r;
        snprintf(o->hash, sizeof(o->hash), "%s", strempty(hash));
}

static void wait_for(Fixture *f, const Outcome *o, unsigned n)
{
        time_t end = time(NULL) + 240; /* a net for hangs */

        while (o->n < n) {
                assert_true(time(NULL) < end);
                assert_return_code(sd_event_run(f->event, 100 * USEC_PER_MSEC), errno);
        }
}

static void test_hash_and_verify(void **state)
{
        Outcome first = {}, second = {}, right = {}, wrong = {};
        Fixture *f = *state;

        assert_return_code(password_hash(f->pool, &somebody, "correct horse", done, &first), 0);
        assert_return_code(password_hash(f->pool, &somebody, "correct horse", done, &second), 0);
        wait_for(f, &first, 1);
        wait_for(f, &second, 1);
        assert_int_equal(first.r, 0);
        assert_non_null(startswith(first.hash, "$argon2id$"));
        assert_string_not_equal(first.hash, second.hash);

        assert_return_code(password_verify(f->pool, &somebody, first.hash, "correct horse", done, &right), 0);
        assert_return_code(password_verify(f->pool, &somebody, first.hash, "correct hors", done, &wrong), 0);
        wait_for(f, &right, 1);
        wait_for(f, &wrong, 1);
        assert_int_equal(right.r, 0);
        assert_int_equal(wrong.r, -EACCES);
}

static void test_unknown_user(void **state)
{
        Fixture *f = *state;
        Outcome o = {};

        assert_return_code(password_verify(f->pool, &somebody, NULL, "anything", done, &o), 0);
        wait_for(f, &o, 1);
        assert_int_equal(o.r, -EACCES);
        assert_string_equal(o.hash, "");
}

/* A hash brings its own cost, and this one is as cheap as can be: what is counted are jobs. */
static const char *cheap(void)
{
        static char hash[crypto_pwhash_STRBYTES];

        if (!hash[0])
                assert_int_equal(
                        crypto_pwhash_str(hash, "y", 1, crypto_pwhash_OPSLIMIT_MIN, crypto_pwhash_MEMLIMIT_MIN), 0);
        return hash;
}

static int add(Fixture *f, PasswordClass class, const char *network, const char *account, Outcome *o)
{
        const PasswordAsker asker = { .class = class, .network = network, .account = account };

        return password_verify(f->pool, &asker, cheap(), "x", done, o);
}

/* Adds until it is refused. */
static unsigned fill(Fixture *f, PasswordClass class, const char *network, const char *account, Outcome *o)
{
        unsigned n = 0;

        while (add(f, class, network, account, o) >= 0)
                n++;
        assert_int_equal(add(f, class, network, account, o), -EBUSY);
        return n;
}

static void test_limit(void **state)
{
        Fixture *f = *state;
        Outcome o = {};
        unsigned n = 0;

        for (unsigned i = 0; i < 100; i++) {
                char network[32];

                snprintf(network, sizeof(network), "192.0.2.%u/32", i);
                n += add(f, PASSWORD_OPEN, network, NULL, &o) >= 0;
        }
        assert_int_equal(n, password_class_max[PASSWORD_OPEN]);
        wait_for(f, &o, n);
        assert_int_equal(o.r, -EACCES);
        assert_return_code(add(f, PASSWORD_OPEN, NULL, NULL, &o), 0);
        wait_for(f, &o, n + 1);
}

/* No class, network or account takes the places of another. */
static void test_shares(void **state)
{
        Fixture *f = *state;
        Outcome o = {};
        unsigned n = 0;

        for (unsigned class = 0; class < _PASSWORD_CLASS_MAX; class ++) {
                unsigned in_class;

                in_class = fill(f, class, "192.0.2.1/32", "a@b", &o);
                assert_int_equal(in_class, PASSWORD_ACCOUNT_MAX);
                in_class += fill(f, class, "192.0.2.1/32", NULL, &o);
                assert_int_equal(in_class, PASSWORD_NETWORK_MAX);
                assert_int_equal(add(f, class, "192.0.2.2/32", "a@b", &o), -EBUSY);
                in_class += fill(f, class, NULL, NULL, &o);
                assert_int_equal(in_class, password_class_max[class]);
                n += in_class;
        }
        wait_for(f, &o, n);
}

/* A log-in waits for the job that runs and perhaps one more, not for all who register; networks take turns. */
static void test_turns(void **state)
{
        Outcome others = {}, known = { .others = &others }, elsewhere = { .others = &others };
        Fixture *f = *state;
        unsigned n;

        n = fill(f, PASSWORD_OPEN, NULL, NULL, &others);
        assert_return_code(add(f, PASSWORD_KNOWN, "192.0.2.1/32", "a@b", &known), 0);
        wait_for(f, &known, 1);
        assert_true(known.others_before <= 4);
        wait_for(f, &others, n);

        others = (Outcome){};
        n = fill(f, PASSWORD_LOGIN, "192.0.2.1/32", NULL, &others);
        assert_return_code(add(f, PASSWORD_LOGIN, "192.0.2.2/32", NULL, &elsewhere), 0);
        wait_for(f, &elsewhere, 1);
        assert_true(elsewhere.others_before < n / 2);
        wait_for(f, &others, n);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_hash_and_verify), cmocka_unit_test(test_unknown_user),
                cmocka_unit_test(test_limit),           cmocka_unit_test(test_shares),
                cmocka_unit_test(test_turns),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
