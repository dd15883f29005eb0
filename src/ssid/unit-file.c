/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>

#include "schedule.h"
#include "unit-file.h"

/* See systemd.unit(5): '%' begins a specifier, and a backslash at the end continues the line. */
static void put_escaped(FILE *f, const char *s)
{
        size_t n = strlen(s);

        for (size_t i = 0; i < n; i++) {
                if (s[i] == '%')
                        fputs("%%", f);
                else if (s[i] == '\\' && i + 1 == n)
                        fputs("\\ ", f);
                else
                        fputc(s[i], f);
        }
}

static void put_setting(FILE *f, const char *key, const char *value)
{
        fprintf(f, "%s=", key);
        put_escaped(f, value);
        fputc('\n', f);
}

typedef struct Text {
        FILE *f;
        bool in_service;
} Text;

static int put(const UnitSetting *s, void *userdata)
{
        Text *t = userdata;

        if (s->section == UNIT_SECTION_SERVICE && !t->in_service) {
                fputs("\n[Service]\n", t->f);
                t->in_service = true;
        }
        switch (s->type) {
        case UNIT_SETTING_BOOL:
                fprintf(t->f, "%s=%s\n", s->key, s->number ? "yes" : "no");
                break;
        case UNIT_SETTING_USEC:
                fprintf(t->f, "%s=%" PRIu64 "us\n", s->key, s->number);
                break;
        case UNIT_SETTING_COUNT:
        case UNIT_SETTING_BYTES:
                fprintf(t->f, "%s=%" PRIu64 "\n", s->key, s->number);
                break;
        case UNIT_SETTING_MODE:
                fprintf(t->f, "%s=%04" PRIo64 "\n", s->key, s->number);
                break;
        default:
                put_setting(t->f, s->key, s->text);
                break;
        }
        return 0;
}

char *unit_file_service(const UnitSpec *spec)
{
        _cleanup_free_ char *text = NULL;
        _cleanup_fclose_ FILE *f = NULL;
        size_t n;

        f = open_memstream(&text, &n);
        if (!f)
                return NULL;
        fputs(UNIT_FILE_MARK "[Unit]\n", f);
        if (unit_settings_visit(spec, put, &(Text){ .f = f }) < 0)
                return NULL;
        if (fclose(TAKE_PTR(f)) != 0)
                return NULL;
        return TAKE_PTR(text);
}

/* The lines in which versions differ. A new version adds those that it writes for the first time, or no longer. */
static const char *const lines_of_versions[] = {
        "AmbientCapabilities=CAP_SETUID",
        "CPUAccounting=yes",
        "User=_ssi*",
};

static bool is_line_of_versions(const char *line, size_t n)
{
        for (size_t i = 0; i < ELEMENTSOF(lines_of_versions); i++) {
                const char *l = lines_of_versions[i];
                size_t m = strcspn(l, "*");

                if ((l[m] ? n >= m : n == m) && memcmp(l, line, m) == 0)
                        return true;
        }
        return false;
}

/* The next line that all versions write. */
static const char *next_common_line(const char **s, size_t *ret_n)
{
        const char *line;

        do {
                line = *s;
                *ret_n = strcspn(line, "\n");
                *s = line + *ret_n + (line[*ret_n] == '\n');
        } while (is_line_of_versions(line, *ret_n));
        return line;
}

static bool differs_by_version(const char *a, const char *b)
{
        while (*a || *b) {
                size_t n, m;
                const char *x = next_common_line(&a, &n), *y = next_common_line(&b, &m);

                if (n != m || memcmp(x, y, n) != 0)
                        return false;
        }
        return true;
}

int unit_file_service_update(const char *text, const Metadata *metadata, char **ret)
{
        static const char key[] = "\nTimeoutStartSec=";
        const char *timeout = strstr(text, key);
        UnitSpec spec = { .metadata = metadata };
        _cleanup_free_ char *wanted = NULL;

        if (!timeout || sscanf(timeout + strlen(key), "%" SCNu64 "us", &spec.timeout_usec) != 1)
                return 0;
        wanted = unit_file_service(&spec);
        if (!wanted)
                return -ENOMEM;
        if (streq(text, wanted) || !differs_by_version(text, wanted))
                return 0;
        *ret = TAKE_PTR(wanted);
        return 1;
}

/* ---- Properties on D-Bus ---- */

