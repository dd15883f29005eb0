/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Tries, as the process of a unit, what its sandbox must refuse. Prints a line for each: the name, then "done", "denied" and
 * the error, or "killed" and the signal. Each in a process of its own, because a filter may kill. */

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static int try_open(const char *path, int flags)
{
        int fd = open(path, flags | O_CLOEXEC, 0600);

        return fd < 0 ? -errno : close(fd);
}

static int read_shadow(void)
{
        return try_open("/etc/shadow", O_RDONLY);
}

static int write_etc(void)
{
        return try_open("/etc/ssi-probe", O_WRONLY | O_CREAT);
}

static int write_usr(void)
{
        return try_open("/usr/lib/ssi-probe", O_WRONLY | O_CREAT);
}

static int write_var(void)
{
        return try_open("/var/lib/ssi-probe", O_WRONLY | O_CREAT);
}

static int write_boot(void)
{
        return try_open("/boot/ssi-probe", O_WRONLY | O_CREAT);
}

static int read_home(void)
{
        return try_open("/home/victim/secret", O_RDONLY);
}

static int read_root_home(void)
{
        return try_open("/root/secret", O_RDONLY);
}

static int write_units(void)
{
        return try_open("/etc/systemd/system/ssi-probe.service", O_WRONLY | O_CREAT);
}

static int read_uplink_key(void)
{
        return try_open("/var/lib/ssi-uplink/credentials.json", O_RDONLY);
}

static int read_server_key(void)
{
        return try_open("/var/lib/ssi-server/keys/access-token.pem", O_RDONLY);
}

static int read_database(void)
{
        return try_open("/var/lib/ssi-server/postgres/data/PG_VERSION", O_RDONLY);
}

static int write_sysctl(void)
{
        return try_open("/proc/sys/kernel/hostname", O_WRONLY);
}

static int write_cgroup(void)
{
        return try_open("/sys/fs/cgroup/cgroup.procs", O_WRONLY);
}

static int read_kmsg(void)
{
        return try_open("/dev/kmsg", O_RDONLY);
}

static int open_device(void)
{
        return try_open("/dev/mem", O_RDONLY);
}

static int make_socket(int family, int type)
{
        int fd = socket(family, type | SOCK_CLOEXEC, 0);

        return fd < 0 ? -errno : close(fd);
}

static int inet(void)
{
        return make_socket(AF_INET, SOCK_STREAM);
}

static int inet6(void)
{
        return make_socket(AF_INET6, SOCK_DGRAM);
}

static int raw_packets(void)
{
        return make_socket(AF_PACKET, SOCK_RAW);
}

static int raw_ip(void)
{
        return make_socket(AF_INET, SOCK_RAW);
}

static int vsock(void)
{
        return make_socket(AF_VSOCK, SOCK_STREAM);
}

static int mount_something(void)
{
        return mount("none", "/tmp", "tmpfs", 0, NULL) < 0 ? -errno : 0;
}

static int new_user_namespace(void)
{
        return unshare(CLONE_NEWUSER) < 0 ? -errno : 0;
}

static int new_network_namespace(void)
{
        return unshare(CLONE_NEWNET) < 0 ? -errno : 0;
}

static int become_root(void)
{
        return setuid(0) < 0 ? -errno : 0;
}

static int become_other(void)
{
        return setuid(1) < 0 ? -errno : 0;
}

static int write_and_execute(void)
{
        void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        return p == MAP_FAILED ? -errno : 0;
}

static int set_clock(void)
{
        struct timeval tv;

        /* To what it is: harmless where it works. */
        gettimeofday(&tv, NULL);
        return settimeofday(&tv, NULL) < 0 ? -errno : 0;
}

static int load_module(void)
{
        return syscall(SYS_init_module, "", 0, "") < 0 ? -errno : 0;
}

static int trace_init(void)
{
        return ptrace(PTRACE_SEIZE, 1, NULL, NULL) < 0 ? -errno : 0;
}

static int signal_init(void)
{
        return kill(1, 0) < 0 ? -errno : 0;
}

static int realtime(void)
{
        struct sched_param p = { .sched_priority = 1 };

        return sched_setscheduler(0, SCHED_FIFO, &p) < 0 ? -errno : 0;
}

static int change_personality(void)
{
        return personality(ADDR_NO_RANDOMIZE) < 0 ? -errno : 0;
}

static int swap_off(void)
{
        return syscall(SYS_swapoff, "/nowhere") < 0 ? -errno : 0;
}

static int raise_limit(void)
{
        struct rlimit l = { 1 << 20, 1 << 20 };

        return setrlimit(RLIMIT_NOFILE, &l) < 0 ? -errno : 0;
}

static int make_setuid(void)
{
        const char *path = "/tmp/ssi-probe-setuid";
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0700), r = 0;

        if (fd < 0)
                return -errno;
        if (fchmod(fd, 04755) < 0)
                r = -errno;
        close(fd);
        unlink(path);
        return r;
}

static int run_setuid(void)
{
        /* The effective user of a set-user-ID program that says who it is. */
        return WEXITSTATUS(system("test \"$(/usr/local/bin/probe-whoami)\" = 0")) == 0 ? 0 : -EPERM;
}

static int see_others(void)
{
        return try_open("/proc/1/cmdline", O_RDONLY);
}

static int file_descriptors_of_init(void)
{
        return try_open("/proc/1/environ", O_RDONLY);
}

static const struct {
        const char *name;
        int (*f)(void);
} attempts[] = {
#define T(f)          \
        {             \
#f, f \
        }
        T(read_shadow),
        T(write_etc),
        T(write_usr),
        T(write_var),
        T(write_boot),
        T(read_home),
        T(read_root_home),
        T(write_units),
        T(read_uplink_key),
        T(read_server_key),
        T(read_database),
        T(write_sysctl),
        T(write_cgroup),
        T(read_kmsg),
        T(open_device),
        T(inet),
        T(inet6),
        T(raw_packets),
        T(raw_ip),
        T(vsock),
        T(mount_something),
        T(new_user_namespace),
        T(new_network_namespace),
        T(become_root),
        T(become_other),
        T(write_and_execute),
        T(set_clock),
        T(load_module),
        T(trace_init),
        T(signal_init),
        T(realtime),
        T(change_personality),
        T(swap_off),
        T(raise_limit),
        T(make_setuid),
        T(run_setuid),
        T(see_others),
        T(file_descriptors_of_init),
#undef T
};

int main(void)
{
        for (size_t i = 0; i < sizeof(attempts) / sizeof(*attempts); i++) {
                int status;
                pid_t pid;

                fflush(stdout);
                pid = fork();
                if (pid < 0) {
                        perror("fork");
                        return 1;
                }
                if (pid == 0)
                        _exit(-attempts[i].f());
                if (waitpid(pid, &status, 0) < 0) {
                        perror("waitpid");
                        return 1;
                }
                if (WIFSIGNALED(status))
                        printf("%s killed %s\n", attempts[i].name, sigabbrev_np(WTERMSIG(status)));
                else if (WEXITSTATUS(status) == 0)
                        printf("%s done\n", attempts[i].name);
                else
                        printf("%s denied %s\n", attempts[i].name, strerrorname_np(WEXITSTATUS(status)));
        }
        return 0;
}
