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
        r = get_field(j, "MESSAGE", &s, &n);
        text = r < 0 ? strdup("") : utf8_sanitize(s, n, LINE_MAX_BYTES, NULL);
        if (!invocation || !text)
                return -ENOMEM;
        return sd_bus_message_append(reply, "(tss)", usec, invocation, text);
}

int journal_log_open(const char *unit, sd_journal **ret)
{
        _cleanup_(sd_journal_closep) sd_journal *j = NULL;
        _cleanup_free_ char *match = NULL;
        int r;

        if (asprintf(&match, "_SYSTEMD_UNIT=%s", unit) < 0)
                return -ENOMEM;
        r = sd_journal_open(&j, SD_JOURNAL_LOCAL_ONLY | SD_JOURNAL_SYSTEM);
        if (r < 0)
                return r;
        r = sd_journal_add_match(j, match, 0);
        if (r < 0)
                return r;
        r = sd_journal_add_match(j, "_TRANSPORT=stdout", 0);
        if (r < 0)
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
        /* previous_skip() stops at the first entry when there are fewer. One more is skipped, for next() to begin after. */
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
