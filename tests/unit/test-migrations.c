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

/* For each version N of the schema: a database is brought to it step by step, with the data of tests/fixtures/schema/NNNN.sql
 * put in at each step as that version would have, and is then migrated to the newest at once. All that was there must be
 * there, column by column, except for what NNNN.changes names, and NNNN.check.sql must find nothing wrong. A migration without fixtures is tested with the data of
 * those before it. */

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
        " AND c.relname <> 'schema_migrations' AND a.attnum > 0 AND NOT a.attisdropped ORDER BY 1";

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

static void from_version(Postgres *p, int n)
{
        PGresult *before, *after;
        char database[32], sql[64];
        PGconn *pg;

        snprintf(database, sizeof(database), "from_%.4s", migrations[n - 1]);
        snprintf(sql, sizeof(sql), "CREATE DATABASE %s", database);
        postgres_query(p, sql);
        pg = connect_to(p, database);
        for (int i = 1; i <= n; i++) {
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
        _cleanup_free_ char *data = read_fixture(migrations[0], ".sql"), *message = NULL;
        Postgres *p = *state;
        PGresult *before, *after;
        PGconn *pg;
        FILE *f;

        postgres_query(p, "CREATE DATABASE failure");
        pg = connect_to(p, "failure");
        migrate(p, "failure", 1);
        run(pg, data);
        migrate(p, "failure", n_migrations);
        before = PQexec(pg, digests);

        make_folder(dir, n_migrations);
        snprintf(path, sizeof(path), "%s/9000-breaks.sql", dir);
        f = fopen(path, "we");
        assert_non_null(f);
        fputs("DELETE FROM events; ALTER TABLE users DROP COLUMN email; SELECT 1 / 0;", f);
        fclose(f);
        snprintf(conninfo, sizeof(conninfo), "host=%s user=ssi dbname=failure", p->dir);
        assert_int_equal(db_migrate(conninfo, dir, &message), -EIO);
        assert_non_null(strstr(message, "9000-breaks.sql"));
        remove_folder(dir);

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
        assert_non_null(strstr(message, "holds no migrations"));
        remove_folder(dir);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_from_every_version),
                cmocka_unit_test(test_at_once),
                cmocka_unit_test(test_failure),
                cmocka_unit_test(test_none),
        };

        list_migrations();
        return cmocka_run_group_tests(tests, postgres_setup, postgres_teardown);
}
