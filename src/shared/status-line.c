/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/status-line.h"

#define STAMP_LEN 19 /* "YYYY-MM-DD HH:MM:SS" */

/* The end of the year 9999 in UTC: RFC 3339 has four digits. */
#define TIME_MAX INT64_C(253402300799)

static bool parse_digits(const char *s, size_t n, int *ret)
{
        int v = 0;

        for (size_t i = 0; i < n; i++) {
                if (s[i] < '0' || s[i] > '9')
                        return false;
                v = v * 10 + (s[i] - '0');
        }
        *ret = v;
        return true;
}

/* Reads the fields of "YYYY-MM-DD?HH:MM:SS". The caller has checked that there are STAMP_LEN bytes. */
static bool parse_stamp(const char *s, struct tm *ret)
{
        int year, mon, day, hour, min, sec;

        if (!parse_digits(s, 4, &year) || s[4] != '-' || !parse_digits(s + 5, 2, &mon) || s[7] != '-' ||
            !parse_digits(s + 8, 2, &day) || !parse_digits(s + 11, 2, &hour) || s[13] != ':' ||
            !parse_digits(s + 14, 2, &min) || s[16] != ':' || !parse_digits(s + 17, 2, &sec))
                return false;

        /* date(1) may print a leap second. */
        if (year < 1970 || mon < 1 || mon > 12 || day < 1 || day > 31 || hour > 23 || min > 59 || sec > 60)
                return false;
        *ret = (struct tm){
                .tm_year = year - 1900,
                .tm_mon = mon - 1,
                .tm_mday = day,
                .tm_hour = hour,
                .tm_min = min,
                .tm_sec = sec,
                .tm_isdst = -1,
        };
        return true;
}

/* mktime(3) normalizes February 31, but a date that does not exist is not a timestamp. */
static bool same_day(const struct tm *a, const struct tm *b)
{
        return a->tm_year == b->tm_year && a->tm_mon == b->tm_mon && a->tm_mday == b->tm_mday;
}

static int64_t distance(time_t t, uint64_t usec)
{
        int64_t d = (int64_t) t - (int64_t) (usec / USEC_PER_SEC);

        return d < 0 ? -d : d;
}

static int second_of_day(const struct tm *tm)
{
        return (tm->tm_hour * 60 + tm->tm_min) * 60 + tm->tm_sec;
}

/* A stamp is seldom far from the journal's time. The smallest clock change is half an hour: if the two differ by
 * less than 15 minutes, no other reading can be nearer. So one or two conversions are enough; mktime(3) makes a
 * dozen, which took a third of the time to read a backlog. -1 if they differ by more. */
static time_t near_reading(const struct tm *stamp, uint64_t received)
{
        time_t t = (time_t) (received / USEC_PER_SEC);
        struct tm tm;
        int d;

        /* mktime(3) notices a change of the zone; localtime_r(3) does not. */
        tzset();
        if (received > (uint64_t) TIME_MAX * USEC_PER_SEC || !localtime_r(&t, &tm) || !same_day(&tm, stamp))
                return -1;
        d = second_of_day(stamp) - second_of_day(&tm);
        if (d <= -15 * 60 || d >= 15 * 60)
                return -1;
        t += d;
        if (stamp->tm_hour != tm.tm_hour || stamp->tm_min != tm.tm_min) {
                /* A clock change may lie between the two. */
                if (!localtime_r(&t, &tm) || !same_day(&tm, stamp) || second_of_day(&tm) != second_of_day(stamp))
                        return -1;
        }
        return t;
}

/* Tries both readings of an ambiguous local time and returns the one nearer to the journal's time. */
static time_t nearest_reading(const struct tm *stamp, uint64_t received)
{
        time_t best = -1;
        struct tm tm;

        for (int dst = 0; dst <= 1; dst++) {
                time_t t;

                tm = *stamp;
                tm.tm_isdst = dst;
                t = mktime(&tm);
                if (t < 0 || tm.tm_isdst != dst || !same_day(&tm, stamp))
                        continue;
                if (best < 0 || distance(t, received) < distance(best, received))
                        best = t;
        }
        if (best >= 0)
                return best;
        /* In the hour that a clock change skips, mktime() with -1 gives a usable reading. */
        tm = *stamp;
        best = mktime(&tm);
        return same_day(&tm, stamp) ? best : -1;
}

static int local_to_utc(const struct tm *stamp, uint64_t received, uint64_t *ret)
{
        time_t t;

        t = near_reading(stamp, received);
        if (t < 0)
                t = nearest_reading(stamp, received);
        if (t < 0 || t > TIME_MAX)
                return -EBADMSG;
        *ret = (uint64_t) t * USEC_PER_SEC;
        return 0;
}

