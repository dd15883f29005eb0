/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <systemd/sd-messages.h>

#include "shared/journal/entry.h"

static const struct {
        sd_id128_t id;
        RunEntryType type;
} message_table[] = {
        { SD_MESSAGE_UNIT_STARTING, RUN_ENTRY_START },         { SD_MESSAGE_UNIT_SUCCESS, RUN_ENTRY_SUCCESS },
        { SD_MESSAGE_UNIT_FAILURE_RESULT, RUN_ENTRY_FAILURE }, { SD_MESSAGE_UNIT_PROCESS_EXIT, RUN_ENTRY_EXIT },
        { SD_MESSAGE_UNIT_STOPPED, RUN_ENTRY_STOP },           { SSI_MESSAGE_ID_OUTPUT, RUN_ENTRY_LINE },
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

/* Matches the manager's entries about units. Others may also send entries with these IDs, as many as journald
 * accepts. _PID=, which journald sets, keeps those from being read at all. */
static int match_manager(sd_journal *j)
{
        int r = add_match(j, "_PID", "1");

        for (size_t i = 0; i < ELEMENTSOF(message_table) && r >= 0; i++)
                if (message_table[i].type != RUN_ENTRY_LINE)
                        r = add_match_id(j, "MESSAGE_ID", message_table[i].id);
        return r;
}

/* Adds a match for the output of services. LogExtraFields= sets this ID, and nobody can forge it on standard output. */
static int match_or_lines(sd_journal *j)
{
        int r = sd_journal_add_disjunction(j);

        if (r >= 0)
                r = add_match_id(j, "MESSAGE_ID", SSI_MESSAGE_ID_OUTPUT);
        return r < 0 ? r : add_match(j, "_TRANSPORT", "stdout");
}

/* Finds the boot of the last matching entry. -ENODATA if there is none. */
static int last_boot(sd_journal *j, sd_id128_t *ret)
{
        sd_id128_t boot;
        uint64_t usec;
        int r;

        r = sd_journal_seek_tail(j);
        if (r >= 0)
                r = sd_journal_previous(j);
        if (r <= 0)
                return r < 0 ? r : -ENODATA;
        r = sd_journal_get_monotonic_usec(j, &usec, &boot);
        if (r < 0)
                return r;
        *ret = boot;
        return 0;
}

int journal_boot_id(sd_id128_t *ret)
{
        _cleanup_(sd_journal_closep) sd_journal *j = NULL;
        sd_id128_t invocation;
        int r;

        r = sd_journal_open(&j, SD_JOURNAL_LOCAL_ONLY);
        if (r < 0)
                return r;
        /* In this boot, the manager logged that it started us. */
        if (sd_id128_get_invocation(&invocation) >= 0 && add_match(j, "_PID", "1") >= 0 &&
            add_match_id(j, "INVOCATION_ID", invocation) >= 0 && last_boot(j, ret) >= 0)
                return 0;
        /* The manager did not start us, or the entry is gone. If the clock was set back, the last entry may be from
         * another boot. */
        sd_journal_flush_matches(j);
        return last_boot(j, ret);
}

int journal_match_all(sd_journal *j)
{
        int r;

        sd_journal_flush_matches(j);
        r = match_manager(j);
        return r < 0 ? r : match_or_lines(j);
}

int journal_match_unit(sd_journal *j, const char *unit)
{
        int r;

        sd_journal_flush_matches(j);
        r = match_manager(j);
        if (r >= 0)
                r = add_match(j, "UNIT", unit);
        if (r >= 0)
                r = match_or_lines(j);
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
        r = match_manager(j);
        if (r >= 0)
                r = add_match_id(j, "INVOCATION_ID", id);
        if (r >= 0)
                r = match_or_lines(j);
        if (r >= 0)
                r = add_match_id(j, "_SYSTEMD_INVOCATION_ID", id);
        return r;
}

/* The fields to read. If a field has several values, their order is that of the journal's objects, not the sender's,
 * so none can be preferred: systemd also adds a unit's LogExtraFields= to its own entries about that unit. Only
 * journald writes the fields that begin with "_", each once. */
typedef enum Field {
        FIELD_TRANSPORT,
        FIELD_PID,
        FIELD_UID,
        FIELD_SYSTEMD_UNIT,
        FIELD_SYSTEMD_INVOCATION_ID,
        FIELD_STREAM_ID,
        FIELD_SOURCE_REALTIME,
        FIELD_UNIT,
        FIELD_INVOCATION_ID,
        FIELD_EXIT_CODE,
        FIELD_EXIT_STATUS,
        FIELD_UNIT_RESULT,
        FIELD_MESSAGE_ID,
        FIELD_MESSAGE,
        N_FIELDS,
} Field;

static const char *const field_table[N_FIELDS] = {
        [FIELD_TRANSPORT] = "_TRANSPORT",
        [FIELD_PID] = "_PID",
        [FIELD_UID] = "_UID",
        [FIELD_SYSTEMD_UNIT] = "_SYSTEMD_UNIT",
        [FIELD_SYSTEMD_INVOCATION_ID] = "_SYSTEMD_INVOCATION_ID",
        [FIELD_STREAM_ID] = "_STREAM_ID",
        [FIELD_SOURCE_REALTIME] = "_SOURCE_REALTIME_TIMESTAMP",
        [FIELD_UNIT] = "UNIT",
        [FIELD_INVOCATION_ID] = "INVOCATION_ID",
        [FIELD_EXIT_CODE] = "EXIT_CODE",
        [FIELD_EXIT_STATUS] = "EXIT_STATUS",
        [FIELD_UNIT_RESULT] = "UNIT_RESULT",
        [FIELD_MESSAGE_ID] = "MESSAGE_ID",
        [FIELD_MESSAGE] = "MESSAGE",
};

/* Exceeds the length of any unit name. */
#define VALUE_MAX 260

typedef struct Fields {
        char value[N_FIELDS][VALUE_MAX]; /* not kept for FIELD_MESSAGE_ID and FIELD_MESSAGE */
        unsigned n[N_FIELDS];            /* number of values; one that is too long or contains a NUL counts twice */
        unsigned types;                  /* a bit for each RunEntryType named by a MESSAGE_ID */
} Fields;

static Field field_find(const char *data, size_t name_length)
{
        Field i;

        for (i = 0; i < N_FIELDS; i++)
                if (strncmp(field_table[i], data, name_length) == 0 && field_table[i][name_length] == '\0')
                        break;
        return i;
}

static void fields_add_message_id(Fields *f, const char *value)
{
        sd_id128_t id;

        if (sd_id128_from_string(value, &id) < 0)
                return;
        for (size_t i = 0; i < ELEMENTSOF(message_table); i++)
                if (sd_id128_equal(message_table[i].id, id))
                        f->types |= 1U << message_table[i].type;
}

static void fields_add(Fields *f, const char *data, size_t size)
{
        const char *value = memchr(data, '=', size);
        Field i = value ? field_find(data, (size_t) (value - data)) : N_FIELDS;
        char s[VALUE_MAX];
        size_t n;

        if (i == N_FIELDS)
                return;
        f->n[i]++;
        if (i == FIELD_MESSAGE)
                return;
        value++;
        n = size - (size_t) (value - data);
        if (n >= sizeof(s) || memchr(value, '\0', n)) {
                f->n[i]++;
                return;
        }
        memcpy(s, value, n);
        s[n] = '\0';
        if (i == FIELD_MESSAGE_ID)
                fields_add_message_id(f, s);
        else
                memcpy(f->value[i], s, n + 1);
}

/* Reads all fields in one pass: each lookup by name would cost a pass of its own. */
static int fields_read(sd_journal *j, Fields *f)
{
        const void *data;
        size_t size;
        int r;

        memset(f->n, 0, sizeof(f->n));
        f->types = 0;
        sd_journal_restart_data(j);
        while ((r = sd_journal_enumerate_available_data(j, &data, &size)) > 0)
                fields_add(f, data, size);
        return r;
}

/* The value of a field with exactly one value, or NULL. */
static const char *field(const Fields *f, Field i)
{
        return f->n[i] == 1 ? f->value[i] : NULL;
}

static int field_id(const Fields *f, Field i, sd_id128_t *ret)
{
        const char *s = field(f, i);

        return s ? sd_id128_from_string(s, ret) : -ENOENT;
}

static int field_number(const Fields *f, Field i, uint64_t *ret)
{
        const char *s = field(f, i);
        uint64_t v;
        char *end;

        if (!s)
                return -ENOENT;
        errno = 0;
        v = strtoull(s, &end, 10);
        /* NOLINTNEXTLINE(clang-analyzer-core.UndefinedBinaryOperatorResult): only FIELD_MESSAGE_ID is not kept */
        if (errno > 0 || end == s || *end != '\0' || s[0] == '-')
                return -EINVAL;
        *ret = v;
        return 0;
}

/* Checks the trusted sender first, then the message ID. */
static int read_type(const Fields *f, RunEntryType *ret)
{
        const unsigned line = 1U << RUN_ENTRY_LINE;

        if (streq_ptr(field(f, FIELD_TRANSPORT), "stdout")) {
                if (!(f->types & line))
                        return -ENOENT;
                *ret = RUN_ENTRY_LINE;
                return 0;
        }
        if (!streq_ptr(field(f, FIELD_TRANSPORT), "journal") || !streq_ptr(field(f, FIELD_PID), "1") ||
            !streq_ptr(field(f, FIELD_UID), "0"))
                return -EPERM;
        for (size_t i = 0; i < ELEMENTSOF(message_table); i++)
                if ((f->types & ~line) == 1U << message_table[i].type) {
                        *ret = message_table[i].type;
                        return 0;
                }
        return -ENOENT;
}

/* wanted: NULL for any service. */
static int read_slug(const char *unit, const char *wanted, char slug[static SLUG_MAX + 1])
{
        if (!unit)
                return -ENOENT;
        if (!wanted)
                return slug_from_service_unit(unit, slug);
        slug[0] = '\0';
        return streq(unit, wanted) ? 0 : -EPERM;
}

static const char *keep(char *buffer, size_t size, const char *s)
{
        if (!s || strlen(s) >= size)
                return NULL;
        return strcpy(buffer, s);
}

static int read_manager(const Fields *f, const char *unit, JournalEntry *e)
{
        uint64_t n;
        int r;

        r = read_slug(field(f, FIELD_UNIT), unit, e->slug);
        if (r < 0)
                return r;
        r = field_id(f, FIELD_INVOCATION_ID, &e->entry.invocation_id);
        if (r < 0)
                return r;
        if (e->entry.type == RUN_ENTRY_EXIT) {
                e->entry.exit_code = keep(e->exit_code, sizeof(e->exit_code), field(f, FIELD_EXIT_CODE));
                if (field_number(f, FIELD_EXIT_STATUS, &n) >= 0 && n <= INT32_MAX)
                        e->entry.exit_status = (int) n;
        } else if (e->entry.type == RUN_ENTRY_FAILURE)
                e->entry.result = keep(e->result, sizeof(e->result), field(f, FIELD_UNIT_RESULT));
        return 0;
}

static int read_line(const Fields *f, const char *unit, JournalEntry *e)
{
        int r;

        if (f->n[FIELD_MESSAGE] != 1)
                return -EBADMSG;
        r = read_slug(field(f, FIELD_SYSTEMD_UNIT), unit, e->slug);
        if (r < 0)
                return r;
        (void) field_id(f, FIELD_SYSTEMD_INVOCATION_ID, &e->entry.invocation_id);
        if (field_id(f, FIELD_STREAM_ID, &e->entry.stream_id) < 0)
                e->entry.stream_id = e->entry.invocation_id;
        if (sd_id128_is_null(e->entry.stream_id))
                return -EBADMSG;
        return 0;
}

static int read_message(sd_journal *j, RunEntry *e)
{
        size_t n, skip = strlen("MESSAGE=");
        const void *data;
        int r;

        r = sd_journal_get_data(j, "MESSAGE", &data, &n);
        if (r < 0)
                return r;
        if (n < skip)
                return -EBADMSG;
        e->text = (const char *) data + skip;
        e->length = n - skip;
        return 0;
}

static int read_fields(sd_journal *j, const char *unit, JournalEntry *e)
{
        RunEntry *re = &e->entry;
        uint64_t n;
        Fields f;
        int r;

        r = fields_read(j, &f);
        if (r < 0)
                return r;
        r = read_type(&f, &re->type);
        if (r < 0)
                return r;
        r = re->type == RUN_ENTRY_LINE ? read_line(&f, unit, e) : read_manager(&f, unit, e);
        if (r < 0)
                return r;
        r = sd_journal_get_realtime_usec(j, &re->realtime);
        if (r < 0)
                return r;
        r = sd_journal_get_monotonic_usec(j, &re->monotonic, &re->boot_id);
        if (r < 0)
                return r;
        re->source_realtime = field_number(&f, FIELD_SOURCE_REALTIME, &n) >= 0 ? n : re->realtime;
        r = sd_journal_get_cursor(j, &e->cursor);
        if (r < 0)
                return r;
        return re->type == RUN_ENTRY_LINE ? read_message(j, re) : 0;
}

int journal_entry_read_unit(sd_journal *j, const char *unit, JournalEntry *ret)
{
        JournalEntry e = {};
        int r;

        r = read_fields(j, unit, &e);
        if (r < 0) {
                free(e.cursor);
                /* Any other error concerns only this entry. */
                return r == -ENOMEM ? r : 0;
        }
        journal_entry_move(&e, ret);
        return 1;
}

int journal_entry_read(sd_journal *j, JournalEntry *ret)
{
        return journal_entry_read_unit(j, NULL, ret);
}

void journal_entry_move(JournalEntry *e, JournalEntry *ret)
{
        *ret = *e;
        *e = (JournalEntry){};
        ret->entry.slug = ret->slug;
        ret->entry.cursor = ret->cursor;
        ret->entry.exit_code = ret->entry.exit_code ? ret->exit_code : NULL;
        ret->entry.result = ret->entry.result ? ret->result : NULL;
}

void journal_entry_done(JournalEntry *e)
{
        free(e->cursor);
        *e = (JournalEntry){};
}
