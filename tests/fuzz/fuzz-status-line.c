/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fuzz.h"
#include "shared/status-line.h"

/* On both sides of the end of summer time of 2026 in Berlin: 02:30 comes twice. */
#define BEFORE_CHANGE (UINT64_C(1792888200) * USEC_PER_SEC)
#define AFTER_CHANGE  (UINT64_C(1792891800) * USEC_PER_SEC)

static void check_message(const char *message)
{
        _cleanup_free_ char *again = NULL;
        bool cut;

        check(strlen(message) <= STATUS_MESSAGE_MAX);
        check(text_is_clean(message));
        check(utf8_is_valid(message, strlen(message)));
        again = utf8_sanitize(message, strlen(message), STATUS_MESSAGE_MAX, &cut);
        check(again && !cut && streq(again, message));
}

static void check_rfc3339_round_trip(uint64_t usec)
{
        char s[RFC3339_MAX];
        uint64_t back;

        check(parse_rfc3339(format_rfc3339(usec, s), &back) == 0);
        check(back == usec - usec % USEC_PER_MSEC);
}

static void check_line(const char *line, size_t n)
{
        StatusLine a = {}, b = {};
        int r, s;

        r = status_line_parse(line, n, BEFORE_CHANGE, &a);
        s = status_line_parse(line, n, AFTER_CHANGE, &b);
        check(r == s && (r == 0 || r == -EBADMSG));
        if (r < 0) {
                check(!a.message && !b.message);
                return;
        }
        check(status_to_string(a.status) && a.status == b.status);
        check(streq(a.message, b.message));
        /* What the journal's time can change is which of two readings is taken. */
        check(b.timestamp >= a.timestamp && b.timestamp - a.timestamp <= 3600 * USEC_PER_SEC);
        check_message(a.message);
        check_rfc3339_round_trip(a.timestamp);
        status_line_done(&a);
        status_line_done(&b);
}

static void check_rfc3339(const char *s)
{
        char formatted[RFC3339_MAX];
        uint64_t usec;
        bool leap;

        if (parse_rfc3339(s, &usec) < 0)
                return;
        check_rfc3339_round_trip(usec);
        format_rfc3339(usec, formatted);
        leap = strncmp(s + 17, "60", 2) == 0;
        if (strpbrk(s, "Zz") && !leap)
                check(strncmp(s, formatted, 10) == 0 && strncmp(s + 11, formatted + 11, 8) == 0);
        else if (strpbrk(s, "Zz"))
                check(strncmp(s, formatted, 10) == 0 || strncmp(s + 11, "23:59", 5) == 0);
}

/* utf8_sanitize() of anything, cut anywhere. */
static void check_sanitize(const char *s, size_t n)
{
        for (size_t max = 0; max < 8; max++) {
                _cleanup_free_ char *t = NULL;

                t = utf8_sanitize(s, n, max, NULL);
                check(t && strlen(t) <= max && text_is_clean(t));
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
        static bool zone_set;
        _cleanup_free_ char *text = NULL;

        if (!zone_set) {
                setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
                zone_set = true;
        }
        check_line((const char *) data, n);
        check_sanitize((const char *) data, n);
        text = memdup_string((const char *) data, n);
        check(text);
        check_rfc3339(text);
        return 0;
}
