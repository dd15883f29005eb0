/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <ctype.h>

#include "shared/time-span.h"
#include "shared/util.h"

#define USEC_PER_MINUTE (60 * USEC_PER_SEC)
#define USEC_PER_HOUR   (60 * USEC_PER_MINUTE)
#define USEC_PER_DAY    (24 * USEC_PER_HOUR)
#define USEC_PER_YEAR   (365 * USEC_PER_DAY + 6 * USEC_PER_HOUR)

#define SPAN_MAX (1000 * USEC_PER_YEAR)

#define BLANKS " \t"

/* "m" is a minute, "M" a month. */
static const struct {
        const char *name;
        uint64_t usec;
} units[] = {
        { "", USEC_PER_SEC },
        { "us", 1 },
        { "usec", 1 },
        { "µs", 1 },
        { "ms", USEC_PER_MSEC },
        { "msec", USEC_PER_MSEC },
        { "s", USEC_PER_SEC },
        { "sec", USEC_PER_SEC },
        { "second", USEC_PER_SEC },
        { "seconds", USEC_PER_SEC },
        { "m", USEC_PER_MINUTE },
        { "min", USEC_PER_MINUTE },
        { "minute", USEC_PER_MINUTE },
        { "minutes", USEC_PER_MINUTE },
        { "h", USEC_PER_HOUR },
        { "hr", USEC_PER_HOUR },
        { "hour", USEC_PER_HOUR },
        { "hours", USEC_PER_HOUR },
        { "d", USEC_PER_DAY },
        { "day", USEC_PER_DAY },
        { "days", USEC_PER_DAY },
        { "w", 7 * USEC_PER_DAY },
        { "week", 7 * USEC_PER_DAY },
        { "weeks", 7 * USEC_PER_DAY },
        { "M", USEC_PER_YEAR / 12 },
        { "month", USEC_PER_YEAR / 12 },
        { "months", USEC_PER_YEAR / 12 },
        { "y", USEC_PER_YEAR },
        { "year", USEC_PER_YEAR },
        { "years", USEC_PER_YEAR },
};

static int find_unit(const char *s, size_t n, uint64_t *ret)
{
        for (size_t i = 0; i < ELEMENTSOF(units); i++)
                if (strlen(units[i].name) == n && memcmp(units[i].name, s, n) == 0) {
                        *ret = units[i].usec;
                        return 0;
                }
        return -EINVAL;
}

/* A number, perhaps with a fraction, and a unit. *s is moved behind them. */
static int parse_part(const char **s, uint64_t *ret)
{
        uint64_t whole = 0, thousandths = 0, unit = 0, place = 100;
        const char *p = *s;
        size_t n;
        int r;

        if (!isdigit((unsigned char) *p))
                return -EINVAL;
        for (; isdigit((unsigned char) *p); p++) {
                whole = whole * 10 + (uint64_t) (*p - '0');
                if (whole > SPAN_MAX)
                        return -ERANGE;
        }
        if (*p == '.') {
                if (!isdigit((unsigned char) *++p))
                        return -EINVAL;
                for (; isdigit((unsigned char) *p); p++, place /= 10)
                        thousandths += (uint64_t) (*p - '0') * place;
        }
        p += strspn(p, BLANKS);
        n = strcspn(p, "0123456789" BLANKS);
        r = find_unit(p, n, &unit);
        if (r < 0)
                return r;
        if (whole > SPAN_MAX / unit)
                return -ERANGE;
        *ret = whole * unit + thousandths * unit / 1000;
        *s = p + n;
        return 0;
}

int parse_time_span(const char *s, uint64_t *ret)
{
        uint64_t span = 0;

        s += strspn(s, BLANKS);
        do {
                uint64_t part = 0;
                int r = parse_part(&s, &part);

                if (r < 0)
                        return r;
                span += part;
                if (span > SPAN_MAX)
                        return -ERANGE;
                s += strspn(s, BLANKS);
        } while (*s);
        *ret = span;
        return 0;
}
