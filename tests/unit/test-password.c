/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"

#include <sodium.h>
#include <systemd/sd-event.h>
#include <time.h>

#include "auth/password.h"
#include "shared/util.h"

typedef struct Outcome {
        unsigned n;
        int r;
        char hash[256];
} Outcome;

typedef struct Fixture {
        sd_event *event;
        UvBridge *uv;
        PasswordPool *pool;
} Fixture;

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

        assert_return_code(password_hash(f->pool, "correct horse", done, &first), 0);
        assert_return_code(password_hash(f->pool, "correct horse", done, &second), 0);
        wait_for(f, &first, 1);
        wait_for(f, &second, 1);
        assert_int_equal(first.r, 0);
        assert_non_null(startswith(first.hash, "$argon2id$"));
        assert_string_not_equal(first.hash, second.hash);

        assert_return_code(password_verify(f->pool, first.hash, "correct horse", done, &right), 0);
        assert_return_code(password_verify(f->pool, first.hash, "correct hors", done, &wrong), 0);
        wait_for(f, &right, 1);
        wait_for(f, &wrong, 1);
        assert_int_equal(right.r, 0);
        assert_int_equal(wrong.r, -EACCES);
}

static void test_unknown_user(void **state)
{
        Fixture *f = *state;
        Outcome o = {};

        assert_return_code(password_verify(f->pool, NULL, "anything", done, &o), 0);
        wait_for(f, &o, 1);
        assert_int_equal(o.r, -EACCES);
        assert_string_equal(o.hash, "");
}

/* A hash brings its own cost, and this one is as cheap as can be: what is counted are jobs. */
static void test_limit(void **state)
{
        char cheap[crypto_pwhash_STRBYTES];
        Fixture *f = *state;
        Outcome o = {};

        assert_int_equal(crypto_pwhash_str(cheap, "y", 1, crypto_pwhash_OPSLIMIT_MIN, crypto_pwhash_MEMLIMIT_MIN), 0);
        for (unsigned i = 0; i < PASSWORD_JOBS_MAX; i++)
                assert_return_code(password_verify(f->pool, cheap, "x", done, &o), 0);
        assert_int_equal(password_verify(f->pool, cheap, "x", done, &o), -EBUSY);
        wait_for(f, &o, PASSWORD_JOBS_MAX);
        assert_int_equal(o.r, -EACCES);
        assert_return_code(password_verify(f->pool, cheap, "x", done, &o), 0);
        wait_for(f, &o, PASSWORD_JOBS_MAX + 1);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_hash_and_verify),
                cmocka_unit_test(test_unknown_user),
                cmocka_unit_test(test_limit),
        };

        return cmocka_run_group_tests(tests, setup, teardown);
}
