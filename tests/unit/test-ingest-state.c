/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"

#include <inttypes.h>
#include <time.h>
#include <utlist.h>

#include "ingest-fixture.h"

/* What the owner of a session knows saves writing, and must never show in what is written. */

static const char row_version[] = "xmin FROM services WHERE name = 'disk'";
static const char n_events[] = "count(*) FROM events WHERE true";
static const char transitions[] = "string_agg(concat_ws(' ', service, what, coalesce(before, '-') || '>' ||"
                                  " coalesce(after, '-')), ',' ORDER BY id) FROM transitions WHERE true";

static void settle(Instance *in, Agent *a, IngestItem *item)
{
        push(a, item);
        loop_until(in->event, &a->drained);
        assert_int_equal(a->ended, 0);
}

static void assert_query(Instance *in, int64_t server, const char *format, const char *expected)
{
        assert_string_equal(query(in, server, format), expected);
}

static void take_over(Instance *in, Agent *a, int64_t id, int64_t epoch)
{
        char sql[128];

        agent_stop(a);
        snprintf(sql, sizeof(sql), "UPDATE servers SET session_epoch = %lld WHERE id = %lld", (long long) epoch,
                 (long long) id);
        postgres_query(in->pg, sql);
        agent_start(a, in, id, epoch);
}

static void test_unchanged_costs_no_update(void **state)
{
        char version[32];
        Instance in;
        Agent a;
        int64_t id;

        instance_start(&in, *state);
        id = make_server(in.pg);
        agent_start(&a, &in, id, 1);
        settle(&in, &a, make_result("disk", STATUS_OK, "fine", 100, "1"));
        snprintf(version, sizeof(version), "%s", query(&in, id, row_version));
        in.n_changed = 0;
        settle(&in, &a, make_result("disk", STATUS_OK, "fine", 101, "2"));
        assert_query(&in, id, row_version, version);
        assert_query(&in, id, n_events, "2");
        assert_string_equal(a.cursor, "2");
        assert_int_equal(in.n_changed, 0);
        assert_int_equal(ingest_stats(in.ingest)->unchanged, 1);

        /* Anything but the time counts. */
        settle(&in, &a, make_result("disk", STATUS_OK, "still fine", 102, NULL));
        assert_query(&in, id, "message FROM services WHERE name = 'disk'", "still fine");
        settle(&in, &a, make_error("disk", "timeout", 103, NULL));
        assert_query(&in, id, "error_kind FROM services WHERE name = 'disk'", "timeout");
        settle(&in, &a, make_result("disk", STATUS_OK, "still fine", 104, NULL));
        assert_query(&in, id, "coalesce(error_kind, '-') FROM services WHERE name = 'disk'", "-");

        /* Another session knows nothing. */
        take_over(&in, &a, id, 2);
        snprintf(version, sizeof(version), "%s", query(&in, id, row_version));
        settle(&in, &a, make_result("disk", STATUS_OK, "still fine", 105, NULL));
        assert_string_not_equal(query(&in, id, row_version), version);
        agent_stop(&a);
        instance_stop(&in);
}

static void test_refreshed(void **state)
{
        const IngestSettings settings = { .grace_seconds = 1 };
        Instance in;
        Agent a;
        int64_t id;

        instance_start_with(&in, *state, &settings);
        id = make_server(in.pg);
        agent_start(&a, &in, id, 1);
        settle(&in, &a, make_result("disk", STATUS_OK, "fine", 100, NULL));
        settle(&in, &a, make_result("disk", STATUS_OK, "fine", 101, NULL));
        assert_query(&in, id, "extract(epoch FROM status_at)::int FROM services WHERE name = 'disk'", "101");
        agent_stop(&a);
        instance_stop(&in);
}

static void test_history_of_changes(void **state)
{
        IngestSettings settings = instance_settings;
        Instance in;
        Agent a;
        int64_t id;

        settings.history_changes_only = true;
        instance_start_with(&in, *state, &settings);
        id = make_server(in.pg);
        agent_start(&a, &in, id, 1);
        for (uint64_t t = 0; t < 5; t++)
                push(&a, make_result("disk", STATUS_OK, t < 3 ? "a" : "b", 100 + t, NULL));
        loop_until(in.event, &a.drained);
        settle(&in, &a, make_result("disk", STATUS_OK, "b", 110, "c"));
        settle(&in, &a, make_error("disk", "timeout", 111, NULL));
        settle(&in, &a, make_error("disk", "timeout", 112, NULL));
        settle(&in, &a, make_result("disk", STATUS_OK, "b", 113, NULL));
        assert_query(&in, id, "string_agg(extract(epoch FROM at)::int::text, ' ' ORDER BY id) FROM events WHERE true",
                     "100 103 111 113");
        assert_string_equal(a.cursor, "c");
        agent_stop(&a);
        instance_stop(&in);
}

