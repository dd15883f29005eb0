/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <utlist.h>

#include "subprocess.h"

#define OUTPUT_MAX   (16U * 1024U)
#define TIMEOUT_USEC (10 * USEC_PER_SEC)
#define NOBODY       65534

/* All of it together has to stay well below MemoryMax= of ssid.service. */
#define RUNNING_MAX     3U
#define MEMORY_MAX      (UINT64_C(48) * 1024 * 1024)
#define OPEN_FILES_MAX  64
#define CPU_SECONDS_MAX 5

struct Helpers {
        sd_event *event;
        Subprocess *list; /* in order */
};

struct Subprocess {
        Helpers *helpers;
        uid_t uid;
        char **argv; /* NULL once it has been started */
        const char *input;
        size_t input_len;
        sd_event_source *failed;
        int error;
        pid_t pid;
        int output_fd;
        char output[OUTPUT_MAX + 1];
        size_t n_output;
        bool timed_out;
        sd_event_source *child, *readable, *timer;
        subprocess_done_t done;
        void *userdata;
        Subprocess *prev, *next;
};

int helpers_new(sd_event *event, Helpers **ret)
{
        Helpers *h = calloc(1, sizeof(*h));

        if (!h)
                return -ENOMEM;
        h->event = sd_event_ref(event);
        *ret = h;
        return 0;
}

Helpers *helpers_free(Helpers *h)
{
        if (!h)
                return NULL;
        sd_event_unref(h->event);
        free(h);
        return NULL;
}

sd_event *helpers_event(Helpers *h)
{
        return h->event;
}

static void argv_free(char **argv)
{
        for (size_t i = 0; argv && argv[i]; i++)
                free(argv[i]);
        free(argv);
}

static void start_next(Helpers *h);

Subprocess *subprocess_free(Subprocess *p)
{
        Helpers *h;

        if (!p)
                return NULL;
        h = p->helpers;
        DL_DELETE(h->list, p);
        argv_free(p->argv);
        sd_event_source_disable_unref(p->failed);
        /* Freeing the child source alone would leave a zombie: kill and reap the child here. */
        if (p->child && p->pid > 0) {
                sd_event_source_disable_unref(p->child);
                kill(p->pid, SIGKILL);
                waitpid(p->pid, NULL, 0);
        } else
                sd_event_source_disable_unref(p->child);
        sd_event_source_disable_unref(p->readable);
        sd_event_source_disable_unref(p->timer);
        safe_close(p->output_fd);
        free(p);
        start_next(h);
        return NULL;
}

/* Reads output beyond the limit and drops it, so that the program can end. */
static int read_output(Subprocess *p)
{
        for (;;) {
                size_t room = OUTPUT_MAX - p->n_output;
                char waste[4096];
                ssize_t n;

                n = room > 0 ? read(p->output_fd, p->output + p->n_output, room) :
                               read(p->output_fd, waste, sizeof(waste));
                if (n < 0)
                        return errno == EAGAIN ? 0 : -errno;
                if (n == 0)
                        return 1;
                if (room > 0)
                        p->n_output += (size_t) n;
        }
}

static int on_readable(sd_event_source *s, int fd, uint32_t revents, void *userdata)
{
        Subprocess *p = userdata;

        if (read_output(p) != 0)
                p->readable = sd_event_source_disable_unref(p->readable);
        return 0;
}

static int on_exit_child(sd_event_source *s, const siginfo_t *si, void *userdata)
{
        _cleanup_(subprocess_freep) Subprocess *p = userdata;
        int status;

        p->pid = 0;
        (void) read_output(p);
        p->output[p->n_output] = '\0';
        status = p->timed_out ? -ETIME : si->si_code == CLD_EXITED ? si->si_status : -EIO;
        p->done(status, p->output, p->userdata);
        return 0;
}

static int on_timeout(sd_event_source *s, uint64_t usec, void *userdata)
{
        Subprocess *p = userdata;

        p->timed_out = true;
        kill(p->pid, SIGKILL);
        return 0;
}

static void limit(int resource, rlim_t value)
{
        const struct rlimit l = { .rlim_cur = value, .rlim_max = value };

        (void) setrlimit(resource, &l);
}

/* Should the unit run out of memory all the same: not ssid. */
static void prefer_as_victim(void)
{
        _cleanup_close_ int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

        if (fd >= 0)
                (void) !write(fd, "1000", strlen("1000"));
}

