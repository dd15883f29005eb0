/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include "db/array.h"
#include "db/db.h"
#include "db/migrate.h"
#include "core/changes.h"
#include "postgres-fixture.h"

typedef struct Answer {
        bool done;
        int error;
        char value[256], message[256];
        unsigned n;
} Answer;

static void answered(PGresult *res, int error, void *userdata)
{
        Answer *a = userdata;

        a->done = true;
        a->error = error;
        a->n++;
        if (error < 0)
                snprintf(a->message, sizeof(a->message), "%s", db_result_message(res));
        if (error == 0 && PQntuples(res) > 0)
                snprintf(a->value, sizeof(a->value), "%s", PQgetvalue(res, 0, 0));
}

static void state_changed(bool ready, void *userdata)
{
        bool *up = userdata;

        *up = ready;
}

static void connect_db(Postgres *p, sd_event **event, Db **db, unsigned n, bool *up)
{
        assert_return_code(sd_event_new(event), 0);
        *db = postgres_pool(*event, p->conninfo, n);
        *up = false;
        db_set_state_callback(*db, state_changed, up);
        loop_until(*event, up);
}

static void test_query(void **state)
{
        const char *const params[] = { "it's", NULL };
        sd_event *event = NULL;
        Answer a = {};
        bool up;
        Db *db;

        connect_db(*state, &event, &db, 2, &up);
        assert_return_code(db_query(db, "SELECT $1::text || coalesce($2, '!')", 2, params, answered, &a), 0);
        assert_false(a.done);
        loop_until(event, &a.done);
        assert_int_equal(a.error, 0);
        assert_string_equal(a.value, "it's!");
        db_free(db);
        sd_event_unref(event);
}

static void test_prepared(void **state)
{
        static const char sql[] = "SELECT $1::text || value FROM prepared";
        const char *const params[] = { "it's" };
        Answer first = {}, made = {}, a[20] = {};
        sd_event *event = NULL;
        bool up;
        Db *db;

        connect_db(*state, &event, &db, 1, &up);
        /* Not yet: what could not be prepared is so later. */
        assert_return_code(db_query_prepared(db, "test", sql, 1, params, answered, &first), 0);
        loop_until(event, &first.done);
        assert_int_equal(first.error, -EIO);
        assert_non_null(strstr(first.message, "\"prepared\" does not exist"));
        assert_return_code(db_query(db, "CREATE TABLE prepared AS SELECT '!' AS value", 0, NULL, answered, &made), 0);
        for (size_t i = 0; i < ELEMENTSOF(a); i++)
                assert_return_code(db_query_prepared(db, "test", sql, 1, params, answered, &a[i]), 0);
        loop_until(event, &a[ELEMENTSOF(a) - 1].done);
        for (size_t i = 0; i < ELEMENTSOF(a); i++)
                assert_string_equal(a[i].value, "it's!");
        /* Known by its name, and on a new connection anew. */
        db_suspend(db);
        assert_int_equal(db_query(db, "SELECT 1", 0, NULL, NULL, NULL), -ENOTCONN);
        db_resume(db);
        loop_until(event, &up);
        made = a[0] = (Answer){};
        assert_return_code(db_query_prepared(db, "test", sql, 1, params, answered, &a[0]), 0);
        assert_return_code(db_query(db, "SELECT count(*) FROM pg_prepared_statements", 0, NULL, answered, &made), 0);
        loop_until(event, &made.done);
        assert_string_equal(a[0].value, "it's!");
        assert_string_equal(made.value, "1");
        db_free(db);
        sd_event_unref(event);
}

static void test_errors(void **state)
{
        static const struct {
                const char *sql;
                int error;
        } table[] = {
                { "SELECT 1", 0 },
                { "SELEC", -EIO },
                { "SELECT 'x'::int", -EINVAL },
                { "INSERT INTO settings SELECT 'same', '' FROM generate_series(1, 2)", -EEXIST },
                { "SELECT 1 / 0", -EINVAL },
                { "DO $$ BEGIN RAISE serialization_failure; END $$", -EAGAIN },
                { "INSERT INTO claim_tokens VALUES ('x', -1, now())", -EINVAL },
        };
        Answer answers[ELEMENTSOF(table)] = {};
        sd_event *event = NULL;
        bool up;
        Db *db;

        /* All in one pipeline: a failure touches no neighbour. */
        connect_db(*state, &event, &db, 1, &up);
        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                assert_return_code(db_query(db, table[i].sql, 0, NULL, answered, &answers[i]), 0);
        loop_until(event, &answers[ELEMENTSOF(table) - 1].done);
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                assert_true(answers[i].done);
                assert_int_equal(answers[i].error, table[i].error);
        }
        db_free(db);
        sd_event_unref(event);
}

