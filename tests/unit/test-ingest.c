/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"

#include <inttypes.h>
#include <utlist.h>

#include "ingest-fixture.h"

static void test_result(void **state)
{
        Instance in;
        Agent a;
        int64_t id;

        instance_start(&in, *state);
        id = make_server(in.pg);
        agent_start(&a, &in, id, 1);
        push(&a, make_result("disk", STATUS_WARNING, "it's \"full\", {almost}\\", 100, "c1"));
        assert_int_equal(ingest_source_pending(a.source), 1);
        assert_string_equal(a.cursor, "");
        loop_until(in.event, &a.drained);
        assert_string_equal(a.cursor, "c1");
        assert_int_equal(ingest_pending(in.ingest), 0);
        assert_string_equal(query(&in, id, "message FROM services WHERE status = 'WARNING'"),
                            "it's \"full\", {almost}\\");
        assert_string_equal(query(&in, id, "count(*) FROM events WHERE kind = 'result' AND service = 'disk'"), "1");
        assert_string_equal(query_server(&in, id, "resume_cursor"), "c1");
        assert_int_equal(in.n_changed, 2); /* the service and its server */
        agent_stop(&a);
        instance_stop(&in);
}

static void test_without_cursor(void **state)
{
        Instance in;
        Agent a;
        int64_t id;

        instance_start(&in, *state);
        id = make_server(in.pg);
        agent_start(&a, &in, id, 1);
        push(&a, make_result("disk", STATUS_OK, "", 100, "c1"));
        push(&a, make_result("disk", STATUS_OK, "", 101, NULL));
        loop_until(in.event, &a.drained);
        push(&a, make_result("disk", STATUS_OK, "", 102, NULL));
        loop_until(in.event, &a.drained);
        assert_int_equal(a.n_acks, 1);
        assert_string_equal(query_server(&in, id, "resume_cursor"), "c1");
        assert_string_equal(query(&in, id, "count(*) FROM events WHERE true"), "3");
        agent_stop(&a);
        instance_stop(&in);
}

static void test_changed_at(void **state)
{
        static const char changed_at[] = "extract(epoch FROM changed_at)::int FROM services WHERE name = 'disk'";
        Instance in;
        Agent a;
        int64_t id;

        instance_start(&in, *state);
        id = make_server(in.pg);
        agent_start(&a, &in, id, 1);
        push(&a, make_result("disk", STATUS_OK, "", 100, NULL));
        push(&a, make_result("disk", STATUS_OK, "", 101, NULL));
        loop_until(in.event, &a.drained);
        assert_string_equal(query(&in, id, changed_at), "100");

        push(&a, make_result("disk", STATUS_OK, "", 102, NULL));
        loop_until(in.event, &a.drained);
        assert_string_equal(query(&in, id, changed_at), "100");

        /* There and back inside one batch. */
        push(&a, make_result("disk", STATUS_FAILURE, "", 103, NULL));
        push(&a, make_result("disk", STATUS_OK, "", 104, NULL));
        push(&a, make_result("disk", STATUS_OK, "", 105, NULL));
        loop_until(in.event, &a.drained);
        assert_string_equal(query(&in, id, changed_at), "104");

        push(&a, make_result("disk", STATUS_UPDATE, "", 106, NULL));
        push(&a, make_result("disk", STATUS_UPDATE, "", 107, NULL));
        loop_until(in.event, &a.drained);
        assert_string_equal(query(&in, id, changed_at), "106");
        agent_stop(&a);
        instance_stop(&in);
}

