/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"
#include "shared/json-util.h"
#include "outbox.h"

static void push(Outbox *o, unsigned n, unsigned cursor)
{
        char json[32], c[16];

        snprintf(json, sizeof(json), "{\"n\":%u}", n);
        snprintf(c, sizeof(c), "c%u", cursor);
        assert_int_equal(outbox_push_item(o, json, c), 0);
}

/* The next frame's items as [first, first + count). */
static void expect_batch(Outbox *o, int64_t first, size_t count)
{
        _cleanup_json_ json_object *j = NULL;
        _cleanup_free_ char *text = NULL;
        json_object *items;

        assert_int_equal(outbox_next_frame(o, &text), 1);
        assert_int_equal(json_parse(text, strlen(text), &j), 0);
        assert_string_equal(json_get_string(j, "type"), "status_batch");
        items = json_get_array(json_get_object(j, "payload"), "items");
        assert_non_null(items);
        assert_int_equal(json_object_array_length(items), count);
        for (size_t i = 0; i < count; i++) {
                int64_t n;

                assert_int_equal(json_get_int64(json_object_array_get_idx(items, i), "n", &n), 0);
                assert_int_equal(n, first + (int64_t) i);
        }
}

static void expect_nothing(Outbox *o)
{
        char *text;

        assert_int_equal(outbox_next_frame(o, &text), 0);
}

static void test_batches(void **state)
{
        _cleanup_(outbox_freep) Outbox *o = NULL;

        assert_int_equal(outbox_new(&o), 0);
        expect_nothing(o);
        for (unsigned i = 0; i < OUTBOX_ITEMS_MAX + 10; i++)
                push(o, i, i);
        assert_int_equal(outbox_waiting(o), OUTBOX_ITEMS_MAX + 10);
        expect_batch(o, 0, OUTBOX_ITEMS_MAX);
        expect_batch(o, OUTBOX_ITEMS_MAX, 10);
        expect_nothing(o);
        assert_int_equal(outbox_waiting(o), 0);
        assert_int_equal(outbox_in_flight(o), OUTBOX_ITEMS_MAX + 10);

        assert_int_equal(outbox_ack(o, "unknown"), 0);
        assert_int_equal(outbox_ack(o, "c3"), 0); /* inside a frame */
        assert_int_equal(outbox_ack(o, "c499"), OUTBOX_ITEMS_MAX);
        assert_int_equal(outbox_ack(o, "c499"), 0);
        assert_int_equal(outbox_ack(o, "c509"), 10);
        assert_int_equal(outbox_in_flight(o), 0);
}

/* No more than a few frames without an ack; an ack confirms those before it, too. */
static void test_window(void **state)
{
        _cleanup_(outbox_freep) Outbox *o = NULL;
        char last[16];

        assert_int_equal(outbox_new(&o), 0);
        for (unsigned i = 0; i < OUTBOX_FRAMES_MAX; i++) {
                push(o, i, i);
                expect_batch(o, i, 1);
        }
        push(o, 100, 100);
        expect_nothing(o);
        snprintf(last, sizeof(last), "c%u", OUTBOX_FRAMES_MAX - 1);
        assert_int_equal(outbox_ack(o, last), OUTBOX_FRAMES_MAX);
        expect_batch(o, 100, 1);
        push(o, 101, 101);
        assert_int_equal(outbox_clear(o), 1);
        assert_int_equal(outbox_waiting(o), 0);
        expect_nothing(o);
}

/* Items at one cursor are not divided. */
static void test_one_cursor(void **state)
{
        _cleanup_(outbox_freep) Outbox *o = NULL;

        assert_int_equal(outbox_new(&o), 0);
        for (unsigned i = 0; i < OUTBOX_ITEMS_MAX - 1; i++)
                push(o, i, i);
        push(o, OUTBOX_ITEMS_MAX - 1, 7777);
        push(o, OUTBOX_ITEMS_MAX, 7777);
        expect_batch(o, 0, OUTBOX_ITEMS_MAX - 1);
        expect_batch(o, OUTBOX_ITEMS_MAX - 1, 2);
}

static void test_message_keeps_its_place(void **state)
{
        _cleanup_(outbox_freep) Outbox *o = NULL;
        _cleanup_free_ char *text = NULL;

        assert_int_equal(outbox_new(&o), 0);
        push(o, 1, 1);
        assert_int_equal(outbox_push_message(o, "{}"), 0);
        push(o, 2, 2);
        assert_int_equal(outbox_waiting(o), 2);
        expect_batch(o, 1, 1);
        assert_int_equal(outbox_next_frame(o, &text), 1);
        assert_string_equal(text, "{}");
        expect_batch(o, 2, 1);
}

static void test_bytes(void **state)
{
        _cleanup_(outbox_freep) Outbox *o = NULL;
        size_t size = 100000;
        char *json;

        assert_int_equal(outbox_new(&o), 0);
        json = malloc(size);
        assert_non_null(json);
        memset(json, ' ', size);
        memcpy(json, "{", 1);
        memcpy(json + size - 2, "}", 2);
        for (unsigned i = 0; i < 12; i++) {
                char c[16];

                snprintf(c, sizeof(c), "c%u", i);
                assert_int_equal(outbox_push_item(o, json, c), 0);
        }
        free(json);
        for (size_t left = 12; left > 0;) {
                _cleanup_free_ char *text = NULL;

                assert_int_equal(outbox_next_frame(o, &text), 1);
                assert_true(strlen(text) < OUTBOX_BYTES_MAX + 100);
                assert_true(outbox_waiting(o) < left);
                left = outbox_waiting(o);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_batches),    cmocka_unit_test(test_window),
                cmocka_unit_test(test_one_cursor), cmocka_unit_test(test_message_keeps_its_place),
                cmocka_unit_test(test_bytes),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