static void test_transitions(void **state)
{
        Instance in;
        Agent a;
        int64_t id;

        instance_start(&in, *state);
        id = make_server(in.pg);
        agent_start(&a, &in, id, 1);
        settle(&in, &a, make_result("disk", STATUS_OK, "", 100, NULL));
        settle(&in, &a, make_result("disk", STATUS_OK, "other", 101, NULL));
        settle(&in, &a, make_result("disk", STATUS_FAILURE, "", 102, NULL));
        settle(&in, &a, make_error("disk", "timeout", 103, NULL));
        settle(&in, &a, make_result("disk", STATUS_OK, "", 104, NULL));
        settle(&in, &a, make_inventory(0, NULL));
        assert_query(&in, id, transitions,
                     "disk status ->OK,disk status OK>FAILURE,disk error ->timeout,"
                     "disk status FAILURE>OK,disk error timeout>-,disk removed OK>-");
        agent_stop(&a);
        instance_stop(&in);
}

/* Of an account that is told nothing, only what ends an acknowledgement. */
static void test_nobody_to_tell(void **state)
{
        char sql[256];
        Instance in;
        Agent a;
        int64_t id;

        instance_start(&in, *state);
        id = make_server(in.pg);
        snprintf(sql, sizeof(sql),
                 "WITH d AS (DELETE FROM notification_channels c USING servers s WHERE s.id = %" PRId64
                 " AND c.user_id = s.user_id RETURNING 1) SELECT count(*) FROM d",
                 id);
        assert_string_equal(postgres_query(in.pg, sql), "1");
        agent_start(&a, &in, id, 1);
        settle(&in, &a, make_result("disk", STATUS_FAILURE, "", 100, NULL));
        settle(&in, &a, make_result("cpu", STATUS_FAILURE, "", 100, NULL));
        settle(&in, &a, make_error("disk", "timeout", 101, NULL));
        assert_query(&in, id, transitions, "");

        snprintf(sql, sizeof(sql),
                 "INSERT INTO acknowledgements (server_id, service, reason, severity) VALUES (%" PRId64
                 ", 'disk', '', 3)"
                 " RETURNING 1",
                 id);
        assert_string_equal(postgres_query(in.pg, sql), "1");
        settle(&in, &a, make_result("disk", STATUS_OK, "", 102, NULL));
        settle(&in, &a, make_result("cpu", STATUS_OK, "", 102, NULL));
        assert_query(&in, id, transitions, "disk status FAILURE>OK,disk error timeout>-");
        agent_stop(&a);
        instance_stop(&in);
}

static void test_replay(void **state)
{
        static const char clear[] = "WITH d AS (DELETE FROM transitions RETURNING 1) SELECT count(*) FROM d";
        Instance in;
        Agent a;
        int64_t id;

        instance_start(&in, *state);
        id = make_server(in.pg);
        agent_start(&a, &in, id, 1);
        settle(&in, &a, make_result("disk", STATUS_OK, "", 100, NULL));
        settle(&in, &a, make_result("cpu", STATUS_OK, "", 100, NULL));
        postgres_query(in.pg, clear);

        /* Neither while it lasts, nor what was there and back. */
        take_over(&in, &a, id, 2);
        push(&a, ingest_item_new(INGEST_RESUME, NULL));
        in.n_changed = 0;
        settle(&in, &a, make_result("disk", STATUS_FAILURE, "", 101, "1"));
        settle(&in, &a, make_result("cpu", STATUS_FAILURE, "", 101, "2"));
        settle(&in, &a, make_result("disk", STATUS_OK, "", 102, "3"));
        assert_int_equal(in.n_changed, 0);
        assert_query(&in, id, transitions, "");
        settle(&in, &a, ingest_item_new(INGEST_LIVE, NULL));
        assert_query(&in, id, transitions, "cpu status OK>FAILURE");
        assert_true(in.n_changed >= 3); /* the server, and both services */
        assert_query(&in, id, n_events, "5");

        settle(&in, &a, make_result("disk", STATUS_WARNING, "", 103, "4"));
        assert_query(&in, id, transitions, "cpu status OK>FAILURE,disk status OK>WARNING");

        /* Cut off in the middle, and ended by the next session. */
        postgres_query(in.pg, clear);
        take_over(&in, &a, id, 3);
        push(&a, ingest_item_new(INGEST_RESUME, NULL));
        settle(&in, &a, make_result("disk", STATUS_OK, "", 104, "5"));
        take_over(&in, &a, id, 4);
        push(&a, ingest_item_new(INGEST_RESUME, NULL));
        settle(&in, &a, ingest_item_new(INGEST_LIVE, NULL));
        assert_query(&in, id, transitions, "disk status WARNING>OK");

        /* Without a replay there is no end of one. */
        unsigned before = in.n_committed;
        push(&a, ingest_item_new(INGEST_LIVE, NULL));
        loop_for(in.event, 10 * USEC_PER_MSEC);
        assert_int_equal(in.n_committed, before);
        agent_stop(&a);
        instance_stop(&in);
}