/* Skips a comma with spaces around it. */
static bool skip_comma(const char **p, const char *end)
{
        const char *s = *p;

        while (s < end && *s == ' ')
                s++;
        if (s == end || *s != ',')
                return false;
        s++;
        while (s < end && *s == ' ')
                s++;
        *p = s;
        return true;
}

static int copy_message(const char *s, size_t n, char **ret)
{
        _cleanup_free_ char *message = NULL;
        bool cut;

        message = utf8_sanitize(s, n, STATUS_MESSAGE_MAX - strlen(STATUS_MESSAGE_CUT), &cut);
        if (!message)
                return -ENOMEM;
        if (cut) {
                char *longer;

                if (asprintf(&longer, "%s%s", message, STATUS_MESSAGE_CUT) < 0)
                        return -ENOMEM;
                free(message);
                message = longer;
        }
        *ret = TAKE_PTR(message);
        return 0;
}

int status_line_parse(const char *line, size_t n, uint64_t received, StatusLine *ret)
{
        const char *end = line + n, *p = line;
        char name[16];
        StatusLine l;
        size_t len;
        struct tm tm;
        int r;

        while (end > line && (end[-1] == '\n' || end[-1] == '\r' || end[-1] == ' '))
                end--;
        if (end - p < STAMP_LEN || p[10] != ' ' || !parse_stamp(p, &tm))
                return -EBADMSG;
        p += STAMP_LEN;
        if (!skip_comma(&p, end))
                return -EBADMSG;

        for (len = 0; p + len < end && p[len] >= 'A' && p[len] <= 'Z';)
                len++;
        if (len == 0 || len >= sizeof(name))
                return -EBADMSG;
        memcpy(name, p, len);
        name[len] = '\0';
        l.status = status_from_string(name);
        if (l.status < 0)
                return -EBADMSG;
        p += len;
        if (!skip_comma(&p, end) && p != end)
                return -EBADMSG;

        r = local_to_utc(&tm, received, &l.timestamp);
        if (r < 0)
                return r;
        r = copy_message(p, (size_t) (end - p), &l.message);
        if (r < 0)
                return r;
        *ret = l;
        return 0;
}

void status_line_done(StatusLine *l)
{
        free(l->message);
        l->message = NULL;
}

char *format_rfc3339(uint64_t usec, char buf[static RFC3339_MAX])
{
        time_t t = (time_t) (usec / USEC_PER_SEC);
        unsigned ms = (unsigned) (usec % USEC_PER_SEC / USEC_PER_MSEC);
        struct tm tm;
        size_t n;

        gmtime_r(&t, &tm);
        n = strftime(buf, RFC3339_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
        if (ms > 0)
                snprintf(buf + n, RFC3339_MAX - n, ".%03uZ", ms);
        else
                snprintf(buf + n, RFC3339_MAX - n, "Z");
        return buf;
}

int parse_rfc3339(const char *s, uint64_t *ret_usec)
{
        int hours = 0, minutes = 0, sign = 0;
        size_t n = strlen(s);
        uint64_t fraction = 0;
        const char *p;
        struct tm tm;
        int64_t t;

        if (n < STAMP_LEN + 1 || (s[10] != 'T' && s[10] != 't' && s[10] != ' ') || !parse_stamp(s, &tm))
                return -EINVAL;
        p = s + STAMP_LEN;
        if (*p == '.') {
                uint64_t unit = USEC_PER_SEC / 10;

                if (p[1] < '0' || p[1] > '9')
                        return -EINVAL;
                for (p++; *p >= '0' && *p <= '9'; p++, unit /= 10)
                        fraction += (uint64_t) (*p - '0') * unit;
        }
        if (*p == '+' || *p == '-') {
                sign = *p == '+' ? 1 : -1;
                if (strlen(p) != 6 || p[3] != ':' || !parse_digits(p + 1, 2, &hours) ||
                    !parse_digits(p + 4, 2, &minutes) || hours > 23 || minutes > 59)
                        return -EINVAL;
        } else if ((*p != 'Z' && *p != 'z') || p[1] != '\0')
                return -EINVAL;

        /* A leap second counts as the first second of the next minute, possibly of the next day, but the day itself
         * must exist. */
        struct tm day = { .tm_year = tm.tm_year, .tm_mon = tm.tm_mon, .tm_mday = tm.tm_mday };
        timegm(&day);
        if (!same_day(&day, &tm))
                return -EINVAL;
        t = timegm(&tm);
        t -= sign * (hours * 3600 + minutes * 60);
        if (t < 0 || t > TIME_MAX)
                return -EINVAL;
        *ret_usec = (uint64_t) t * USEC_PER_SEC + fraction;
        return 0;
}
