/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A throwaway host has its machine's clock, which a test must not set. Preloaded into a host's daemons, this adds to
 * CLOCK_REALTIME what CLOCK_FILE says (microseconds, signed, of this machine's byte order), so that all of them see the clock
 * step at once, and no other clock. libfaketime(1) reads its file with every call or after seconds, takes over waiting as
 * well, and keeps shared memory for each process that is killed. */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define CLOCK_FILE "/run/clock"

#pragma GCC visibility push(default)

static _Atomic int64_t *offset;

__attribute__((constructor)) static void map_offset(void)
{
        int fd = open(CLOCK_FILE, O_RDONLY | O_CLOEXEC);
        void *p = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(*offset), PROT_READ, MAP_SHARED, fd, 0);

        if (p != MAP_FAILED)
                offset = p;
        if (fd >= 0)
                close(fd);
}

int clock_gettime(clockid_t clock, struct timespec *ts)
{
        long r = syscall(SYS_clock_gettime, clock, ts);
        int64_t ns;

        if (r < 0 || !offset || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE))
                return (int) r;
        ns = (int64_t) ts->tv_sec * 1000000000 + ts->tv_nsec + atomic_load(offset) * 1000;
        ts->tv_sec = ns / 1000000000;
        ts->tv_nsec = ns % 1000000000;
        return 0;
}

int gettimeofday(struct timeval *restrict tv, void *restrict tz)
{
        struct timespec ts;

        (void) tz;
        if (clock_gettime(CLOCK_REALTIME, &ts) < 0)
                return -1;
        *tv = (struct timeval){ ts.tv_sec, ts.tv_nsec / 1000 };
        return 0;
}

time_t time(time_t *ret)
{
        struct timespec ts;

        (void) clock_gettime(CLOCK_REALTIME_COARSE, &ts);
        if (ret)
                *ret = ts.tv_sec;
        return ts.tv_sec;
}