static void test_gap_is_remembered(void **state)
{
        IngestItem *item = ingest_item_new(INGEST_GAP, &(IngestText){ .cursor = "1" });
        Instance in;
        Agent a;
        int64_t id;

        instance_start(&in, *state);
        id = make_server(in.pg);
        agent_start(&a, &in, id, 1);
        settle(&in, &a, make_result("disk", STATUS_OK, "", 100, "1"));
        assert_string_equal(query_server(&in, id, "gap_told"), "f");
        item->timestamp = 200 * USEC_PER_SEC;
        settle(&in, &a, item);
        assert_string_equal(query_server(&in, id, "gap_told"), "t");
        settle(&in, &a, make_result("disk", STATUS_OK, "", 100, NULL));
        assert_string_equal(query_server(&in, id, "gap_told"), "t");
        settle(&in, &a, make_result("disk", STATUS_OK, "", 100, "2"));
        assert_string_equal(query_server(&in, id, "gap_told"), "f");
        agent_stop(&a);
        instance_stop(&in);
}

/* ---- When a result is due ---- */

static uint64_t now_plus(int seconds)
{
        return ((uint64_t) time(NULL) + (uint64_t) seconds) * USEC_PER_SEC;
}

static IngestItem *expect_run(uint64_t next_run)
{
        IngestItem *item = make_inventory(1, (const char *const[]){ "disk" });

        item->services[0].next_run = next_run;
        return item;
}

/* Seconds from the next run to when it is due; or "-". */
static void assert_due(Instance *in, int64_t id, const char *expected)
{
        assert_query(in, id,
                     "coalesce(extract(epoch FROM due_at - next_run)::int::text, '-') FROM services"
                     " WHERE name = 'disk'",
                     expected);
}

static void make_late(Instance *in, int64_t id)
{
        char sql[256];

        snprintf(sql, sizeof(sql),
                 "UPDATE services SET next_run = now() - interval '150 s', due_at = now() - interval '29 s',"
                 " received_at = now() - interval '1 h', stale_since = due_at WHERE server_id = %lld",
                 (long long) id);
        postgres_query(in->pg, sql);
}

static void test_due(void **state)
{
        static const char stale[] = "(stale_since IS NOT NULL)::text FROM services WHERE name = 'disk'";
        IngestItem *disabled;
        Instance in;
        Agent a;
        int64_t id;

        instance_start(&in, *state);
        id = make_server(in.pg);
        agent_start(&a, &in, id, 1);
        settle(&in, &a, expect_run(now_plus(100)));
        assert_due(&in, id, "121");
        settle(&in, &a, make_result("disk", STATUS_OK, "early", 1, NULL));
        assert_due(&in, id, "121");

        /* The run that was expected is still to come, whatever is said of the next. */
        make_late(&in, id);
        take_over(&in, &a, id, 2);
        settle(&in, &a, expect_run(now_plus(100)));
        assert_query(&in, id, stale, "true");
        settle(&in, &a, make_result("disk", STATUS_OK, "at last", 2, NULL));
        assert_query(&in, id, stale, "false");
        assert_due(&in, id, "121");

        /* A timer that stands still owes what it promised. */
        settle(&in, &a, expect_run(USEC_INFINITY));
        assert_query(&in, id, "(due_at IS NOT NULL)::text FROM services WHERE name = 'disk'", "true");
        disabled = expect_run(USEC_INFINITY);
        disabled->services[0].enabled = false;
        settle(&in, &a, disabled);
        assert_due(&in, id, "-");

        /* A result that comes in time ends the wait for it. */
        settle(&in, &a, expect_run(now_plus(0)));
        settle(&in, &a, make_result("disk", STATUS_OK, "in time", 3, NULL));
        assert_due(&in, id, "-");
        assert_query(&in, id,
                     "string_agg(coalesce(after, 'fresh'), ' ' ORDER BY id) FROM transitions WHERE what = 'stale'",
                     "stale fresh");
        agent_stop(&a);
        instance_stop(&in);
}

