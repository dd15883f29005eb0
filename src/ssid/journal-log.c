/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <systemd/sd-messages.h>

#include "journal-log.h"

#define LINE_MAX_BYTES 4096

static int get_field(sd_journal *j, const char *field, const char **ret, size_t *ret_n)
{
        size_t n, skip = strlen(field) + 1;
        const void *data;
        int r;

        r = sd_journal_get_data(j, field, &data, &n);
        if (r < 0)
                return r;
        *ret = (const char *) data + skip;
        *ret_n = n - skip;
        return 0;
}

/* Replaces lines that journald dropped; it reports their number when it accepts lines again. */
static char *dropped_text(sd_journal *j)
{
        static const char format[] = "[journald dropped %.*s lines here: RateLimitBurst= in journald.conf]";
        const char *s;
        char *text;
        size_t n;

        if (get_field(j, "N_DROPPED", &s, &n) < 0) {
                s = "some";
                n = strlen(s);
        }
        return asprintf(&text, format, (int) MIN(n, 20U), s) < 0 ? NULL : text;
}

static char *line_text(sd_journal *j)
{
        const char *s;
        size_t n;

        if (get_field(j, "_TRANSPORT", &s, &n) >= 0 && n == strlen("driver") && memcmp(s, "driver", n) == 0)
                return dropped_text(j);
        return get_field(j, "MESSAGE", &s, &n) < 0 ? strdup("") : utf8_sanitize(s, n, LINE_MAX_BYTES, NULL);
}

static int append_entry(sd_bus_message *reply, sd_journal *j)
{
        _cleanup_free_ char *text = NULL, *invocation = NULL;
        const char *s;
        uint64_t usec;
        size_t n;
        int r;

        r = sd_journal_get_realtime_usec(j, &usec);
        if (r < 0)
                return r;
        r = get_field(j, "_SYSTEMD_INVOCATION_ID", &s, &n);
        invocation = r < 0 ? strdup("") : utf8_sanitize(s, n, 32, NULL);
        text = line_text(j);
        if (!invocation || !text)
                return -ENOMEM;
        return sd_bus_message_append(reply, "(tss)", usec, invocation, text);
}

static int add_match(sd_journal *j, const char *field, const char *value)
{
        _cleanup_free_ char *match = NULL;

        return asprintf(&match, "%s=%s", field, value) < 0 ? -ENOMEM : sd_journal_add_match(j, match, 0);
}

int journal_log_open(const char *unit, sd_journal **ret)
{
        _cleanup_(sd_journal_closep) sd_journal *j = NULL;
        int r;

        /* Not SD_JOURNAL_SYSTEM: output of a user's processes is in that user's own journal file. */
        r = sd_journal_open(&j, SD_JOURNAL_LOCAL_ONLY);
        if (r < 0)
                return r;
        if ((r = add_match(j, "_SYSTEMD_UNIT", unit)) < 0 || (r = add_match(j, "_TRANSPORT", "stdout")) < 0 ||
            (r = sd_journal_add_disjunction(j)) < 0 || (r = add_match(j, "OBJECT_SYSTEMD_UNIT", unit)) < 0 ||
            (r = add_match(j, "_TRANSPORT", "driver")) < 0 ||
            (r = add_match(j, "MESSAGE_ID", SD_MESSAGE_JOURNAL_DROPPED_STR)) < 0)
                return r;
        *ret = TAKE_PTR(j);
        return 0;
}

int journal_log_seek_last(sd_journal *j, unsigned lines)
{
        int r;

        r = sd_journal_seek_tail(j);
        if (r < 0)
                return r;
        /* previous_skip() stops at the first entry if there are fewer. Skip one more, so that next() begins at the
         * right one. */
        r = sd_journal_previous_skip(j, (uint64_t) lines + 1);
        if (r < 0)
                return r;
        return r > (int) lines ? 0 : sd_journal_seek_head(j);
}

int journal_log_append(sd_bus_message *reply, sd_journal *j, unsigned limit)
{
        unsigned n;
        int r;

        r = sd_bus_message_open_container(reply, 'a', "(tss)");
        if (r < 0)
                return r;
        for (n = 0; n < limit; n++) {
                r = sd_journal_next(j);
                if (r == 0)
                        break;
                if (r > 0)
                        r = append_entry(reply, j);
                if (r < 0)
                        return r;
        }
        r = sd_bus_message_close_container(reply);
        return r < 0 ? r : (int) n;
}
