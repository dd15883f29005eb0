/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"
#include "auth/throttle.h"
#include "shared/util.h"

#define NOW UINT64_C(1000000)

static void test_counts(void **state)
{
        LoginThrottle *t;

        assert_int_equal(login_throttle_new(&t), 0);
        for (unsigned i = 0; i < LOGIN_FAILURES_MAX; i++) {
                assert_int_equal(login_throttle_check(t, "a@b", "192.0.2.1", NOW), 0);
                login_throttle_failed(t, "a@b", "192.0.2.1", NOW);
        }
        assert_int_equal(login_throttle_check(t, "A@B", "192.0.2.2", NOW + 10), LOGIN_WINDOW_SEC - 10);
        assert_int_equal(login_throttle_check(t, "a@b", "192.0.2.2", NOW + LOGIN_WINDOW_SEC), 0);
        login_throttle_free(t);
}

/* Ten failures from one address must not lock out any account that happens to share its slot. */
static void test_nobody_pays_for_another(void **state)
{
        LoginThrottle *t;

        assert_int_equal(login_throttle_new(&t), 0);
        for (unsigned i = 0; i < LOGIN_FAILURES_MAX; i++)
                login_throttle_failed(t, "a@b", "192.0.2.1", NOW);
        for (unsigned i = 0; i < 100000; i++) {
                char account[32];

                snprintf(account, sizeof(account), "user%u@example.org", i);
                assert_int_equal(login_throttle_check(t, account, "192.0.2.1", NOW), 0);
        }
        login_throttle_free(t);
}

/* Many at once count as they begin; those that were right do not. */
static void test_at_once(void **state)
{
        LoginThrottle *t;

        assert_int_equal(login_throttle_new(&t), 0);
        for (unsigned i = 0; i < LOGIN_FAILURES_MAX; i++)
                assert_int_equal(login_throttle_begin(t, "a@b", "192.0.2.1", NOW), 0);
        assert_int_equal(login_throttle_begin(t, "a@b", "192.0.2.1", NOW + 1), LOGIN_WINDOW_SEC - 1);
        login_throttle_take_back(t, "a@b", "192.0.2.1", NOW + 1);
        assert_int_equal(login_throttle_begin(t, "a@b", "192.0.2.1", NOW + 1), 0);
        for (unsigned i = 0; i < 2 * LOGIN_PEER_FAILURES_MAX; i++) {
                assert_int_equal(login_throttle_begin(t, "c@d", "192.0.2.2", NOW), 0);
                login_throttle_take_back(t, "c@d", "192.0.2.2", NOW);
        }
        login_throttle_free(t);
}

/* A code names no account: only where it comes from counts. */
static void test_no_account(void **state)
{
        LoginThrottle *t;

        assert_int_equal(login_throttle_new(&t), 0);
        for (unsigned i = 0; i < LOGIN_PEER_FAILURES_MAX; i++) {
                assert_int_equal(login_throttle_check(t, NULL, "192.0.2.1", NOW), 0);
                login_throttle_failed(t, NULL, "192.0.2.1", NOW);
        }
        assert_int_equal(login_throttle_check(t, NULL, "192.0.2.1", NOW), LOGIN_WINDOW_SEC);
        assert_int_equal(login_throttle_check(t, NULL, "192.0.2.2", NOW), 0);
        assert_int_equal(login_throttle_check(t, "a@b", "192.0.2.2", NOW), 0);
        login_throttle_free(t);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_counts),
                cmocka_unit_test(test_nobody_pays_for_another),
                cmocka_unit_test(test_at_once),
                cmocka_unit_test(test_no_account),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