static int append_words(sd_bus_message *m, const char *text, const char *type)
{
        int r;

        r = sd_bus_message_open_container(m, 'a', type);
        while (r >= 0 && *(text += strspn(text, " "))) {
                size_t n = strcspn(text, " ");
                _cleanup_free_ char *word = strndup(text, n);

                if (!word)
                        return -ENOMEM;
                text += n;
                r = streq(type, "s") ? sd_bus_message_append_basic(m, 's', word) :
                                       sd_bus_message_append_array(m, 'y', word, n);
        }
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_filter(sd_bus_message *m, const char *text)
{
        bool deny = text[0] == '~';
        int r;

        r = sd_bus_message_open_container(m, 'r', "bas");
        if (r >= 0)
                r = sd_bus_message_append(m, "b", !deny);
        if (r >= 0)
                r = append_words(m, text + deny, "s");
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_value(sd_bus_message *m, const UnitSetting *s)
{
        switch (s->type) {
        case UNIT_SETTING_BOOL:
                return sd_bus_message_append(m, "b", (int) s->number);
        case UNIT_SETTING_USEC:
        case UNIT_SETTING_COUNT:
        case UNIT_SETTING_BYTES:
        case UNIT_SETTING_MASK:
                return sd_bus_message_append(m, "t", s->number);
        case UNIT_SETTING_MODE:
                return sd_bus_message_append(m, "u", (uint32_t) s->number);
        case UNIT_SETTING_ERRNO:
                return sd_bus_message_append(m, "i", (int32_t) s->number);
        case UNIT_SETTING_WORDS:
                return append_words(m, s->text, "s");
        case UNIT_SETTING_FIELDS:
                return append_words(m, s->text, "ay");
        case UNIT_SETTING_FILTER:
                return append_filter(m, s->text);
        case UNIT_SETTING_EXEC:
                return sd_bus_message_append(m, "a(sasb)", 1, s->text, 1, s->text, false);
        default:
                return sd_bus_message_append(m, "s", s->text);
        }
}

static int append(const UnitSetting *s, void *userdata)
{
        static const char *const types[] = {
                [UNIT_SETTING_TEXT] = "s",       [UNIT_SETTING_BOOL] = "b",     [UNIT_SETTING_USEC] = "t",
                [UNIT_SETTING_COUNT] = "t",      [UNIT_SETTING_BYTES] = "t",    [UNIT_SETTING_MODE] = "u",
                [UNIT_SETTING_ERRNO] = "i",      [UNIT_SETTING_MASK] = "t",     [UNIT_SETTING_WORDS] = "as",
                [UNIT_SETTING_FILTER] = "(bas)", [UNIT_SETTING_FIELDS] = "aay", [UNIT_SETTING_EXEC] = "a(sasb)",
        };
        sd_bus_message *m = userdata;
        char name[64];
        int r;

        /* For example, TimeoutStartSec= is named TimeoutStartUSec on D-Bus. */
        if (s->type == UNIT_SETTING_USEC)
                snprintf(name, sizeof(name), "%.*sUSec", (int) (strlen(s->key) - strlen("Sec")), s->key);
        else
                snprintf(name, sizeof(name), "%s", s->key);
        r = sd_bus_message_open_container(m, 'r', "sv");
        if (r >= 0)
                r = sd_bus_message_append_basic(m, 's', name);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', types[s->type]);
        if (r >= 0)
                r = append_value(m, s);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

int unit_file_append_properties(const UnitSpec *spec, sd_bus_message *m)
{
        int r;

        r = sd_bus_message_open_container(m, 'a', "(sv)");
        if (r >= 0)
                r = unit_settings_visit(spec, append, m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

/* ---- The timer ---- */

static void put_calendar(FILE *f, const char *schedule, const char *normalized, uint64_t zone_minutes)
{
        if (schedule_is_same_in_utc(normalized, zone_minutes))
                fprintf(f, "OnCalendar=%s UTC\n", normalized);
        else
                put_setting(f, "OnCalendar", schedule);
}

/* systemd ignores this section. It records the script's own schedule for when the host's zone changes. */
#define RECORD            "\n[X-SSI]\n"
#define RECORD_SCHEDULE   "Schedule="
#define RECORD_NORMALIZED "Normalized="

static void put_record(FILE *f, const char *schedule, const char *normalized)
{
        fputs(RECORD, f);
        put_setting(f, "Schedule", schedule);
        put_setting(f, "Normalized", normalized);
}

char *unit_file_timer(const UnitSpec *spec)
{
        const Metadata *m = spec->metadata;
        _cleanup_free_ char *text = NULL;
        _cleanup_fclose_ FILE *f = NULL;
        size_t n;

        f = open_memstream(&text, &n);
        if (!f)
                return NULL;
        fputs(UNIT_FILE_MARK "[Unit]\n", f);
        fputs("Description=Schedule of ", f);
        put_escaped(f, m->value[METADATA_NAME]);
        /* If the agent's package was removed, nothing runs. */
        fputs("\nDocumentation=man:ssi-service-script(7)\n"
              "ConditionPathExists=" SSI_PKGLIB_DIR "/library.bash\n"
              "\n[Timer]\n",
              f);
        put_calendar(f, m->value[METADATA_SCHEDULE], spec->normalized, spec->zone_minutes);
        fputs("Persistent=yes\n"
              "AccuracySec=1s\n",
              f);
        if (spec->random_delay_usec > 0)
                fprintf(f,
                        "RandomizedDelaySec=%" PRIu64 "us\n"
                        "FixedRandomDelay=yes\n",
                        spec->random_delay_usec);
        fputs("\n[Install]\n"
              "WantedBy=timers.target\n",
              f);
        if (spec->normalized)
                put_record(f, m->value[METADATA_SCHEDULE], spec->normalized);
        if (fclose(TAKE_PTR(f)) != 0)
                return NULL;
        return TAKE_PTR(text);
}

static char *line_after(const char *text, const char *prefix)
{
        const char *s = text ? strstr(text, prefix) : NULL;

        return s ? memdup_string(s + strlen(prefix), strcspn(s + strlen(prefix), "\n")) : NULL;
}

/* No valid calendar expression needs escaping. */
static bool is_escaped(const char *s)
{
        return strpbrk(s, "%\\");
}

/* Whether ssid wrote the expression: either the schedule itself, or its normalized form in UTC. */
static bool is_written_by_us(const char *calendar, const char *schedule, const char *normalized)
{
        const char *zone = startswith(calendar, normalized);

        return streq(calendar, schedule) || (zone && streq(zone, " UTC"));
}

int unit_file_timer_update(const char *text, const char *normalized, uint64_t zone_minutes, char **ret)
{
        static const char key[] = "\nOnCalendar=";
        const char *record = strstr(text, RECORD RECORD_SCHEDULE), *place = strstr(text, key);
        _cleanup_free_ char *calendar = line_after(text, key), *schedule = NULL, *known = NULL, *result = NULL;
        _cleanup_fclose_ FILE *f = NULL;
        const char *rest;
        bool utc;
        size_t n;

        if (!startswith(text, UNIT_FILE_MARK) || !place || strstr(place + 1, key))
                return TIMER_UPDATE_NONE;
        if (!calendar)
                return -ENOMEM;
        rest = place + strlen(key) + strlen(calendar);
        if (is_escaped(calendar) || *rest == '\0')
                return TIMER_UPDATE_NONE;
        schedule = record ? line_after(record, "\n" RECORD_SCHEDULE) : strdup(calendar);
        known = record ? line_after(record, "\n" RECORD_NORMALIZED) : normalized ? strdup(normalized) : NULL;
        if (!schedule || (!record && normalized && !known))
                return -ENOMEM;
        if (!known) {
                if (record)
                        return TIMER_UPDATE_NONE;
                *ret = TAKE_PTR(schedule);
                return TIMER_UPDATE_UNKNOWN;
        }
        utc = schedule_is_same_in_utc(known, zone_minutes);
        if (!is_written_by_us(calendar, schedule, known) || (record && utc == !streq(calendar, schedule)))
                return TIMER_UPDATE_NONE;
        f = open_memstream(&result, &n);
        if (!f)
                return -ENOMEM;
        fprintf(f, "%.*s\n", (int) (place - text), text);
        put_calendar(f, schedule, known, zone_minutes);
        fputs(rest + 1, f);
        if (!record)
                put_record(f, schedule, known);
        if (fclose(TAKE_PTR(f)) != 0)
                return -ENOMEM;
        *ret = TAKE_PTR(result);
        return TIMER_UPDATE_TEXT;
}