/* The statement succeeds, and its transaction does not: what is deferred is looked at when the pipeline is at its sync, and
 * so is a disk that takes no more of the log. */
static void test_failed_commit(void **state)
{
        static const char *const statements[] = {
                "CREATE TABLE late (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)",
                "INSERT INTO late VALUES (1), (1) RETURNING n",
                "SELECT count(*) FROM late",
        };
        sd_event *event = NULL;
        Answer a[ELEMENTSOF(statements)] = {};
        bool up;
        Db *db;

        connect_db(*state, &event, &db, 1, &up);
        for (size_t i = 0; i < ELEMENTSOF(statements); i++)
                assert_return_code(db_query(db, statements[i], 0, NULL, answered, &a[i]), 0);
        loop_until(event, &a[ELEMENTSOF(statements) - 1].done);
        assert_int_equal(a[0].error, 0);
        assert_int_equal(a[1].error, -EEXIST);
        assert_int_equal(a[1].n, 1);
        assert_int_equal(a[2].error, 0);
        assert_string_equal(a[2].value, "0");
        db_free(db);
        sd_event_unref(event);
}

static void test_pipeline_limit(void **state)
{
        sd_event *event = NULL;
        Answer a = {};
        bool up;
        Db *db;

        connect_db(*state, &event, &db, 1, &up);
        for (unsigned i = 0; i < DB_PIPELINE_MAX; i++)
                assert_return_code(db_query(db, "SELECT 1", 0, NULL, answered, &a), 0);
        assert_int_equal(db_query(db, "SELECT 1", 0, NULL, answered, &a), -EBUSY);
        while (a.n < DB_PIPELINE_MAX)
                loop_for(event, 10 * USEC_PER_MSEC);
        assert_int_equal(a.error, 0);
        db_free(db);
        sd_event_unref(event);
}

static void test_free_answers(void **state)
{
        sd_event *event = NULL;
        Answer a = {};
        bool up;
        Db *db;

        connect_db(*state, &event, &db, 1, &up);
        assert_return_code(db_query(db, "SELECT pg_sleep(10)", 0, NULL, answered, &a), 0);
        db_free(db);
        assert_int_equal(a.error, -ECANCELED);
        assert_int_equal(a.n, 1);
        sd_event_unref(event);
}

static void test_terminated_backend(void **state)
{
        Answer sleeping = {}, queued = {}, after = {};
        sd_event *event = NULL;
        bool up;
        Db *db;

        connect_db(*state, &event, &db, 1, &up);
        assert_return_code(db_query(db, "SELECT pg_sleep(10) /* victim */", 0, NULL, answered, &sleeping), 0);
        assert_return_code(db_query(db, "SELECT 1", 0, NULL, answered, &queued), 0);
        loop_for(event, 100 * USEC_PER_MSEC);
        postgres_query(*state, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%victim%'"
                               " AND pid <> pg_backend_pid()");
        loop_until(event, &queued.done);
        assert_int_equal(sleeping.error, -ECONNRESET);
        assert_int_equal(queued.error, -ECONNRESET);
        assert_false(up);
        assert_int_equal(db_query(db, "SELECT 1", 0, NULL, answered, &after), -ENOTCONN);
        loop_until(event, &up);
        assert_return_code(db_query(db, "SELECT 7", 0, NULL, answered, &after), 0);
        loop_until(event, &after.done);
        assert_string_equal(after.value, "7");
        assert_int_equal(sleeping.n, 1);
        db_free(db);
        sd_event_unref(event);
}