static void test_execution_error(void **state)
{
        static const char row[] = "concat_ws(',', status, message, extract(epoch FROM status_at)::int,"
                                  " coalesce(error_kind, '-'), extract(epoch FROM error_at)::int)"
                                  " FROM services WHERE name = 'disk'";
        Instance in;
        Agent a;
        int64_t id;

        instance_start(&in, *state);
        id = make_server(in.pg);
        agent_start(&a, &in, id, 1);
        push(&a, make_error("disk", "timeout", 99, "c0"));
        loop_until(in.event, &a.drained);
        assert_string_equal(query(&in, id, row), "timeout,99");

        /* The status stands when a run breaks, and the next result clears the error. */
        push(&a, make_result("disk", STATUS_WARNING, "w", 100, "c1"));
        loop_until(in.event, &a.drained);
        assert_string_equal(query(&in, id, row), "WARNING,w,100,-");
        push(&a, make_error("disk", "exit-code", 101, "c2"));
        loop_until(in.event, &a.drained);
        assert_string_equal(query(&in, id, row), "WARNING,w,100,exit-code,101");

        push(&a, make_error("disk", "signal", 102, "c3"));
        push(&a, make_result("disk", STATUS_WARNING, "w2", 103, "c4"));
        loop_until(in.event, &a.drained);
        assert_string_equal(query(&in, id, row), "WARNING,w2,103,-");
        push(&a, make_result("disk", STATUS_OK, "w3", 104, "c5"));
        push(&a, make_error("disk", "signal", 105, "c6"));
        loop_until(in.event, &a.drained);
        assert_string_equal(query(&in, id, row), "OK,w3,104,signal,105");
        assert_string_equal(a.cursor, "c6");
        assert_string_equal(query(&in, id, "string_agg(kind, ',' ORDER BY id) FROM events WHERE service = 'disk'"),
                            "error,result,error,error,result,result,error");
        agent_stop(&a);
        instance_stop(&in);
}

static void test_inventory(void **state)
{
        static const char names[] = "string_agg(name || coalesce(':' || status, ''), ',' ORDER BY name)"
                                    " FROM services WHERE true";
        Instance in;
        Agent a, b;
        int64_t id, other;

        instance_start(&in, *state);
        id = make_server(in.pg);
        other = make_server(in.pg);
        agent_start(&a, &in, id, 1);
        agent_start(&b, &in, other, 1);

        /* In the session's order: the result before is removed, the one after is not. */
        push(&b, make_result("gone", STATUS_OK, "", 100, "c1"));
        push(&a, make_result("gone", STATUS_OK, "", 100, "c1"));
        push(&a, make_inventory(2, (const char *const[]){ "cpu", "disk" }));
        push(&a, make_result("disk", STATUS_OK, "", 101, "c2"));
        push(&a, make_result("extra", STATUS_OK, "", 102, "c3"));
        loop_until(in.event, &a.drained);
        assert_string_equal(a.cursor, "c3");
        assert_string_equal(query(&in, id, names), "cpu,disk:OK,extra:OK");
        assert_string_equal(query(&in, other, names), "gone:OK");

        push(&a, make_inventory(1, (const char *const[]){ "disk" }));
        push(&b, make_inventory(0, NULL));
        loop_until(in.event, &a.drained);
        loop_until(in.event, &b.drained);
        assert_string_equal(query(&in, id, names), "disk:OK");
        assert_string_equal(query(&in, other, names), "");
        assert_string_equal(query(&in, id, "count(*) FROM events WHERE true"), "3");
        agent_stop(&a);
        agent_stop(&b);
        instance_stop(&in);
}

static void test_gap_once(void **state)
{
        Instance in;
        Agent a;
        int64_t id;

        instance_start(&in, *state);
        id = make_server(in.pg);
        agent_start(&a, &in, id, 1);
        for (int i = 0; i < 2; i++) {
                IngestItem *item = ingest_item_new(INGEST_GAP, &(IngestText){ .cursor = "c1" });

                item->gap_from = 100 * USEC_PER_SEC;
                item->timestamp = (200 + (uint64_t) i) * USEC_PER_SEC;
                push(&a, item);
                loop_until(in.event, &a.drained);
        }
        assert_string_equal(query(&in, id, "count(*) FROM events WHERE kind = 'gap'"), "1");
        assert_string_equal(query_server(&in, id, "resume_cursor"), "c1");
        agent_stop(&a);
        instance_stop(&in);
}

static void start_agents(Instance *in, Agent *agents, int64_t *ids, int n)
{
        for (int i = 0; i < n; i++) {
                ids[i] = make_server(in->pg);
                agent_start(&agents[i], in, ids[i], 1);
        }
}

static void test_group_commit(void **state)
{
        enum { N = 50 };
        Instance in;
        Agent agents[N];
        int64_t ids[N];

        instance_start(&in, *state);
        start_agents(&in, agents, ids, N);
        for (int i = 0; i < N; i++)
                push_numbered(&agents[i], 1, 20);
        for (int i = 0; i < N; i++)
                loop_until(in.event, &agents[i].drained);
        for (int i = 0; i < N; i++) {
                /* All that waited came with one transaction, and one acknowledgement. */
                assert_int_equal(agents[i].n_acks, 1);
                assert_string_equal(agents[i].cursor, "20");
                assert_string_equal(query(&in, ids[i],
                                          "count(*) || ' ' || count(DISTINCT received_at)"
                                          " FROM events WHERE true"),
                                    "20 1");
                agent_stop(&agents[i]);
        }
        instance_stop(&in);
}

