/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

#include "db/db.h"
#include "db/migrate.h"
#include "postgres-fixture.h"
#include "shared/util.h"

#define TEST_SCHEMA_FIXTURES TEST_MIGRATIONS_DIR "/../../../../tests/fixtures/schema"

/* For each version N of the schema: a database as its first version left it (NNNN.dump.sql, made by a real one) is brought to N step
 * by step, with the data of tests/fixtures/schema/NNNN.sql put in at each step as that version would have, and is then
 * migrated to the newest at once. All that was there must be there, column by column, except for what NNNN.changes names,
 * and NNNN.check.sql must find nothing wrong. A migration without fixtures is tested with the data of those before it. */

static char migrations[64][128];
static int n_migrations;

static int by_name(const void *a, const void *b)
{
        return strcmp(a, b);
}

static void list_migrations(void)
{
        DIR *d = opendir(TEST_MIGRATIONS_DIR);
        struct dirent *e;

        assert_non_null(d);
        while ((e = readdir(d)))
                if (endswith(e->d_name, ".sql"))
                        snprintf(migrations[n_migrations++], sizeof(migrations[0]), "%s", e->d_name);
        closedir(d);
        assert_true(n_migrations > 0);
        qsort(migrations, (size_t) n_migrations, sizeof(migrations[0]), by_name);
}

/* A folder with the first n of them. */
static void make_folder(char dir[static 64], int n)
{
        strcpy(dir, "/tmp/ssi-test-migrations-XXXXXX");
        assert_non_null(mkdtemp(dir));
        for (int i = 0; i < n; i++) {
                _cleanup_free_ char *from = NULL, *to = NULL;

                assert_return_code(asprintf(&from, "%s/%s", TEST_MIGRATIONS_DIR, migrations[i]), errno);
                assert_return_code(asprintf(&to, "%s/%s", dir, migrations[i]), errno);
                assert_return_code(symlink(from, to), errno);
        }
        if (n > 0) {
                _cleanup_free_ char *to = NULL;

                assert_return_code(asprintf(&to, "%s/functions", dir), errno);
                assert_return_code(symlink(TEST_MIGRATIONS_DIR "/functions", to), errno);
        }
}

static void remove_folder(const char *dir)
{
        char command[128];

        snprintf(command, sizeof(command), "rm -r '%s'", dir);
        assert_int_equal(system(command), 0);
}

/* NULL when there is none. */
static char *read_fixture(const char *migration, const char *suffix)
{
        char path[512], *text;
        struct stat st;
        FILE *f;

        snprintf(path, sizeof(path), "%s/%.4s%s", TEST_SCHEMA_FIXTURES, migration, suffix);
        f = fopen(path, "re");
        if (!f)
                return NULL;
        assert_return_code(fstat(fileno(f), &st), errno);
        text = calloc(1, (size_t) st.st_size + 1);
        assert_non_null(text);
        assert_int_equal(fread(text, 1, (size_t) st.st_size, f), (size_t) st.st_size);
        fclose(f);
        return text;
}

static PGconn *connect_to(Postgres *p, const char *database)
{
        char conninfo[256];
        PGconn *pg;

        snprintf(conninfo, sizeof(conninfo), "host=%s user=ssi dbname=%s", p->dir, database);
        pg = PQconnectdb(conninfo);
        if (PQstatus(pg) != CONNECTION_OK)
                fail_msg("%s", PQerrorMessage(pg));
        return pg;
}

static void run(PGconn *pg, const char *sql)
{
        PGresult *res = PQexec(pg, sql);

        if (PQresultStatus(res) != PGRES_COMMAND_OK && PQresultStatus(res) != PGRES_TUPLES_OK)
                fail_msg("%.80s: %s", sql, PQerrorMessage(pg));
        PQclear(res);
}

static void migrate(Postgres *p, const char *database, int n)
{
        _cleanup_free_ char *message = NULL;
        char dir[64], conninfo[256];

        snprintf(conninfo, sizeof(conninfo), "host=%s user=ssi dbname=%s", p->dir, database);
        make_folder(dir, n);
        if (db_migrate(conninfo, dir, &message) < 0)
                fail_msg("to %s: %s", migrations[n - 1], message);
        remove_folder(dir);
}

