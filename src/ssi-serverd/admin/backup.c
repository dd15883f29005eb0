/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sodium.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "admin/internal.h"
#include "shared/bus-owner.h"
#include "shared/log.h"
#include "db/pg-program.h"
#include "admin/restore.sql.h"
#include "core/schema.h"

/* A backup is pg_dump writing to the caller's descriptor. A restore is pg_restore reading the caller's descriptor,
 * piped into psql, which runs everything in one transaction:
 *
 * 1. Requests are answered with 503; sessions, streams and our connections to the database are closed.
 * 2. restore_before drops the current data; then comes the backup; restore_after checks that it is a backup of ours, of
 *    a version that we know, and fences all sessions; restore_clean removes what code it brought. A failure anywhere leaves
 *    the database unchanged.
 * 3. To psql, a pg_restore that dies looks like the end of a complete one. So we hold the pipe between them open, and
 *    once pg_restore has succeeded, write a last statement without which restore_after refuses.
 * 4. The connections of other instances are closed, and the migrations run, which apply our functions and triggers again.
 *    The caller gets its answer when the server is ready. */

#define LINE_MAX_SIZE 1024U
#define IN_PROGRESS   "A backup or restore is already in progress."

#define RESTRICT_OPTION  "--restrict-key"
#define RESTRICT_KEY_MAX (sizeof(RESTRICT_OPTION "=") + 32)

enum {
        CHILD_MAIN,  /* pg_dump or psql: the job ends with it */
        CHILD_INPUT, /* pg_restore */
        CHILDREN_MAX,
};

struct AdminJob {
        Admin *admin;
        AdminCall *call;
        bool restore;
        bool ended; /* restored; waits until the server is ready */
        pid_t pids[CHILDREN_MAX];
        sd_event_source *children[CHILDREN_MAX];
        BusOwner *caller;

        int pipe_fd; /* to psql */
        sd_event_source *pipe_source;

        int error_fd;
        sd_event_source *error_source;
        char line[LINE_MAX_SIZE];
        size_t line_size;
        char error[LINE_MAX_SIZE]; /* the first error of any child */
};

static void kill_children(AdminJob *j)
{
        for (size_t i = 0; i < CHILDREN_MAX; i++)
                if (j->pids[i] > 0)
                        kill(j->pids[i], SIGKILL);
}

static AdminJob *job_free(AdminJob *j)
{
        if (!j)
                return NULL;
        kill_children(j);
        for (size_t i = 0; i < CHILDREN_MAX; i++) {
                sd_event_source_disable_unref(j->children[i]);
                if (j->pids[i] > 0)
                        waitpid(j->pids[i], NULL, 0);
        }
        sd_event_source_disable_unref(j->pipe_source);
        sd_event_source_disable_unref(j->error_source);
        safe_close(j->pipe_fd);
        safe_close(j->error_fd);
        bus_owner_free(j->caller);
        admin_call_free(j->call);
        free(j);
        return NULL;
}
DEFINE_CLEANUP(AdminJob *, job_free);

AdminJob *admin_job_free(AdminJob *j)
{
        return job_free(j);
}

/* ---- Messages of the children ---- */

/* Of pg_restore and of psql. */
static bool knows_no_keys(const char *line)
{
        return (strstr(line, "unrecognized option") && strstr(line, RESTRICT_OPTION)) ||
               (strstr(line, "invalid command") && strstr(line, "restrict"));
}

/* "pg_dump: dumping contents of table "public.users"" */
static void on_line(AdminJob *j, char *line)
{
        const char *step = strstr(line, ": ");

        if (j->restore && knows_no_keys(line)) {
                if (isempty(j->error))
                        snprintf(
                                j->error, sizeof(j->error),
                                "PostgreSQL's pg_restore and psql are too old: a doctored backup could run programs. Install "
                                "release 13.22, 14.19, 15.14, 16.10, 17.6 or later of both.");
                return;
        }
        if (strstr(line, "rror: ") || strstr(line, "ERROR: ") || strstr(line, "FATAL: ")) {
                if (isempty(j->error))
                        snprintf(j->error, sizeof(j->error), "%s", line);
                return;
        }
        if (!step || !startswith(line, "pg_"))
                return;
        (void) sd_bus_emit_signal(j->admin->bus, SERVER_PATH, SERVER_INTERFACE, "Progress", "ss",
                                  j->restore ? "restore" : "backup", step + 2);
}

static int read_errors(AdminJob *j)
{
        for (;;) {
                ssize_t n = read(j->error_fd, j->line + j->line_size, sizeof(j->line) - 1 - j->line_size);
                char *begin = j->line, *end;

                if (n < 0)
                        return errno == EAGAIN ? 0 : -errno;
                if (n == 0)
                        return 1;
                j->line_size += (size_t) n;
                j->line[j->line_size] = '\0';
                while ((end = strchr(begin, '\n'))) {
                        *end = '\0';
                        on_line(j, begin);
                        begin = end + 1;
                }
                j->line_size -= (size_t) (begin - j->line);
                /* A line that does not fit is dropped. */
                if (j->line_size == sizeof(j->line) - 1)
                        j->line_size = 0;
                memmove(j->line, begin, j->line_size);
        }
}

