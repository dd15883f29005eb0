#include <systemd/sd-messages.h>

#include "journal-entry.h"
#include "journal-follow.h"

static const struct {
        sd_id128_t id;
        RunEntryType type;
} message_table[] = {
        {SD_MESSAGE_UNIT_STARTING, RUN_ENTRY_START},
        {SD_MESSAGE_UNIT_SUCCESS, RUN_ENTRY_SUCCESS},
        {SD_MESSAGE_UNIT_FAILURE_RESULT, RUN_ENTRY_FAILURE},
        {SD_MESSAGE_UNIT_PROCESS_EXIT, RUN_ENTRY_EXIT},
        {SSI_MESSAGE_ID_OUTPUT, RUN_ENTRY_LINE},
};

static int add_match(sd_journal *j, const char *field, const char *value)
{
        char match[512];
        int n;

        n = snprintf(match, sizeof(match), "%s=%s", field, value);
        if (n < 0 || (size_t) n >= sizeof(match))
                return -EINVAL;
        return sd_journal_add_match(j, match, (size_t) n);
}

static int add_match_id(sd_journal *j, const char *field, sd_id128_t id)
{
        char s[SD_ID128_STRING_MAX];

        return add_match(j, field, sd_id128_to_string(id, s));
}

static int add_message_ids(sd_journal *j, bool manager, bool lines)
{
        int r = 0;

        for (size_t i = 0; i < ELEMENTSOF(message_table) && r >= 0; i++)
                if (message_table[i].type == RUN_ENTRY_LINE ? lines : manager)
                        r = add_match_id(j, "MESSAGE_ID", message_table[i].id);
        return r;
}

int journal_match_all(sd_journal *j)
{
        sd_journal_flush_matches(j);
        return add_message_ids(j, true, true);
}

int journal_match_unit(sd_journal *j, const char *unit)
{
        int r;

        sd_journal_flush_matches(j);
        r = add_message_ids(j, true, false);
        if (r >= 0)
                r = add_match(j, "UNIT", unit);
        if (r >= 0)
                r = sd_journal_add_disjunction(j);
        if (r >= 0)
                r = add_message_ids(j, false, true);
        if (r >= 0)
                r = add_match(j, "_SYSTEMD_UNIT", unit);
        return r;
}

int journal_match_service(sd_journal *j, const char *slug)
{
        _cleanup_free_ char *unit = slug_to_unit(slug, ".service");

        return unit ? journal_match_unit(j, unit) : -ENOMEM;
}

int journal_match_invocation(sd_journal *j, sd_id128_t id)
{
        int r;

        sd_journal_flush_matches(j);
        r = add_message_ids(j, true, false);
        if (r >= 0)
                r = add_match_id(j, "INVOCATION_ID", id);
        if (r >= 0)
                r = sd_journal_add_disjunction(j);
        if (r >= 0)
                r = add_message_ids(j, false, true);
        if (r >= 0)
                r = add_match_id(j, "_SYSTEMD_INVOCATION_ID", id);
        return r;
}

/* The field's value, which lives until the next one is asked for. -ENOENT. */
static int get_data(sd_journal *j, const char *field, const char **ret, size_t *ret_size)
{
        size_t skip = strlen(field) + 1, n;
        const void *data;
        int r;

        r = sd_journal_get_data(j, field, &data, &n);
        if (r < 0)
                return r;
        if (n < skip)
                return -EBADMSG;
        *ret = (const char *) data + skip;
        *ret_size = n - skip;
        return 0;
}

/* A copy, ended by NUL. -ENOENT when absent; -EMSGSIZE when it does not fit or has a NUL inside. */
static int get_string(sd_journal *j, const char *field, char *buffer, size_t size)
{
        const char *s;
        size_t n;
        int r;

        r = get_data(j, field, &s, &n);
        if (r < 0)
                return r;
        if (n >= size || memchr(s, '\0', n))
                return -EMSGSIZE;
        memcpy(buffer, s, n);
        buffer[n] = '\0';
        return 0;
}

static int get_id(sd_journal *j, const char *field, sd_id128_t *ret)
{
        char s[SD_ID128_UUID_STRING_MAX];
        int r;

        r = get_string(j, field, s, sizeof(s));
        return r < 0 ? r : sd_id128_from_string(s, ret);
}

static int get_number(sd_journal *j, const char *field, uint64_t *ret)
{
        char s[24], *end;
        uint64_t v;
        int r;

        r = get_string(j, field, s, sizeof(s));
        if (r < 0)
                return r;
        errno = 0;
        v = strtoull(s, &end, 10);
        if (errno > 0 || end == s || *end != '\0' || s[0] == '-')
                return -EINVAL;
        *ret = v;
        return 0;
}