static void test_next_run_alone(void **state)
{
        char version[32];
        Instance in;
        Agent a;
        int64_t id;

        instance_start(&in, *state);
        id = make_server(in.pg);
        agent_start(&a, &in, id, 1);
        settle(&in, &a, expect_run(now_plus(5)));
        snprintf(version, sizeof(version), "%s", query(&in, id, row_version));
        in.n_committed = 0;

        /* Soon another one comes, so this need not be written. */
        push(&a, expect_run(now_plus(10)));
        loop_until(in.event, &a.drained);
        assert_query(&in, id, row_version, version);
        assert_int_equal(in.n_committed, 0);

        settle(&in, &a, expect_run(now_plus(3600)));
        assert_string_not_equal(query(&in, id, row_version), version);
        agent_stop(&a);
        instance_stop(&in);
}

/* ---- A database that takes nothing ---- */

static void test_read_only(void **state)
{
        bool failed = false;
        Instance in;
        Agent a;
        int64_t id;

        instance_start(&in, *state);
        id = make_server(in.pg);
        agent_start(&a, &in, id, 1);
        settle(&in, &a, make_result("disk", STATUS_OK, "", 100, "1"));
        postgres_query(in.pg, "ALTER SYSTEM SET default_transaction_read_only = on");
        postgres_query(in.pg, "SELECT pg_reload_conf()");
        for (unsigned n = 2; !failed; n++) {
                char cursor[16];

                assert_true(n < 1000);
                snprintf(cursor, sizeof(cursor), "%u", n);
                push(&a, make_result("disk", STATUS_OK, cursor, 100, cursor));
                loop_for(in.event, 20 * USEC_PER_MSEC);
                failed = in.n_failed > 0;
        }
        assert_false(a.drained);
        assert_int_equal(a.ended, 0);
        postgres_query(in.pg, "ALTER SYSTEM RESET default_transaction_read_only");
        postgres_query(in.pg, "SELECT pg_reload_conf()");
        loop_until(in.event, &a.drained);
        assert_query(&in, id,
                     "(count(*) = max(nullif(message, '')::int) AND count(DISTINCT message) = count(*))::text"
                     " FROM events WHERE true",
                     "true");
        agent_stop(&a);
        instance_stop(&in);
}

/* ---- Equivalence ---- */

enum { N_SERVICES = 4, N_STEPS = 150 };

/* The simplest that can be said of what results make of a service. */
typedef struct Model {
        Status status, told;
        char message[16], error[16];
        uint64_t changed_at;
        bool there;
} Model;

static unsigned random_below(unsigned *seed, unsigned n)
{
        *seed = *seed * 1103515245 + 12345;
        return *seed / 65536 % n;
}

static IngestItem *random_item(unsigned *seed, uint64_t t, unsigned *ret_service)
{
        static const char *const names[N_SERVICES] = { "a", "b", "c", "d" };
        char message[8];

        *ret_service = random_below(seed, N_SERVICES);
        if (random_below(seed, 4) == 0)
                return make_error(names[*ret_service], random_below(seed, 2) ? "timeout" : "signal", t, NULL);
        snprintf(message, sizeof(message), "%u", random_below(seed, 3));
        return make_result(names[*ret_service], (Status) random_below(seed, 2), message, t, NULL);
}

static void model_apply(Model *m, const IngestItem *item)
{
        m->there = true;
        if (item->kind == INGEST_ERROR) {
                snprintf(m->error, sizeof(m->error), "%s", item->text.error_kind);
                return;
        }
        if (m->status != item->status)
                m->changed_at = item->timestamp / USEC_PER_SEC;
        m->status = item->status;
        m->error[0] = '\0';
        snprintf(m->message, sizeof(m->message), "%s", item->text.message);
}

