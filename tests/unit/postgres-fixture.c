/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "test.h"

#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "db/db.h"
#include "db/migrate.h"
#include "postgres-fixture.h"
#include "shared/util.h"

#define MAYBE_USER       "postgres"
#define POSTGRES_CLUSTER TEST_MIGRATIONS_DIR "/../../../../tests/unit/postgres-cluster"

static uint64_t now_usec(void)
{
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t) ts.tv_sec * USEC_PER_SEC + (uint64_t) ts.tv_nsec / 1000;
}

/* PostgreSQL refuses to run as root. */
static struct passwd *unprivileged_user(void)
{
        /* cppcheck-suppress getpwnamCalled ; no threads yet */
        return getpwnam(MAYBE_USER) ?: getpwnam("nobody");
}

static void find_program(const char *name, char path[static 256])
{
        char pattern[128];
        glob_t g;

        snprintf(pattern, sizeof(pattern), "/usr/lib/postgresql/*/bin/%s", name);
        if (glob(pattern, 0, NULL, &g) != 0)
                fail_msg("no %s", pattern);
        snprintf(path, 256, "%s", g.gl_pathv[g.gl_pathc - 1]);
        globfree(&g);
}

static pid_t spawn(Postgres *p, char *argv[])
{
        char path[256], log[128];
        pid_t pid;

        find_program(argv[0], path);
        snprintf(log, sizeof(log), "%s/log", p->dir);
        pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                struct passwd *pw = unprivileged_user();
                int fd;

                if (geteuid() == 0 && pw &&
                    (setgroups(0, NULL) < 0 || setgid(pw->pw_gid) < 0 || setuid(pw->pw_uid) < 0))
                        _exit(126);
                prctl(PR_SET_PDEATHSIG, SIGINT);
                if (chdir("/") < 0)
                        _exit(126);
                fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
                if (fd >= 0) {
                        dup2(fd, STDOUT_FILENO);
                        dup2(fd, STDERR_FILENO);
                }
                setenv("LC_ALL", "C.UTF-8", 1);
                /* Its programs look for one another beside the path they were called by. */
                argv[0] = path;
                execv(path, argv);
                _exit(127);
        }
        return pid;
}

void postgres_start(Postgres *p)
{
        char data[80];
        char *argv[] = { (char *) "postgres",
                         (char *) "-D",
                         data,
                         (char *) "-k",
                         p->dir,
                         (char *) "-c",
                         (char *) "listen_addresses=",
                         (char *) "-c",
                         (char *) "max_connections=80",
                         NULL };

        snprintf(data, sizeof(data), "%s/data", p->dir);
        p->pid = spawn(p, argv);
        for (int i = 0; PQping(p->conninfo) != PQPING_OK; i++) {
                if (i > 1000)
                        fail_msg("PostgreSQL does not start: see %s/log", p->dir);
                usleep(20 * 1000);

                /* After a crash it refuses to start until the last orphaned backend has noticed. */
                if (waitpid(p->pid, NULL, WNOHANG) == p->pid)
                        p->pid = spawn(p, argv);
        }
}

static void disconnect(Postgres *p)
{
        PQfinish(p->connection);
        p->connection = NULL;
}

static void postgres_stop(Postgres *p, int sig)
{
        disconnect(p);
        if (p->pid <= 0)
                return;
        kill(p->pid, sig);
        waitpid(p->pid, NULL, 0);
        p->pid = 0;
}

void postgres_crash(Postgres *p)
{
        postgres_stop(p, SIGKILL);
        postgres_start(p);
}

int postgres_setup(void **state)
{
        static Postgres p;
        struct passwd *pw = unprivileged_user();
        _cleanup_free_ char *command = NULL, *message = NULL;

        strcpy(p.dir, "/tmp/ssi-test-pg-XXXXXX");
        assert_non_null(mkdtemp(p.dir));
        if (geteuid() == 0 && pw)
                assert_return_code(chown(p.dir, pw->pw_uid, pw->pw_gid), errno);
        snprintf(p.conninfo, sizeof(p.conninfo), "host=%s user=ssi dbname=postgres", p.dir);
        assert_return_code(asprintf(&command, "'" POSTGRES_CLUSTER "' '%s' >'%s/initdb.log' 2>&1", p.dir, p.dir),
                           errno);
        if (system(command) != 0)
                fail_msg("there is no cluster: see %s/initdb.log", p.dir);
        postgres_start(&p);
        if (db_migrate(p.conninfo, TEST_MIGRATIONS_DIR, &message) < 0)
                fail_msg("%s", message);
        *state = &p;
        return 0;
}

int postgres_teardown(void **state)
{
        _cleanup_free_ char *command = NULL;
        Postgres *p = *state;

        postgres_stop(p, SIGINT);
        assert_true(asprintf(&command, "rm -rf '%s'", p->dir) > 0);
        return system(command);
}

const char *postgres_query(Postgres *p, const char *sql)
{
        static char value[8192];
        PGresult *res;

        if (!p->connection)
                p->connection = PQconnectdb(p->conninfo);
        res = PQexec(p->connection, sql);
        if (PQresultStatus(res) != PGRES_TUPLES_OK && PQresultStatus(res) != PGRES_COMMAND_OK)
                fail_msg("%s: %s", sql, PQerrorMessage(p->connection));
        snprintf(value, sizeof(value), "%s", PQntuples(res) > 0 ? PQgetvalue(res, 0, 0) : "");
        PQclear(res);
        return value;
}

Db *postgres_pool(sd_event *event, const char *conninfo, unsigned n_connections)
{
        _cleanup_(db_hosts_unrefp) DbHosts *hosts = NULL;
        Db *db;

        assert_return_code(db_hosts_new(conninfo, &hosts), 0);
        assert_return_code(db_new(event, hosts, n_connections, &db), 0);
        return db;
}

void loop_until(sd_event *event, const bool *done)
{
        uint64_t end = now_usec() + 10 * USEC_PER_SEC;

        while (!*done) {
                if (now_usec() > end)
                        fail_msg("nothing happened in 10 s");
                assert_return_code(sd_event_run(event, 100 * USEC_PER_MSEC), errno);
        }
}

void loop_for(sd_event *event, uint64_t usec)
{
        uint64_t end = now_usec() + usec, now;

        while ((now = now_usec()) < end)
                assert_return_code(sd_event_run(event, end - now), errno);
}
