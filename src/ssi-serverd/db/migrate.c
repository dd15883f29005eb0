/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include <libpq-fe.h>

#include "db/hosts.h"
#include "db/migrate.h"
#include "shared/io-util.h"
#include "shared/time-util.h"

/* Any number that nothing else locks in this database: "SSI" in ASCII. */
#define MIGRATION_LOCK     "5461833"
#define LOCK_TIMEOUT       "30s"
#define MIGRATION_FILE_MAX (1024 * 1024)
#define FUNCTIONS_DIR      "functions"

DEFINE_CLEANUP(PGconn *, PQfinish);
DEFINE_CLEANUP(PGresult *, PQclear);

static void strv_freep(char ***l)
{
        if (!*l)
                return;
        for (char **s = *l; *s; s++)
                free(*s);
        free(*l);
}

static int fail(PGconn *pg, int error, const char *what, char **ret_message)
{
        const char *message = error == -EBUSY ? "another instance is changing the schema" :
                              error == -EROFS ? "session is read-only" :
                              pg              ? PQerrorMessage(pg) :
                                                "out of memory";

        if (isempty(message))
                message = "it takes too long";
        if (ret_message && asprintf(ret_message, "%s: %.*s", what, (int) strcspn(message, "\n"), message) < 0)
                *ret_message = NULL;
        return error;
}

static int run(PGconn *pg, const char *sql)
{
        _cleanup_(PQclearp) PGresult *res = PQexec(pg, sql);
        ExecStatusType status = PQresultStatus(res);

        return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK ? 0 : -EIO;
}

/* A transaction that only one instance has at a time. The lock belongs to the transaction, not to the session, of which a pooler
 * might keep it. Nothing in it waits long for a table, because all that comes later would wait for it. -EBUSY: it is taken. */
static int begin(PGconn *pg)
{
        _cleanup_(PQclearp) PGresult *res = NULL;
        const char *state;

        if (run(pg, "BEGIN") < 0 || run(pg, "SET LOCAL lock_timeout = '" LOCK_TIMEOUT "'") < 0)
                return -EIO;
        res = PQexec(pg, "SELECT pg_advisory_xact_lock(" MIGRATION_LOCK ")");
        if (PQresultStatus(res) == PGRES_TUPLES_OK)
                return 0;
        state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
        return state && streq(state, "55P03") ? -EBUSY : -EIO;
}

static int is_migration(const struct dirent *d)
{
        for (int i = 0; i < 4; i++)
                if (d->d_name[i] < '0' || d->d_name[i] > '9')
                        return 0;
        return d->d_name[4] == '-' && endswith(d->d_name, ".sql") != NULL;
}

static int is_sql(const struct dirent *d)
{
        return d->d_name[0] != '.' && endswith(d->d_name, ".sql") != NULL;
}