static void model_compare(Instance *in, int64_t id, const Model *models)
{
        char expected[1024] = "";
        size_t n = 0;

        for (unsigned i = 0; i < N_SERVICES; i++) {
                const Model *m = &models[i];

                if (!m->there)
                        continue;
                n += (size_t) snprintf(expected + n, sizeof(expected) - n, "%s%c %s %s %s %llu %s", n > 0 ? "," : "",
                                       (int) ('a' + i), m->status < 0 ? "-" : status_to_string(m->status), m->message,
                                       m->told < 0 ? "-" : status_to_string(m->told),
                                       (unsigned long long) m->changed_at, m->error);
        }
        assert_query(in, id,
                     "string_agg(concat_ws(' ', name, coalesce(status::text, '-'), coalesce(message, ''),"
                     " coalesce(told_status::text, '-'), coalesce(extract(epoch FROM changed_at)::int, 0),"
                     " coalesce(error_kind, '')), ',' ORDER BY name) FROM services WHERE true",
                     expected);
}

/* Batches of random size, replays, sessions that are taken over in the middle, items of others that are refused. */
static void test_equivalence(void **state)
{
        Model models[N_SERVICES] = {};
        unsigned seed = (unsigned) time(NULL), n_items = 0;
        Instance in;
        Agent a, bad;
        int64_t id, other, epoch = 1;
        bool replay = false;

        print_message("seed %u\n", seed);
        for (unsigned i = 0; i < N_SERVICES; i++)
                models[i] = (Model){ .status = _STATUS_INVALID, .told = _STATUS_INVALID };
        instance_start(&in, *state);
        id = make_server(in.pg);
        other = make_server(in.pg);
        agent_start(&a, &in, id, epoch);
        for (unsigned step = 0; step < N_STEPS; step++) {
                unsigned n = 1 + random_below(&seed, 5);

                if (random_below(&seed, 8) == 0) {
                        Agent old = a;

                        /* What the fenced session still says counts for nothing. */
                        agent_start(&a, &in, id, ++epoch);
                        replay = false;
                        char sql[128];
                        snprintf(sql, sizeof(sql), "UPDATE servers SET session_epoch = %lld WHERE id = %lld",
                                 (long long) epoch, (long long) id);
                        postgres_query(in.pg, sql);
                        ingest_source_push(old.source, make_result("a", STATUS_FAILURE, "fenced", 1, NULL));
                        agent_stop(&old);
                }
                if (random_below(&seed, 8) == 0) {
                        push(&a, ingest_item_new(replay ? INGEST_LIVE : INGEST_RESUME, NULL));
                        if (replay)
                                for (unsigned i = 0; i < N_SERVICES; i++)
                                        models[i].told = models[i].status;
                        replay = !replay;
                }
                if (random_below(&seed, 10) == 0) {
                        agent_start(&bad, &in, other, 1);
                        push(&bad, make_result("a", STATUS_OK, "\xff", 1, NULL));
                } else
                        bad.source = NULL;
                for (unsigned i = 0; i < n; i++) {
                        unsigned service;
                        IngestItem *item = random_item(&seed, 1000 + n_items++, &service);

                        model_apply(&models[service], item);
                        if (!replay && item->kind == INGEST_RESULT)
                                models[service].told = models[service].status;
                        push(&a, item);
                }
                loop_until(in.event, &a.drained);
                assert_int_equal(a.ended, 0);
                if (bad.source) {
                        loop_until(in.event, &bad.drained);
                        assert_int_equal(bad.ended, -EINVAL);
                        agent_stop(&bad);
                }
                model_compare(&in, id, models);
        }
        assert_true(ingest_stats(in.ingest)->unchanged > 0);
        char count[16];
        snprintf(count, sizeof(count), "%u", n_items);
        assert_query(&in, id, n_events, count);
        agent_stop(&a);
        instance_stop(&in);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_unchanged_costs_no_update),
                cmocka_unit_test(test_refreshed),
                cmocka_unit_test(test_history_of_changes),
                cmocka_unit_test(test_transitions),
                cmocka_unit_test(test_nobody_to_tell),
                cmocka_unit_test(test_replay),
                cmocka_unit_test(test_gap_is_remembered),
                cmocka_unit_test(test_due),
                cmocka_unit_test(test_next_run_alone),
                cmocka_unit_test(test_read_only),
                cmocka_unit_test(test_equivalence),
        };

        return cmocka_run_group_tests(tests, postgres_setup, postgres_teardown);
}