/* With so much waiting two batches are under way. In each first one something is refused, and nothing of that agent that
 * came after it may be committed, while all others lose nothing. */
static void test_two_batches(void **state)
{
        static const char in_order[] =
                "count(*) || ' ' || bool_and(n = message::int) FROM (SELECT server_id, message,"
                " row_number() OVER (PARTITION BY server_id ORDER BY id) - 1 AS n FROM events) e WHERE true";
        enum { N = 60, EACH = 300, BAD = 7 };
        Instance in;
        Agent agents[N];
        int64_t ids[N];

        instance_start(&in, *state);
        start_agents(&in, agents, ids, N);
        for (int i = 0; i < N; i++) {
                if (i == BAD)
                        push(&agents[i], make_result("disk", STATUS_OK, "\xff\xfe", 100, "bad"));
                push_numbered(&agents[i], 0, EACH);
        }
        for (int i = 0; i < N; i++)
                loop_until(in.event, &agents[i].drained);
        for (int i = 0; i < N; i++) {
                if (i == BAD) {
                        assert_int_equal(agents[i].ended, -EINVAL);
                        assert_string_equal(query(&in, ids[i], "count(*) FROM events WHERE true"), "0");
                } else {
                        assert_int_equal(agents[i].ended, 0);
                        assert_string_equal(agents[i].cursor, "299");
                        assert_string_equal(query(&in, ids[i], in_order), "300 true");
                }
                agent_stop(&agents[i]);
        }
        instance_stop(&in);
}

static void take_over(Instance *in, int64_t id)
{
        char sql[128];

        snprintf(sql, sizeof(sql), "UPDATE servers SET session_epoch = session_epoch + 1 WHERE id = %lld",
                 (long long) id);
        postgres_query(in->pg, sql);
}

static void test_fence(void **state)
{
        Instance in;
        Agent old, new;
        int64_t id;

        /* Both of one batch even: only what the current session says is committed. */
        instance_start(&in, *state);
        id = make_server(in.pg);
        agent_start(&old, &in, id, 1);
        agent_start(&new, &in, id, 2);
        take_over(&in, id);
        push(&old, make_result("disk", STATUS_FAILURE, "old", 100, "old"));
        push(&new, make_result("disk", STATUS_OK, "new", 100, "new"));
        loop_until(in.event, &old.drained);
        loop_until(in.event, &new.drained);
        assert_int_equal(old.ended, -ESTALE);
        assert_int_equal(old.n_acks, 0);
        assert_string_equal(new.cursor, "new");
        assert_string_equal(query(&in, id, "string_agg(message, ',') FROM events WHERE true"), "new");
        assert_string_equal(query(&in, id, "message FROM services WHERE true"), "new");
        assert_string_equal(query_server(&in, id, "resume_cursor"), "new");

        /* What comes after the end is dropped. */
        push(&old, make_result("disk", STATUS_FAILURE, "old", 100, "old"));
        loop_for(in.event, 50 * USEC_PER_MSEC);
        assert_string_equal(query(&in, id, "count(*) FROM events WHERE true"), "1");
        agent_stop(&old);
        agent_stop(&new);
        instance_stop(&in);
}

/* A standby that lagged has become the primary, or a snapshot was restored: what it lost comes again, and what follows is not
 * committed before. */