static void test_crash(void **state)
{
        sd_event *event = NULL;
        Answer a = {};
        bool up;
        Db *db;

        connect_db(*state, &event, &db, 3, &up);
        postgres_crash(*state);
        while (up)
                loop_for(event, 10 * USEC_PER_MSEC);
        loop_until(event, &up);
        assert_return_code(db_query(db, "SELECT 1", 0, NULL, answered, &a), 0);
        loop_until(event, &a.done);
        assert_int_equal(a.error, 0);
        db_free(db);
        sd_event_unref(event);
}

static void test_unreachable(void **state)
{
        _cleanup_free_ char *message = NULL;
        sd_event *event = NULL;
        Answer a = {};
        Db *db;

        assert_return_code(sd_event_new(&event), 0);
        db = postgres_pool(event, "host=/nonexistent dbname=x", 1);
        loop_for(event, 200 * USEC_PER_MSEC);
        assert_false(db_is_ready(db));
        assert_int_equal(db_query(db, "SELECT 1", 0, NULL, answered, &a), -ENOTCONN);
        assert_false(a.done);
        db_free(db);
        sd_event_unref(event);
        assert_int_equal(db_migrate("host=/nonexistent dbname=x", TEST_MIGRATIONS_DIR, &message), -ENOTCONN);
        assert_non_null(message);
}