_Noreturn static void child(const char *const *argv, int in, int out)
{
        static char *const environment[] = { (char *) "LC_ALL=C", (char *) "TZ=UTC", (char *) "PATH=/usr/bin:/bin",
                                             NULL };
        sigset_t none;

        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 || dup2(out, STDERR_FILENO) < 0)
                _exit(EXIT_FAILURE);
        if (close_range(3, ~0U, 0) < 0)
                _exit(EXIT_FAILURE);
        limit(RLIMIT_CORE, 0);
        limit(RLIMIT_CPU, CPU_SECONDS_MAX);
        limit(RLIMIT_FSIZE, 0);
        limit(RLIMIT_AS, MEMORY_MAX);
        limit(RLIMIT_NOFILE, OPEN_FILES_MAX);
        prefer_as_victim();
        if (geteuid() == 0 &&
            (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0))
                _exit(EXIT_FAILURE);
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || chdir("/") < 0)
                _exit(EXIT_FAILURE);
        /* NOLINTNEXTLINE(clang-analyzer-core.NonNullParamChecker): what has no program does not come here */
        execve(argv[0], (char *const *) argv, environment);
        _exit(127);
}

/* A memory file accepts any amount of input, so no writer has to be driven. */
static int input_to_fd(const char *input, size_t n)
{
        _cleanup_close_ int fd = -EBADF;

        if (!input) {
                fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
                return fd < 0 ? -errno : TAKE_FD(fd);
        }
        fd = memfd_create("ssi-input", MFD_CLOEXEC);
        if (fd < 0)
                return -errno;
        for (size_t done = 0; done < n;) {
                ssize_t k = write(fd, input + done, n - done);

                if (k < 0)
                        return -errno;
                done += (size_t) k;
        }
        if (lseek(fd, 0, SEEK_SET) < 0)
                return -errno;
        return TAKE_FD(fd);
}

static int start(Subprocess *p)
{
        _cleanup_close_ int in = -EBADF, out = -EBADF;
        sd_event *event = p->helpers->event;
        int fds[2], r;

        in = input_to_fd(p->input, p->input_len);
        if (in < 0)
                return in;
        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        p->output_fd = fds[0];
        out = fds[1];
        if (fcntl(p->output_fd, F_SETFL, O_NONBLOCK) < 0)
                return -errno;

        p->pid = fork();
        if (p->pid < 0)
                return -errno;
        if (p->pid == 0)
                child((const char *const *) p->argv, in, out);
        argv_free(p->argv);
        p->argv = NULL;

        r = sd_event_add_child(event, &p->child, p->pid, WEXITED, on_exit_child, p);
        if (r < 0) {
                kill(p->pid, SIGKILL);
                waitpid(p->pid, NULL, 0);
                p->pid = 0;
                return r;
        }
        r = sd_event_add_io(event, &p->readable, p->output_fd, EPOLLIN, on_readable, p);
        if (r < 0)
                return r;
        return sd_event_add_time_relative(event, &p->timer, CLOCK_MONOTONIC, TIMEOUT_USEC, 0, on_timeout, p);
}

/* ---- Turns ---- */

static int on_failed(sd_event_source *s, void *userdata)
{
        _cleanup_(subprocess_freep) Subprocess *p = userdata;

        p->done(p->error, "", p->userdata);
        return 0;
}

/* Waits for no turn, and has had none that failed. */
static bool is_running(const Subprocess *p)
{
        return !p->argv && !p->failed;
}

static bool may_start(const Helpers *h, const Subprocess *p)
{
        unsigned all = 0, same_user = 0;
        const Subprocess *i;

        DL_FOREACH(h->list, i) {
                all += is_running(i);
                same_user += is_running(i) && i->uid == p->uid;
        }
        return all < RUNNING_MAX && (p->uid == 0 || same_user == 0);
}

static void start_next(Helpers *h)
{
        Subprocess *p;

        DL_FOREACH(h->list, p) {
                if (!p->argv || p->failed || !may_start(h, p))
                        continue;
                p->error = start(p);
                if (p->error < 0 && sd_event_add_defer(h->event, &p->failed, on_failed, p) < 0)
                        sd_event_exit(h->event, p->error);
        }
}

static char **argv_copy(const char *const *argv)
{
        size_t n = 0;
        char **copy;

        while (argv[n])
                n++;
        copy = calloc(n + 1, sizeof(*copy));
        for (size_t i = 0; copy && i < n; i++) {
                copy[i] = strdup(argv[i]);
                if (!copy[i]) {
                        argv_free(copy);
                        return NULL;
                }
        }
        return copy;
}

int subprocess_start(Helpers *h, uid_t uid, const char *const *argv, const char *input, size_t input_len,
                     subprocess_done_t done, void *userdata, Subprocess **ret)
{
        Subprocess *p = calloc(1, sizeof(*p));

        if (!p)
                return -ENOMEM;
        p->argv = argv_copy(argv);
        if (!p->argv) {
                free(p);
                return -ENOMEM;
        }
        p->helpers = h;
        p->uid = uid;
        p->input = input;
        p->input_len = input_len;
        p->output_fd = -EBADF;
        p->done = done;
        p->userdata = userdata;
        DL_APPEND(h->list, p);
        *ret = p;
        start_next(h);
        return 0;
}