static int on_errors(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
        AdminJob *j = userdata;

        if (read_errors(j) != 0)
                j->error_source = sd_event_source_disable_unref(j->error_source);
        return 0;
}

/* ---- The end ---- */

static void job_end(AdminJob *j_taken, bool well)
{
        _cleanup_(job_freep) AdminJob *j = j_taken;
        Admin *a = j->admin;

        if (j->restore && !j->ended) {
                schema_end_restore(a->backend, well);
                if (well) {
                        j->ended = true;
                        (void) TAKE_PTR(j);
                        return;
                }
        }
        a->job = NULL;
        if (well) {
                log_notice(j->restore ? "Restored a backup." : "Wrote a backup.");
                admin_reply(j->call, "");
        } else {
                const char *what = isempty(j->error) ? "it was interrupted" : j->error, *text;

                /* Without the prefix of program, file and line. */
                text = strstr(what, "ERROR:  ");
                if (j->restore)
                        a->failed_restore_by = TAKE_PTR(j->call->actor);
                else
                        admin_audit(a, "backup.failed", "failed", j->call->actor);
                log_warning("The %s failed: %s", j->restore ? "restore" : "backup", what);
                admin_reply_error(j->call, j->restore ? "RestoreFailed" : "BackupFailed", "%s",
                                  text ? text + strlen("ERROR:  ") : what);
        }
}

void admin_job_ready_changed(AdminJob *j)
{
        if (j && j->ended && backend_is_ready(j->admin->backend))
                job_end(j, true);
}

static int on_marker(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
        static const char marker[] = "\n" SQL_restore_complete "\n";
        AdminJob *j = userdata;
        ssize_t n;

        n = write(fd, marker, strlen(marker));
        if (n < 0 && errno == EAGAIN)
                return 0;
        j->pipe_source = sd_event_source_disable_unref(j->pipe_source);
        j->pipe_fd = safe_close(j->pipe_fd);
        return 0;
}

static int on_child(sd_event_source *s, const siginfo_t *si, void *userdata)
{
        bool well = si->si_code == CLD_EXITED && si->si_status == 0;
        AdminJob *j = userdata;

        (void) read_errors(j);
        if (s == j->children[CHILD_MAIN]) {
                j->pids[CHILD_MAIN] = 0;
                job_end(j, well && j->pids[CHILD_INPUT] == 0);
                return 0;
        }
        j->pids[CHILD_INPUT] = 0;
        /* No other process writes to the pipe any more: from here on it may be non-blocking. */
        if (!well || fcntl(j->pipe_fd, F_SETFL, O_WRONLY | O_NONBLOCK) < 0 ||
            sd_event_add_io(j->admin->backend->event, &j->pipe_source, j->pipe_fd, EPOLLOUT, on_marker, j) < 0)
                kill(j->pids[CHILD_MAIN], SIGKILL);
        return 0;
}

static void on_caller(const char *owner, void *userdata)
{
        if (!owner)
                kill_children(userdata);
}

void admin_job_abandon(AdminJob *j)
{
        if (j)
                kill_children(j);
}

/* ---- The start ---- */

static int add_child(AdminJob *j, int which)
{
        return sd_event_add_child(j->admin->backend->event, &j->children[which], j->pids[which], WEXITED, on_child, j);
}

static int start_backup(AdminJob *j, int fd, int error_fd)
{
        static const char *const args[] = { "--format=custom", "--no-owner",    "--no-privileges",
                                            "--verbose",       "--no-password", NULL };
        int r;

        r = pg_program_start("pg_dump", args, j->admin->backend->config->database_url, -1, fd, error_fd,
                             &j->pids[CHILD_MAIN]);
        return r < 0 ? r : add_child(j, CHILD_MAIN);
}

/* With a key that the backup cannot know, psql takes no backslash commands from it: they could run programs. An older
 * pg_restore or psql knows no such keys and fails: see on_line(). */
static void make_restrict_key(char ret[static RESTRICT_KEY_MAX])
{
        snprintf(ret, RESTRICT_KEY_MAX, RESTRICT_OPTION "=%08" PRIx32 "%08" PRIx32 "%08" PRIx32 "%08" PRIx32,
                 randombytes_random(), randombytes_random(), randombytes_random(), randombytes_random());
}