static bool field_is(sd_journal *j, const char *field, const char *value)
{
        const char *s;
        size_t n;

        return get_data(j, field, &s, &n) >= 0 && n == strlen(value) && memcmp(s, value, n) == 0;
}

static int read_type(sd_journal *j, RunEntryType *ret)
{
        sd_id128_t id;
        int r;

        r = get_id(j, "MESSAGE_ID", &id);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(message_table); i++)
                if (sd_id128_equal(message_table[i].id, id)) {
                        *ret = message_table[i].type;
                        return 0;
                }
        return -ENOENT;
}

/* wanted: NULL for any service's. */
static int read_slug(sd_journal *j, const char *field, const char *wanted, char slug[static SLUG_MAX + 1])
{
        char unit[sizeof("ssi-.service") + SLUG_MAX];
        int r;

        if (wanted) {
                slug[0] = '\0';
                return field_is(j, field, wanted) ? 0 : -EPERM;
        }
        r = get_string(j, field, unit, sizeof(unit));
        return r < 0 ? r : slug_from_service_unit(unit, slug);
}

static int read_manager(sd_journal *j, const char *unit, JournalEntry *e)
{
        uint64_t n;
        int r;

        r = read_slug(j, "UNIT", unit, e->slug);
        if (r < 0)
                return r;
        if (!field_is(j, "_PID", "1") || !field_is(j, "_UID", "0") || !field_is(j, "_TRANSPORT", "journal"))
                return -EPERM;
        r = get_id(j, "INVOCATION_ID", &e->entry.invocation_id);
        if (r < 0)
                return r;

        if (e->entry.type == RUN_ENTRY_EXIT) {
                if (get_string(j, "EXIT_CODE", e->exit_code, sizeof(e->exit_code)) >= 0)
                        e->entry.exit_code = e->exit_code;
                if (get_number(j, "EXIT_STATUS", &n) >= 0 && n <= INT32_MAX)
                        e->entry.exit_status = (int) n;
        } else if (e->entry.type == RUN_ENTRY_FAILURE)
                if (get_string(j, "UNIT_RESULT", e->result, sizeof(e->result)) >= 0)
                        e->entry.result = e->result;
        return 0;
}

static int read_line(sd_journal *j, const char *unit, JournalEntry *e)
{
        int r;

        if (!field_is(j, "_TRANSPORT", "stdout"))
                return -EPERM;
        r = read_slug(j, "_SYSTEMD_UNIT", unit, e->slug);
        if (r < 0)
                return r;
        (void) get_id(j, "_SYSTEMD_INVOCATION_ID", &e->entry.invocation_id);
        if (get_id(j, "_STREAM_ID", &e->entry.stream_id) < 0)
                e->entry.stream_id = e->entry.invocation_id;
        if (sd_id128_is_null(e->entry.stream_id))
                return -EBADMSG;
        return 0;
}

static int read_fields(sd_journal *j, const char *unit, JournalEntry *e)
{
        RunEntry *re = &e->entry;
        uint64_t n;
        int r;

        r = read_type(j, &re->type);
        if (r < 0)
                return r;
        r = re->type == RUN_ENTRY_LINE ? read_line(j, unit, e) : read_manager(j, unit, e);
        if (r < 0)
                return r;
        r = sd_journal_get_realtime_usec(j, &re->realtime);
        if (r < 0)
                return r;
        r = sd_journal_get_monotonic_usec(j, &re->monotonic, &re->boot_id);
        if (r < 0)
                return r;
        re->source_realtime = get_number(j, "_SOURCE_REALTIME_TIMESTAMP", &n) >= 0 ? n : re->realtime;
        r = sd_journal_get_cursor(j, &e->cursor);
        if (r < 0)
                return r;
        if (re->type == RUN_ENTRY_LINE)
                return get_data(j, "MESSAGE", &re->text, &re->length);
        return 0;
}

int journal_entry_read_unit(sd_journal *j, const char *unit, JournalEntry *ret)
{
        JournalEntry e = {};
        int r;

        r = read_fields(j, unit, &e);
        if (r < 0) {
                free(e.cursor);
                /* Whatever else is wrong is wrong with this entry only. */
                return r == -ENOMEM ? r : 0;
        }
        *ret = e;
        ret->entry.slug = ret->slug;
        ret->entry.cursor = ret->cursor;
        ret->entry.exit_code = e.entry.exit_code ? ret->exit_code : NULL;
        ret->entry.result = e.entry.result ? ret->result : NULL;
        return 1;
}

int journal_entry_read(sd_journal *j, JournalEntry *ret)
{
        return journal_entry_read_unit(j, NULL, ret);
}

void journal_entry_done(JournalEntry *e)
{
        free(e->cursor);
        *e = (JournalEntry){};
}