/* A digest of each column of each table, by name, of what was in it; partitions count with their parents. */
static const char digests[] =
        "SELECT c.relname || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod),"
        " (xpath('/row/d/text()', query_to_xml(format("
        "   'SELECT count(*) || '':'' || coalesce(md5(string_agg(%1$I::text, '','' ORDER BY %1$I::text)), '''') AS d FROM %2$I',"
        "   a.attname, c.relname), false, true, '')))[1]::text"
        " FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid"
        " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition"
        " AND c.relname NOT IN ('schema_migrations', 'schema_functions') AND a.attnum > 0 AND NOT a.attisdropped ORDER BY 1";

static int find(PGresult *res, const char *key)
{
        for (int i = 0; i < PQntuples(res); i++)
                if (streq(PQgetvalue(res, i, 0), key))
                        return i;
        return -1;
}

/* Whether one of the migrations after the n-th means to change the data of the column: NNNN.changes names such, a line
 * each. */
static bool is_changed_on_purpose(const char *key, int n)
{
        for (int i = n; i < n_migrations; i++) {
                _cleanup_free_ char *list = read_fixture(migrations[i], ".changes");
                char *save = NULL;

                for (char *s = list ? strtok_r(list, "\n", &save) : NULL; s; s = strtok_r(NULL, "\n", &save))
                        if (strncmp(key, s, strlen(s)) == 0 && key[strlen(s)] == ' ')
                                return true;
        }
        return false;
}

/* A column that a migration took away or gave another type is for its own check. */
static void compare(PGresult *before, PGresult *after, int n)
{
        int compared = 0;

        for (int i = 0; i < PQntuples(before); i++) {
                const char *key = PQgetvalue(before, i, 0);
                int k = find(after, key);

                if (k < 0 || is_changed_on_purpose(key, n))
                        continue;
                compared++;
                if (!streq(PQgetvalue(before, i, 1), PQgetvalue(after, k, 1)))
                        fail_msg("from %s: %s was %s and is %s", migrations[n - 1], key, PQgetvalue(before, i, 1),
                                 PQgetvalue(after, k, 1));
        }
        assert_true(compared > 10);
}

static void check(PGconn *pg, int n)
{
        for (int i = 0; i < n; i++) {
                _cleanup_free_ char *sql = read_fixture(migrations[i], ".check.sql");
                PGresult *res;

                if (!sql)
                        continue;
                res = PQexec(pg, sql);
                if (PQresultStatus(res) != PGRES_TUPLES_OK)
                        fail_msg("%s: %s", migrations[i], PQerrorMessage(pg));
                if (PQntuples(res) > 0)
                        fail_msg("from %s: %s", migrations[n - 1], PQgetvalue(res, 0, 0));
                PQclear(res);
        }
}

static PGconn *create_database(Postgres *p, const char *database)
{
        char sql[64];

        snprintf(sql, sizeof(sql), "CREATE DATABASE %s", database);
        postgres_query(p, sql);
        return connect_to(p, database);
}

/* As the first version left it. */
static PGconn *create_old_database(Postgres *p, const char *database)
{
        _cleanup_free_ char *dump = read_fixture(migrations[0], ".dump.sql");
        PGconn *pg = create_database(p, database);

        assert_non_null(dump);
        run(pg, dump);
        /* Of a dump's settings. */
        PQfinish(pg);
        return connect_to(p, database);
}

static void from_version(Postgres *p, int n)
{
        PGresult *before, *after;
        char database[32];
        PGconn *pg;

        snprintf(database, sizeof(database), "from_%.4s", migrations[n - 1]);
        pg = create_old_database(p, database);
        for (int i = 2; i <= n; i++) {
                _cleanup_free_ char *data = read_fixture(migrations[i - 1], ".sql");

                migrate(p, database, i);
                if (data)
                        run(pg, data);
        }
        before = PQexec(pg, digests);
        if (PQresultStatus(before) != PGRES_TUPLES_OK)
                fail_msg("%s", PQerrorMessage(pg));
        migrate(p, database, n_migrations);
        after = PQexec(pg, digests);
        assert_int_equal(PQresultStatus(after), PGRES_TUPLES_OK);
        compare(before, after, n);
        check(pg, n);
        PQclear(before);
        PQclear(after);
        PQfinish(pg);
}

static void test_from_every_version(void **state)
{
        for (int n = 1; n <= n_migrations; n++)
                from_version(*state, n);
}