static void test_set_back(void **state)
{
        char sql[160];
        Instance in;
        int64_t id;
        Agent a;

        instance_start(&in, *state);
        id = make_server(in.pg);
        agent_start(&a, &in, id, 1);
        push(&a, make_result("disk", STATUS_OK, "one", 100, "1"));
        loop_until(in.event, &a.drained);
        a.drained = false;
        push(&a, make_result("disk", STATUS_OK, "two", 200, "2"));
        loop_until(in.event, &a.drained);
        assert_string_equal(a.cursor, "2");

        snprintf(sql, sizeof(sql),
                 "WITH e AS (DELETE FROM events WHERE server_id = %lld AND message = 'two')"
                 " UPDATE servers SET resume_cursor = '1' WHERE id = %lld",
                 (long long) id, (long long) id);
        postgres_query(in.pg, sql);
        a.drained = false;
        push(&a, make_result("disk", STATUS_OK, "three", 300, "3"));
        loop_until(in.event, &a.drained);
        assert_int_equal(a.ended, -ESTALE);
        assert_string_equal(a.cursor, "2");
        agent_stop(&a);
        assert_string_equal(query_server(&in, id, "resume_cursor"), "1");

        agent_start(&a, &in, id, 1);
        push(&a, make_result("disk", STATUS_OK, "two", 200, "2"));
        push(&a, make_result("disk", STATUS_OK, "three", 300, "3"));
        loop_until(in.event, &a.drained);
        assert_int_equal(a.ended, 0);
        assert_string_equal(query(&in, id, "string_agg(message, ',' ORDER BY at) FROM events WHERE true"),
                            "one,two,three");
        agent_stop(&a);
        instance_stop(&in);
}

static void test_backpressure(void **state)
{
        Instance in;
        Agent a;
        int64_t id;

        instance_start(&in, *state);
        id = make_server(in.pg);
        agent_start(&a, &in, id, 1);
        push_numbered(&a, 0, 1999);
        assert_false(a.full);
        push_numbered(&a, 1999, 2001);
        assert_true(a.full);
        loop_until(in.event, &a.drained);
        assert_false(a.full);
        assert_string_equal(a.cursor, "3999");
        assert_string_equal(query(&in, id, "count(*) || ' ' || count(DISTINCT message) FROM events WHERE true"),
                            "4000 4000");
        agent_stop(&a);
        instance_stop(&in);
}

static void test_refused_item(void **state)
{
        Instance in;
        Agent good, bad;
        int64_t id, other;

        /* Bytes that are no UTF-8: refused by PostgreSQL, and to be laid at the right door. */
        instance_start(&in, *state);
        id = make_server(in.pg);
        other = make_server(in.pg);
        agent_start(&bad, &in, id, 1);
        agent_start(&good, &in, other, 1);
        push(&bad, make_result("disk", STATUS_OK, "\xff\xfe", 100, "c1"));
        push(&good, make_result("disk", STATUS_OK, "fine", 100, "c1"));
        loop_until(in.event, &bad.drained);
        loop_until(in.event, &good.drained);
        assert_int_equal(bad.ended, -EINVAL);
        assert_int_equal(good.ended, 0);
        assert_string_equal(good.cursor, "c1");
        assert_string_equal(query(&in, id, "count(*) FROM events WHERE true"), "0");
        agent_stop(&bad);
        agent_stop(&good);
        instance_stop(&in);
}

/* An agent that does what ours does: after a failure it takes over its session again and sends what follows the
 * cursor that the database has. */
static void resume(Agent *a, Instance *in, int64_t id, unsigned n)
{
        char sql[256];
        int64_t epoch;
        unsigned from;

        agent_stop(a);
        while (!in->up)
                loop_for(in->event, 10 * USEC_PER_MSEC);
        snprintf(sql, sizeof(sql),
                 "UPDATE servers SET session_epoch = session_epoch + 1 WHERE id = %lld"
                 " RETURNING session_epoch || ' ' || coalesce(resume_cursor, '-1')",
                 (long long) id);
        assert_int_equal(sscanf(postgres_query(in->pg, sql), "%" SCNd64 " %u", &epoch, &from), 2);
        agent_start(a, in, id, epoch);
        from++;
        if (from < n)
                push_numbered(a, from, n - from);
        else
                a->drained = true;
}

static void send_through_faults(Instance *in, void (*fault)(Postgres *pg))
{
        enum { N = 3000 };
        unsigned n_resumes = 0;
        Agent a;
        int64_t id;

        id = make_server(in->pg);
        agent_start(&a, in, id, 1);
        push_numbered(&a, 0, N);
        for (unsigned round = 0; strtoul(a.cursor, NULL, 10) != N - 1; round++) {
                assert_true(round < 2000);
                loop_for(in->event, 3 * USEC_PER_MSEC);
                if (round < 5)
                        fault(in->pg);
                if (a.ended < 0) {
                        n_resumes++;
                        resume(&a, in, id, N);
                        if (a.drained)
                                break;
                }
        }
        assert_string_equal(query(in, id,
                                  "count(*) || ' ' || count(DISTINCT message) || ' ' || max(message::int)"
                                  " FROM events WHERE true"),
                            "3000 3000 2999");
        assert_string_equal(query_server(in, id, "resume_cursor"), "2999");
        assert_true(n_resumes > 0);
        agent_stop(&a);
}