/* Lists the names in order, with NULL at the end. */
static int list_files(const char *dir, int (*filter)(const struct dirent *d), char ***ret)
{
        _cleanup_(strv_freep) char **names = NULL;
        struct dirent **entries;
        int n, r = 0;

        n = scandir(dir, &entries, filter, alphasort);
        if (n < 0)
                return -errno;
        names = calloc((size_t) n + 1, sizeof(*names));
        for (int i = 0; i < n; i++) {
                if (names && r == 0) {
                        names[i] = strdup(entries[i]->d_name);
                        if (!names[i])
                                r = -ENOMEM;
                }
                free(entries[i]);
        }
        free(entries);
        if (!names || r < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(names);
        return 0;
}

int db_migration_range(const char *migrations_dir, int *ret_oldest, int *ret_newest)
{
        _cleanup_(strv_freep) char **names = NULL;
        char **name;
        int r;

        r = list_files(migrations_dir, is_migration, &names);
        if (r < 0)
                return r;
        if (!*names)
                return -ENOENT;
        for (name = names; name[1]; name++)
                ;
        *ret_oldest = (int) strtol(*names, NULL, 10);
        *ret_newest = (int) strtol(*name, NULL, 10);
        return 0;
}

static int read_file(const char *dir, const char *name, char **ret)
{
        _cleanup_free_ char *path = NULL, *text = NULL;
        _cleanup_close_ int fd = -EBADF;
        size_t n;
        int r;

        if (asprintf(&path, "%s/%s", dir, name) < 0)
                return -ENOMEM;
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        r = read_at_most(fd, MIGRATION_FILE_MAX + 1, &text, &n);
        if (r < 0)
                return r;
        if (n > MIGRATION_FILE_MAX)
                return -EFBIG;
        *ret = TAKE_PTR(text);
        return 0;
}

static int is_applied(PGconn *pg, const char *version)
{
        _cleanup_(PQclearp) PGresult *res = NULL;

        res = PQexecParams(pg, "SELECT FROM schema_migrations WHERE version = $1::int", 1, NULL, &version, NULL, NULL,
                           0);
        if (PQresultStatus(res) != PGRES_TUPLES_OK)
                return -EIO;
        return PQntuples(res) > 0;
}

/* Returns 1 if it was applied now, 0 if it had been before. */
static int apply(PGconn *pg, const char *dir, const char *name)
{
        const char version[] = { name[0], name[1], name[2], name[3], '\0' };
        const char *const params[] = { version, name };
        _cleanup_(PQclearp) PGresult *res = NULL;
        _cleanup_free_ char *sql = NULL;
        int r;

        r = is_applied(pg, version);
        if (r != 0)
                return r < 0 ? r : 0;
        r = read_file(dir, name, &sql);
        if (r < 0)
                return r;
        r = begin(pg);
        if (r < 0)
                return r;
        r = is_applied(pg, version);
        if (r != 0)
                return r < 0 ? r : run(pg, "COMMIT");
        if (run(pg, sql) < 0)
                return -EIO;
        res = PQexecParams(pg, "INSERT INTO schema_migrations (version, name) VALUES ($1::int, $2)", 2, NULL, params,
                           NULL, NULL, 0);
        /* A migration may have left stubs where functions were. */
        if (PQresultStatus(res) != PGRES_COMMAND_OK || run(pg, "DELETE FROM schema_functions") < 0 ||
            run(pg, "COMMIT") < 0)
                return -EIO;
        return 1;
}

/* The number of the database's last migration, 0 for none. -ENOTSUP when it has migrations, but not our
 * first one: upgrades start there. */
static int database_version(PGconn *pg, const char *first)
{
        _cleanup_(PQclearp) PGresult *res = NULL;

        res = PQexecParams(pg,
                           "SELECT coalesce(max(version), 0), coalesce(bool_or(version = left($1, 4)::int), true)"
                           " FROM schema_migrations",
                           1, NULL, &first, NULL, NULL, 0);
        if (PQresultStatus(res) != PGRES_TUPLES_OK)
                return -EIO;
        return *PQgetvalue(res, 0, 1) == 't' ? (int) strtol(PQgetvalue(res, 0, 0), NULL, 10) : -ENOTSUP;
}

/* ---- Functions and triggers ---- */

static int functions_are_applied(PGconn *pg, const char *text)
{
        _cleanup_(PQclearp) PGresult *res = NULL;

        res = PQexecParams(pg, "SELECT FROM schema_functions WHERE digest = md5($1)", 1, NULL, &text, NULL, NULL, 0);
        return PQresultStatus(res) == PGRES_TUPLES_OK ? PQntuples(res) > 0 : -EIO;
}

static int functions_apply(PGconn *pg, const char *text)
{
        _cleanup_(PQclearp) PGresult *res = NULL;
        int r;

        r = begin(pg);
        if (r >= 0)
                r = functions_are_applied(pg, text);
        if (r != 0)
                return r < 0 ? r : run(pg, "COMMIT");
        if (run(pg, text) < 0 || run(pg, "DELETE FROM schema_functions") < 0)
                return -EIO;
        res = PQexecParams(pg, "INSERT INTO schema_functions (digest) VALUES (md5($1))", 1, NULL, &text, NULL, NULL, 0);
        return PQresultStatus(res) == PGRES_COMMAND_OK ? run(pg, "COMMIT") : -EIO;
}

/* Applies all of them, in the order of their names, if they differ from those in the database. */
static int functions_update(PGconn *pg, const char *migrations_dir)
{
        _cleanup_free_ char *dir = NULL, *text = NULL;
        _cleanup_(strv_freep) char **names = NULL;
        int r;

        if (asprintf(&dir, "%s/" FUNCTIONS_DIR, migrations_dir) < 0)
                return -ENOMEM;
        r = list_files(dir, is_sql, &names);
        if (r < 0)
                return r;
        /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): a list that ends with NULL, when r >= 0 */
        for (char **name = names; *name; name++) {
                _cleanup_free_ char *one = NULL, *before = TAKE_PTR(text);

                r = read_file(dir, *name, &one);
                if (r < 0)
                        return r;
                if (asprintf(&text, "%s%s", strempty(before), one) < 0)
                        return -ENOMEM;
        }
        if (!text)
                return -ENOENT;
        r = functions_are_applied(pg, text);
        return r != 0 ? r : functions_apply(pg, text);
}

