/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <systemd/sd-login.h>

#include "polkit-agent.h"

#define PROGRAM "pkttyagent"

/* How long the agent may take to register. */
#define READY_TIMEOUT_MSEC 10000
/* 5 s in total. */
#define CLOSE_LOOKS     500U
#define CLOSE_LOOK_USEC 10000U

static _Noreturn void become_agent(int notify_fd, pid_t parent, bool in_session)
{
        char fd_argument[32];

        /* The agent must not outlive us: it would answer for a process that is gone, and keep the terminal. */
        if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || getppid() != parent || fcntl(notify_fd, F_SETFD, 0) < 0)
                _exit(EXIT_FAILURE);
        snprintf(fd_argument, sizeof(fd_argument), "%d", notify_fd);
        /* Within a session, a desktop's agent takes precedence. Outside a session, polkit finds only our agent, and
         * not if it is a fallback. */
        execlp(PROGRAM, PROGRAM, "--notify-fd", fd_argument, in_session ? "--fallback" : NULL, NULL);
        _exit(EXIT_FAILURE);
}

/* The agent closes the pipe when it is registered or when it ends. */
static void wait_until_ready(int fd)
{
        struct pollfd p = { .fd = fd };

        while (poll(&p, 1, READY_TIMEOUT_MSEC) < 0 && errno == EINTR)
                ;
}

void polkit_agent_open(PolkitAgent *a)
{
        pid_t parent = getpid(), pid;
        bool in_session = sd_pid_get_session(0, NULL) >= 0;
        int fds[2];

        if (a->pid > 0 || geteuid() == 0 || !isatty(STDIN_FILENO))
                return;
        if (pipe2(fds, O_CLOEXEC) < 0)
                return;
        fflush(NULL);
        pid = fork();
        if (pid == 0)
                become_agent(fds[1], parent, in_session);
        close(fds[1]);
        if (pid > 0) {
                a->pid = pid;
                wait_until_ready(fds[0]);
        }
        close(fds[0]);
}

void polkit_agent_close(PolkitAgent *a)
{
        if (a->pid <= 0)
                return;
        (void) kill(a->pid, SIGTERM);
        (void) kill(a->pid, SIGCONT);
        for (unsigned n = 0; n < CLOSE_LOOKS && waitpid(a->pid, NULL, WNOHANG) == 0; n++) {
                /* Before it ends, the agent restores the terminal, so kill it only in the end. */
                if (n == CLOSE_LOOKS - 1)
                        (void) kill(a->pid, SIGKILL);
                usleep(CLOSE_LOOK_USEC);
        }
        a->pid = 0;
}
