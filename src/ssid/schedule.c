/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "schedule.h"

#define ALL_MINUTES ((UINT64_C(1) << 60) - 1)
#define WEEK_SEC    ((time_t) 7 * 24 * 60 * 60)
#define WEEKS_AHEAD (20 * 52)

/* Every offset lasts at least a week in every zone; Morocco's during Ramadan, a month, is the shortest. */
uint64_t schedule_zone_minutes(time_t from)
{
        uint64_t minutes = 0;

        /* Unlike mktime(3), localtime_r(3) does not notice a change of the zone. */
        tzset();
        for (unsigned i = 0; i < WEEKS_AHEAD; i++) {
                const time_t t = from + (time_t) i * WEEK_SEC;
                struct tm tm;

                if (!localtime_r(&t, &tm) || tm.tm_gmtoff % 60 != 0)
                        return 0;
                minutes |= UINT64_C(1) << ((tm.tm_gmtoff / 60 % 60 + 60) % 60);
        }
        return minutes;
}

uint64_t schedule_host_minutes(void)
{
        return secure_getenv("TZ") ? 0 : schedule_zone_minutes(time(NULL));
}

static bool read_number(const char **s, unsigned *ret)
{
        if ((*s)[0] < '0' || (*s)[0] > '9' || (*s)[1] < '0' || (*s)[1] > '9')
                return false;
        *ret = (unsigned) ((*s)[0] - '0') * 10 + (unsigned) ((*s)[1] - '0');
        *s += 2;
        return *ret < 60;
}

/* Unlike other numbers, the step has no leading zero. */
static bool read_step(const char **s, unsigned *ret)
{
        size_t n = strspn(*s, "0123456789");

        if (n == 0 || n > 2)
                return false;
        *ret = (unsigned) strtoul(*s, NULL, 10);
        *s += n;
        return *ret > 0;
}

/* Reads "00", "00/5", "10..20" or "00..55/5", as systemd prints it: adds its numbers to the set, and moves *s past
 * it. */
static bool read_range(const char **s, uint64_t *set)
{
        unsigned first, last = 59, step = 60;
        const char *more;

        if (!read_number(s, &first))
                return false;
        more = startswith(*s, "..");
        if (more) {
                *s = more;
                step = 1;
                if (!read_number(s, &last))
                        return false;
        }
        if (**s == '/') {
                *s += 1;
                if (!read_step(s, &step))
                        return false;
        }
        for (unsigned i = first; i <= last; i += step)
                *set |= UINT64_C(1) << i;
        return true;
}

static bool read_minutes(const char **s, uint64_t *ret)
{
        uint64_t set = 0;

        if (**s == '*') {
                *s += 1;
                *ret = ALL_MINUTES;
                return true;
        }
        for (;;) {
                if (!read_range(s, &set))
                        return false;
                if (**s != ',')
                        break;
                *s += 1;
        }
        *ret = set;
        return true;
}

bool schedule_is_same_in_utc(const char *normalized, uint64_t zone_minutes)
{
        const char *s = normalized ? startswith(normalized, "*-*-* *:") : NULL;
        uint64_t set;

        /* After the minutes, only the seconds may follow: a zone would be separated by a space. */
        if (!s || zone_minutes == 0 || !read_minutes(&s, &set) || *s != ':' || s[1] == '\0' ||
            s[1 + strspn(s + 1, "0123456789*/.,")] != '\0')
                return false;
        for (unsigned m = 1; m < 60; m++)
                if ((zone_minutes & UINT64_C(1) << m) && ((set << m | set >> (60 - m)) & ALL_MINUTES) != set)
                        return false;
        return true;
}

int schedule_read_normalized(const char *output, char **ret)
{
        static const char label[] = "Normalized form: ";
        const char *s = strstr(output, label);
        size_t n;

        if (!s)
                return -ENODATA;
        s += strlen(label);
        n = strcspn(s, "\n");
        if (n == 0 || s[n] == '\0')
                return -ENODATA;
        *ret = memdup_string(s, n);
        return *ret ? 0 : -ENOMEM;
}

static bool read_elapse(const char *output, const char *label, time_t *ret)
{
        const char *s = strstr(output, label);
        struct tm tm = {};
        int year, mon;

        if (!s || sscanf(s + strlen(label), " %*3s %d-%d-%d %d:%d:%d", &year, &mon, &tm.tm_mday, &tm.tm_hour,
                         &tm.tm_min, &tm.tm_sec) != 6)
                return false;
        tm.tm_year = year - 1900;
        tm.tm_mon = mon - 1;
        *ret = timegm(&tm);
        return true;
}

bool schedule_read_interval(const char *output, uint64_t *ret)
{
        time_t first, second;

        /* systemd prints "Iter. #2:" up to version 253, and "Iteration #2:" since. No expression contains a "#". */
        if (!read_elapse(output, "Next elapse:", &first) || !read_elapse(output, "#2:", &second) || second <= first)
                return false;
        *ret = (uint64_t) (second - first) * USEC_PER_SEC;
        return true;
}