static void terminate_backends(Postgres *pg)
{
        postgres_query(pg, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                           " WHERE application_name = 'ssi-serverd'");
}

static void test_terminated_backend(void **state)
{
        Instance in;

        instance_start(&in, *state);
        send_through_faults(&in, terminate_backends);
        instance_stop(&in);
}

static void test_crash(void **state)
{
        Instance in;

        instance_start(&in, *state);
        send_through_faults(&in, postgres_crash);
        instance_stop(&in);
}

/* The old session's transaction hangs in the database while the agent is already back: the takeover waits for it. */
static void test_takeover_waits_for_commit(void **state)
{
        PGconn *blocker = PQconnectdb(((Postgres *) *state)->conninfo);
        PGconn *taker = PQconnectdb(((Postgres *) *state)->conninfo);
        char sql[256];
        PGresult *res;
        Instance in;
        Agent a;
        int64_t id;

        instance_start(&in, *state);
        id = make_server(in.pg);
        agent_start(&a, &in, id, 1);

        push(&a, make_result("disk", STATUS_OK, "", 100, "c0"));
        loop_until(in.event, &a.drained);

        /* The batch has fenced and moved the cursor, and now waits for this lock. */
        snprintf(sql, sizeof(sql), "BEGIN; SELECT FROM services WHERE server_id = %lld FOR UPDATE", (long long) id);
        PQclear(PQexec(blocker, sql));
        push(&a, make_result("disk", STATUS_WARNING, "", 100, "c1"));
        loop_for(in.event, 100 * USEC_PER_MSEC);
        assert_false(a.drained);

        snprintf(sql, sizeof(sql),
                 "UPDATE servers SET session_epoch = session_epoch + 1 WHERE id = %lld RETURNING resume_cursor",
                 (long long) id);
        assert_int_equal(PQsendQuery(taker, sql), 1);
        loop_for(in.event, 100 * USEC_PER_MSEC);
        PQclear(PQexec(blocker, "COMMIT"));
        res = PQgetResult(taker);
        assert_string_equal(PQgetvalue(res, 0, 0), "c1");
        PQclear(res);
        loop_until(in.event, &a.drained);
        assert_string_equal(a.cursor, "c1");
        assert_string_equal(query(&in, id, "count(*) FROM events WHERE true"), "2");

        push(&a, make_result("disk", STATUS_OK, "", 101, "c2"));
        loop_until(in.event, &a.drained);
        assert_int_equal(a.ended, -ESTALE);
        agent_stop(&a);
        instance_stop(&in);
        PQfinish(blocker);
        PQfinish(taker);
}

static void test_free_while_under_way(void **state)
{
        Instance in;
        Agent a, b;
        int64_t id;

        instance_start(&in, *state);
        id = make_server(in.pg);
        agent_start(&a, &in, id, 1);
        agent_start(&b, &in, make_server(in.pg), 1);
        push_numbered(&a, 0, 600);
        push_numbered(&b, 0, 600);
        loop_for(in.event, 2 * USEC_PER_MSEC);
        agent_stop(&a);
        loop_until(in.event, &b.drained);
        push_numbered(&b, 600, 10);
        loop_for(in.event, 1);
        agent_stop(&b);
        instance_stop(&in);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_result),
                cmocka_unit_test(test_without_cursor),
                cmocka_unit_test(test_changed_at),
                cmocka_unit_test(test_execution_error),
                cmocka_unit_test(test_inventory),
                cmocka_unit_test(test_gap_once),
                cmocka_unit_test(test_group_commit),
                cmocka_unit_test(test_two_batches),
                cmocka_unit_test(test_fence),
                cmocka_unit_test(test_set_back),
                cmocka_unit_test(test_backpressure),
                cmocka_unit_test(test_refused_item),
                cmocka_unit_test(test_terminated_backend),
                cmocka_unit_test(test_crash),
                cmocka_unit_test(test_takeover_waits_for_commit),
                cmocka_unit_test(test_free_while_under_way),
        };

        return cmocka_run_group_tests(tests, postgres_setup, postgres_teardown);
}