/* A database that was taken over is in nothing other than a new one, partitions of days aside. */
static void test_same_schema(void **state)
{
        Postgres *p = *state;
        char command[1024];

        PQfinish(create_old_database(p, "taken_over"));
        migrate(p, "taken_over", n_migrations);
        PQfinish(create_database(p, "fresh"));
        migrate(p, "fresh", n_migrations);
        snprintf(
                command, sizeof(command),
                "for d in taken_over fresh; do pg_dump -h %1$s -U ssi --schema-only -T 'events_2*' $d"
                " | grep -vE '^--|restrict|events_2|^$' >%1$s/$d.sql || exit 1; done; diff %1$s/taken_over.sql %1$s/fresh.sql >&2",
                p->dir);
        assert_int_equal(system(command), 0);
}

/* Before there was a version to be taken over. */
static void test_too_old(void **state)
{
        _cleanup_free_ char *message = NULL;
        Postgres *p = *state;
        char conninfo[256];
        PGconn *pg;

        pg = create_database(p, "too_old");
        run(pg,
            "CREATE TABLE schema_migrations (version int PRIMARY KEY, name text NOT NULL, applied_at timestamptz DEFAULT now());"
            "INSERT INTO schema_migrations (version, name) VALUES (1, '0001-initial.sql'), (7, '0007-dependencies.sql')");
        snprintf(conninfo, sizeof(conninfo), "host=%s user=ssi dbname=too_old", p->dir);
        assert_int_equal(db_migrate(conninfo, TEST_MIGRATIONS_DIR, &message), -ENOTSUP);
        assert_non_null(strstr(message, "no migration 0008"));
        PQfinish(pg);
}

static const char *value(PGconn *pg, const char *sql)
{
        static char text[64];
        PGresult *res = PQexec(pg, sql);

        assert_int_equal(PQresultStatus(res), PGRES_TUPLES_OK);
        snprintf(text, sizeof(text), "%s", PQgetvalue(res, 0, 0));
        PQclear(res);
        return text;
}

static void write_function(const char *dir, const char *name, const char *sql)
{
        char path[128];
        FILE *f;

        snprintf(path, sizeof(path), "%s/functions/%s", dir, name);
        f = fopen(path, "we");
        assert_non_null(f);
        fputs(sql, f);
        fclose(f);
}

/* Functions are applied when they have changed, all or none, and not by a program that is older than the schema. */
static void test_functions(void **state)
{
        _cleanup_free_ char *message = NULL;
        char dir[64], path[128], conninfo[256];
        Postgres *p = *state;
        PGconn *pg;

        pg = create_database(p, "functions");
        snprintf(conninfo, sizeof(conninfo), "host=%s user=ssi dbname=functions", p->dir);
        make_folder(dir, n_migrations);
        snprintf(path, sizeof(path), "%s/functions", dir);
        assert_return_code(unlink(path), errno);
        assert_return_code(mkdir(path, 0755), errno);
        assert_int_equal(db_migrate(conninfo, dir, &message), -ENOENT);
        free(TAKE_PTR(message));

        write_function(dir, "10-a.sql", "CREATE OR REPLACE FUNCTION a() RETURNS int LANGUAGE sql AS 'SELECT 1';");
        assert_int_equal(db_migrate(conninfo, dir, NULL), 0);
        assert_string_equal(value(pg, "SELECT a()"), "1");
        run(pg, "UPDATE schema_functions SET applied_at = 'epoch'");
        assert_int_equal(db_migrate(conninfo, dir, NULL), 0);
        assert_string_equal(value(pg, "SELECT extract(epoch FROM applied_at)::int FROM schema_functions"), "0");

        write_function(dir, "10-a.sql", "CREATE OR REPLACE FUNCTION a() RETURNS int LANGUAGE sql AS 'SELECT 2';");
        write_function(dir, "20-b.sql", "CREATE FUNCTION b() RETURNS int LANGUAGE sql AS 'SELECT no()';");
        assert_int_equal(db_migrate(conninfo, dir, &message), -EIO);
        assert_non_null(strstr(message, "no()"));
        assert_string_equal(value(pg, "SELECT a()"), "1");

        write_function(dir, "20-b.sql", "CREATE FUNCTION b() RETURNS int LANGUAGE sql AS 'SELECT a()';");
        assert_int_equal(db_migrate(conninfo, dir, NULL), 0);
        assert_string_equal(value(pg, "SELECT b()"), "2");
        assert_string_equal(value(pg, "SELECT count(*) FROM schema_functions"), "1");

        run(pg, "INSERT INTO schema_migrations (version, name) VALUES (9999, 'of the future')");
        write_function(dir, "10-a.sql", "CREATE OR REPLACE FUNCTION a() RETURNS int LANGUAGE sql AS 'SELECT 3';");
        assert_int_equal(db_migrate(conninfo, dir, NULL), 0);
        assert_string_equal(value(pg, "SELECT a()"), "2");
        PQfinish(pg);
        remove_folder(dir);
}