static int listen_on(int backlog, struct sockaddr_in *ret)
{
        socklen_t size = sizeof(*ret);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        *ret = (struct sockaddr_in){ .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
        assert_return_code(bind(fd, (struct sockaddr *) ret, size), errno);
        assert_return_code(listen(fd, backlog), errno);
        assert_return_code(getsockname(fd, (struct sockaddr *) ret, &size), errno);
        return fd;
}

/* The first host is as if switched off: not even an error comes back, because its queue is full. The second takes the connection
 * and says nothing. */
static void test_silent_hosts(void **state)
{
        _cleanup_free_ char *conninfo = NULL;
        struct sockaddr_in off, mute;
        int off_fd = listen_on(0, &off), mute_fd = listen_on(8, &mute);
        int filler = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        Postgres *p = *state;
        sd_event *event = NULL;
        bool up = false;
        Db *db;

        assert_return_code(connect(filler, (struct sockaddr *) &off, sizeof(off)), errno);
        assert_true(asprintf(&conninfo, "%s host=127.0.0.1,127.0.0.1,%s port=%d,%d, connect_timeout=2", p->conninfo,
                             p->dir, ntohs(off.sin_port), ntohs(mute.sin_port)) > 0);
        assert_return_code(sd_event_new(&event), 0);
        db = postgres_pool(event, conninfo, 2);
        db_set_state_callback(db, state_changed, &up);
        loop_until(event, &up);
        db_free(db);
        sd_event_unref(event);
        close(off_fd);
        close(filler);
        close(mute_fd);
}

typedef struct Heard {
        bool listening, heard;
        unsigned n_listens;
        char payload[64];
} Heard;

static void heard(const char *payload, void *userdata)
{
        Heard *h = userdata;

        h->heard = true;
        snprintf(h->payload, sizeof(h->payload), "%s", payload);
}

static void listening(void *userdata)
{
        Heard *h = userdata;

        h->listening = true;
        h->n_listens++;
}

static void test_listen(void **state)
{
        sd_event *event = NULL;
        Heard h = {};
        bool up;
        Db *db;

        connect_db(*state, &event, &db, 1, &up);
        assert_return_code(db_listen(db, "Some channel", heard, listening, &h), 0);
        assert_int_equal(db_listen(db, "another", heard, listening, &h), -EBUSY);
        loop_until(event, &h.listening);
        postgres_query(*state, "SELECT pg_notify('Some channel', 'one')");
        loop_until(event, &h.heard);
        assert_string_equal(h.payload, "one");

        h.listening = h.heard = false;
        postgres_query(*state, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'");
        loop_until(event, &h.listening);
        assert_int_equal(h.n_listens, 2);
        postgres_query(*state, "SELECT pg_notify('Some channel', 'two')");
        loop_until(event, &h.heard);
        assert_string_equal(h.payload, "two");
        db_free(db);
        sd_event_unref(event);
}

static void test_migrate_twice(void **state)
{
        Postgres *p = *state;

        assert_int_equal(db_migrate(p->conninfo, TEST_MIGRATIONS_DIR, NULL), 0);
        assert_int_equal(db_migrate(p->conninfo, "/nonexistent", NULL), -ENOENT);
        assert_string_equal(postgres_query(p, "SELECT count(*) FROM schema_migrations WHERE version = 8"), "1");
}

static void test_array(void **state)
{
        static const char expected[] = "{\"a\\\"b\\\\c, {}\",NULL,\"\",\"NULL\"}";
        _cleanup_(db_array_free) DbArray a = {}, empty = {}, times = {};

        db_array_text(&a, "a\"b\\c, {}");
        db_array_text(&a, NULL);
        db_array_text(&a, "");
        db_array_text(&a, "NULL");
        assert_string_equal(db_array_done(&a), expected);
        assert_string_equal(db_array_done(&empty), "{}");
        db_array_time(&times, 0);
        db_array_time(&times, USEC_INFINITY);
        db_array_int(&times, INT64_MIN);
        db_array_bool(&times, true);
        assert_string_equal(db_array_done(&times), "{1970-01-01T00:00:00Z,NULL,-9223372036854775808,t}");
}

static void test_changes(void **state)
{
        char instance[INSTANCE_ID_MAX], name[64];
        Changes c = {}, decoded = {};
        char **payloads;
        size_t n, total = 0;

        for (int i = 0; i < 500; i++) {
                snprintf(name, sizeof(name), "service-%d", i);
                assert_return_code(changes_add(&c, CHANGE_SERVICE, "usr-1", "srv-1", name), 0);
        }
        assert_return_code(changes_add(&c, CHANGE_SERVER, "usr-2", "srv-2", NULL), 0);
        assert_return_code(changes_encode(&c, "me", &payloads, &n), 0);
        assert_true(n > 1);
        for (size_t i = 0; i < n; i++) {
                assert_true(strlen(payloads[i]) < 8000);
                assert_return_code(changes_decode(payloads[i], instance, &decoded), 0);
                assert_string_equal(instance, "me");
                assert_true(changes_is_from(payloads[i], "me"));
                assert_false(changes_is_from(payloads[i], "m"));
                assert_false(changes_is_from(payloads[i], "me2"));
                for (size_t k = 0; k < decoded.n && decoded.items[k].arg; k++) {
                        snprintf(name, sizeof(name), "service-%zu", total + k);
                        assert_string_equal(decoded.items[k].arg, name);
                        assert_string_equal(decoded.items[k].user, "usr-1");
                        assert_string_equal(decoded.items[k].server, "srv-1");
                }
                total += decoded.n;
        }
        assert_int_equal(total, 501);
        assert_int_equal(decoded.items[decoded.n - 1].kind, CHANGE_SERVER);
        assert_string_equal(decoded.items[decoded.n - 1].server, "srv-2");
        assert_null(decoded.items[decoded.n - 1].arg);
        assert_string_equal(decoded.items[0].user, "usr-1");
        assert_int_equal(changes_decode("", instance, &decoded), -EBADMSG);
        assert_int_equal(changes_decode("me\nx a b c\n", instance, &decoded), -EBADMSG);
        assert_int_equal(changes_decode("me\ns a\n", instance, &decoded), -EBADMSG);
        payloads_free(payloads, n);
        changes_clear(&c);
        changes_clear(&decoded);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_array),
                cmocka_unit_test(test_changes),
                cmocka_unit_test(test_query),
                cmocka_unit_test(test_prepared),
                cmocka_unit_test(test_errors),
                cmocka_unit_test(test_failed_commit),
                cmocka_unit_test(test_pipeline_limit),
                cmocka_unit_test(test_free_answers),
                cmocka_unit_test(test_terminated_backend),
                cmocka_unit_test(test_crash),
                cmocka_unit_test(test_unreachable),
                cmocka_unit_test(test_silent_hosts),
                cmocka_unit_test(test_listen),
                cmocka_unit_test(test_migrate_twice),
        };

        return cmocka_run_group_tests(tests, postgres_setup, postgres_teardown);
}