static int start_restore(AdminJob *j, int fd, int error_fd)
{
        _cleanup_close_ int read_end = -EBADF;
        int fds[2], oldest, newest, r;
        char known[256], restrict_key[RESTRICT_KEY_MAX];

        r = schema_range(j->admin->backend, &oldest, &newest);
        if (r < 0)
                return r;
        make_restrict_key(restrict_key);
        /* The actor is JSON of ours, without a quote. */
        snprintf(known, sizeof(known), "SET ssi.oldest = '%d'; SET ssi.newest = '%d'; SET ssi.actor = '%s'", oldest,
                 newest, j->call->actor);

        const char *restore_args[] = { "--no-owner", "--no-privileges", "--verbose", "--file=-", restrict_key, NULL };
        const char *psql_args[] = { "--no-psqlrc",
                                    "--quiet",
                                    "--no-password",
                                    "--set=ON_ERROR_STOP=1",
                                    "-c",
                                    "BEGIN",
                                    "-c",
                                    known,
                                    "-c",
                                    SQL_restore_before,
                                    "--file=-",
                                    "-c",
                                    SQL_restore_after,
                                    "-c",
                                    SQL_restore_clean,
                                    "-c",
                                    "COMMIT",
                                    "-c",
                                    SQL_restore_terminate,
                                    NULL };

        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        read_end = fds[0];
        j->pipe_fd = fds[1];
        r = pg_program_start("pg_restore", restore_args, NULL, fd, j->pipe_fd, error_fd, &j->pids[CHILD_INPUT]);
        if (r < 0)
                return r;
        r = add_child(j, CHILD_INPUT);
        if (r < 0)
                return r;
        r = pg_program_start("psql", psql_args, j->admin->backend->config->database_url, read_end, -1, error_fd,
                             &j->pids[CHILD_MAIN]);
        return r < 0 ? r : add_child(j, CHILD_MAIN);
}

static int job_new(Admin *a, sd_bus_message *m, bool restore, int fd, AdminJob **ret)
{
        _cleanup_(job_freep) AdminJob *j = NULL;
        _cleanup_close_ int error_fd = -EBADF;
        int fds[2], r;

        j = calloc(1, sizeof(*j));
        if (!j)
                return -ENOMEM;
        *j = (AdminJob){ .admin = a, .restore = restore, .pipe_fd = -EBADF, .error_fd = -EBADF };
        r = admin_call_new(a, m, &j->call);
        if (r < 0)
                return r;
        r = bus_owner_new(a->bus, sd_bus_message_get_sender(m), on_caller, j, &j->caller);
        if (r < 0)
                return r;
        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        j->error_fd = fds[0];
        error_fd = fds[1];
        if (fcntl(j->error_fd, F_SETFL, O_NONBLOCK) < 0)
                return -errno;
        r = sd_event_add_io(a->backend->event, &j->error_source, j->error_fd, EPOLLIN, on_errors, j);
        if (r >= 0)
                r = restore ? start_restore(j, fd, error_fd) : start_backup(j, fd, error_fd);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(j);
        return 0;
}

/* An open file, pipe or socket with the right direction. */
static bool is_usable(int fd, bool restore)
{
        int flags = fcntl(fd, F_GETFL), mode = flags & O_ACCMODE;
        struct stat st;

        return flags >= 0 && !(flags & O_PATH) && (mode == O_RDWR || mode == (restore ? O_RDONLY : O_WRONLY)) &&
               fstat(fd, &st) >= 0 && !S_ISDIR(st.st_mode);
}

static void start(AdminCall *c, bool restore, int fd)
{
        Admin *a = c->admin;
        int r;

        r = job_new(a, c->m, restore, fd, &a->job);
        if (r == -ENOENT)
                admin_reply_error(c, restore ? "RestoreFailed" : "BackupFailed",
                                  "PostgreSQL's client programs (pg_dump, pg_restore, psql) are not installed.");
        else if (r < 0)
                admin_reply_error(c, restore ? "RestoreFailed" : "BackupFailed", "Cannot start it: %s", strerror(-r));
        else {
                log_notice(restore ? "Restoring a backup." : "Writing a backup.");
                if (restore)
                        schema_begin_restore(a->backend);
        }
}

/* What leaves the database is recorded first: there is no way back. A restore is recorded by its own transaction. */
static void backup_recorded(AdminCall *c, PGresult *res, int error)
{
        int fd;

        if (error < 0)
                admin_reply_failure(c, res, error);
        else if (c->admin->job)
                admin_reply_error(c, "InProgress", IN_PROGRESS);
        else if (sd_bus_message_rewind(c->m, true) < 0 || sd_bus_message_read(c->m, "h", &fd) < 0)
                admin_reply_error(c, "BackupFailed", "Cannot read the file descriptor again.");
        else
                start(c, false, fd);
}

static int method_start(sd_bus_message *m, Admin *a, bool restore, sd_bus_error *error)
{
        AdminCall *c;
        int fd, r;

        r = admin_method_begin(a, m, error, "h", &fd);
        if (r != 0)
                return r;
        r = admin_read_no_options(m, error);
        if (r < 0)
                return r;
        if (a->job)
                return sd_bus_error_set(error, SERVER_ERROR_PREFIX "InProgress", IN_PROGRESS);
        if (!is_usable(fd, restore))
                return sd_bus_error_setf(error, SERVER_ERROR_PREFIX "InvalidFile", "The file is not open for %s.",
                                         restore ? "reading" : "writing");
        r = admin_call_new(a, m, &c);
        if (r < 0)
                return r;
        if (restore) {
                start(c, true, fd);
                admin_call_free(c);
        } else
                admin_audit_before(c, "backup.started", backup_recorded);
        return 1;
}

int admin_method_backup(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return method_start(m, userdata, false, error);
}

int admin_method_restore(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
        return method_start(m, userdata, true, error);
}