static int prepare(PGconn *pg)
{
        int r;

        r = begin(pg);
        if (r < 0)
                return r;
        if (run(pg,
                "CREATE TABLE IF NOT EXISTS schema_migrations ("
                "version int PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())") < 0 ||
            run(pg, "CREATE TABLE IF NOT EXISTS schema_functions ("
                    "digest text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())") < 0)
                return -EIO;
        return run(pg, "COMMIT");
}

static void drop_notice(void *arg, const char *message)
{
}

static bool wait_connected(PGconn *pg, uint64_t timeout)
{
        uint64_t end = now_usec(CLOCK_MONOTONIC) + timeout, now;
        PostgresPollingStatusType status =
                PQstatus(pg) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING;

        while (status != PGRES_POLLING_OK) {
                struct pollfd p = { .fd = PQsocket(pg), .events = status == PGRES_POLLING_READING ? POLLIN : POLLOUT };

                now = now_usec(CLOCK_MONOTONIC);
                if (status == PGRES_POLLING_FAILED || now >= end ||
                    poll(&p, 1, (int) ((end - now) / USEC_PER_MSEC) + 1) <= 0)
                        return false;
                status = PQconnectPoll(pg);
        }
        return true;
}

static bool is_right(PGconn *pg, const DbHosts *hosts)
{
        _cleanup_(PQclearp) PGresult *res =
                PQexec(pg, "SELECT current_setting('transaction_read_only')::bool, pg_is_in_recovery()");

        return PQresultStatus(res) == PGRES_TUPLES_OK &&
               !db_hosts_refuse(hosts, *PQgetvalue(res, 0, 0) == 't', *PQgetvalue(res, 0, 1) == 't');
}

/* Of several hosts, each has its own time here, too, and is asked itself whether it is the right one. */
static int connect_to(const char *conninfo, PGconn **ret)
{
        _cleanup_(db_hosts_unrefp) DbHosts *hosts = NULL;
        int r;

        r = db_hosts_new(conninfo, &hosts);
        if (r < 0) {
                *ret = PQconnectdb(conninfo); /* says what is wrong with it */
                return -ENOTCONN;
        }
        for (unsigned i = 0; i < db_hosts_count(hosts); i++) {
                PQfinish(*ret);
                *ret = db_hosts_connect(hosts, i);
                if (wait_connected(*ret, db_hosts_timeout_usec(hosts)) && is_right(*ret, hosts))
                        return 0;
        }
        return PQstatus(*ret) == CONNECTION_OK ? -EROFS : -ENOTCONN;
}

int db_migrate(const char *conninfo, const char *migrations_dir, char **ret_message)
{
        _cleanup_(strv_freep) char **names = NULL;
        _cleanup_(PQfinishp) PGconn *pg = NULL;
        int version, newest = 0, r, n = 0;

        r = list_files(migrations_dir, is_migration, &names);
        if (r < 0) {
                if (ret_message && asprintf(ret_message, "Cannot read %s: %s", migrations_dir, strerror(-r)) < 0)
                        *ret_message = NULL;
                return r;
        }
        /* Without this check, we would serve a database without tables. */
        /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): a list that ends with NULL, when r >= 0 */
        if (!*names) {
                if (ret_message &&
                    asprintf(ret_message, "%s contains no migrations; reinstall SSI", migrations_dir) < 0)
                        *ret_message = NULL;
                return -ENOENT;
        }

        r = connect_to(conninfo, &pg);
        if (r < 0)
                return fail(pg, r, "Cannot connect to the database", ret_message);
        PQsetNoticeProcessor(pg, drop_notice, NULL);

        r = prepare(pg);
        if (r < 0)
                return fail(pg, r, "Cannot prepare the migrations", ret_message);
        version = database_version(pg, *names);
        if (version == -ENOTSUP && ret_message &&
            asprintf(ret_message,
                     "The database was made by a development version and cannot be upgraded (no migration %.4s)",
                     *names) < 0)
                *ret_message = NULL;
        if (version < 0)
                return version == -ENOTSUP ? version :
                                             fail(pg, version, "Cannot read the schema's version", ret_message);

        /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): a list that ends with NULL, when r >= 0 */
        for (char **name = names; *name; name++) {
                r = apply(pg, migrations_dir, *name);
                if (r < 0)
                        return fail(pg, r, *name, ret_message);
                n += r;
                newest = (int) strtol(*name, NULL, 10);
        }
        /* A newer program has already installed its own functions. */
        r = version > newest ? 0 : functions_update(pg, migrations_dir);
        return r < 0 ? fail(pg, r, FUNCTIONS_DIR, ret_message) : n;
}