typedef struct Starter {
        char conninfo[256];
        int r;
} Starter;

static void *start(void *userdata)
{
        Starter *s = userdata;

        s->r = db_migrate(s->conninfo, TEST_MIGRATIONS_DIR, NULL);
        return NULL;
}

/* Instances that start at once: one migrates, the others wait for it. */
static void test_at_once(void **state)
{
        Postgres *p = *state;
        pthread_t threads[4];
        Starter starters[ELEMENTSOF(threads)] = {};
        int sum = 0;

        postgres_query(p, "CREATE DATABASE at_once");
        for (size_t i = 0; i < ELEMENTSOF(threads); i++) {
                snprintf(starters[i].conninfo, sizeof(starters[i].conninfo), "host=%s user=ssi dbname=at_once", p->dir);
                assert_int_equal(pthread_create(&threads[i], NULL, start, &starters[i]), 0);
        }
        for (size_t i = 0; i < ELEMENTSOF(threads); i++) {
                pthread_join(threads[i], NULL);
                assert_return_code(starters[i].r, 0);
                sum += starters[i].r;
        }
        assert_int_equal(sum, n_migrations);
}

/* A step that fails leaves the data as they were, with the steps before it. */
static void test_failure(void **state)
{
        char dir[64], path[512], conninfo[256];
        _cleanup_free_ char *message = NULL;
        Postgres *p = *state;
        PGresult *before, *after;
        PGconn *pg;
        FILE *f;

        pg = create_old_database(p, "failure");
        migrate(p, "failure", n_migrations);
        before = PQexec(pg, digests);

        make_folder(dir, n_migrations);
        snprintf(path, sizeof(path), "%s/9000-breaks.sql", dir);
        f = fopen(path, "we");
        assert_non_null(f);
        fputs("DELETE FROM events; ALTER TABLE users DROP COLUMN email; SELECT 1 / 0;", f);
        fclose(f);
        snprintf(path, sizeof(path), "%s/8999-works.sql", dir);
        f = fopen(path, "we");
        assert_non_null(f);
        fputs("CREATE TABLE works ();", f);
        fclose(f);
        snprintf(conninfo, sizeof(conninfo), "host=%s user=ssi dbname=failure", p->dir);
        assert_int_equal(db_migrate(conninfo, dir, &message), -EIO);
        assert_non_null(strstr(message, "9000-breaks.sql"));
        remove_folder(dir);

        assert_string_equal(
                value(pg, "SELECT string_agg(version::text, ' ') FROM schema_migrations WHERE version > 8000"), "8999");
        assert_string_equal(value(pg, "SELECT to_regclass('works') IS NOT NULL"), "t");
        after = PQexec(pg, digests);
        assert_int_equal(PQntuples(before), PQntuples(after));
        compare(before, after, n_migrations);
        PQclear(before);
        PQclear(after);
        PQfinish(pg);
}

/* An installation that lost its files must not be taken for one that is up to date. */
static void test_none(void **state)
{
        _cleanup_free_ char *message = NULL;
        char dir[64];

        make_folder(dir, 0);
        assert_int_equal(db_migrate("host=/nonexistent", dir, &message), -ENOENT);
        assert_non_null(strstr(message, "contains no migrations"));
        remove_folder(dir);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_from_every_version),
                cmocka_unit_test(test_same_schema),
                cmocka_unit_test(test_too_old),
                cmocka_unit_test(test_functions),
                cmocka_unit_test(test_at_once),
                cmocka_unit_test(test_failure),
                cmocka_unit_test(test_none),
        };

        list_migrations();
        return cmocka_run_group_tests(tests, postgres_setup, postgres_teardown);
}
