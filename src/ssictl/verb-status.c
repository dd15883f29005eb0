/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <limits.h>

#include "log-lines.h"
#include "service-list.h"
#include "shared/status.h"
#include "table.h"
#include "text.h"
#include "uplink-info.h"
#include "shared/time-util.h"

#define LINES_DEFAULT 10U

/* The column of the values: after a name in 12 columns and ": ". */
#define INDENT 14U

static void print_field(const char *name, const char *value)
{
        if (isempty(value))
                return;
        printf("%12s: ", name);
        text_put_wrapped(value, INDENT, 0);
}

/* Prints a field that begins with a colored word. */
static void print_colored(const Ctl *c, const char *name, const char *color, const char *word, const char *rest)
{
        _cleanup_free_ char *text = NULL;

        if (asprintf(&text, "%s%s", isempty(rest) ? "" : ", ", strempty(rest)) < 0)
                return;
        printf("%12s: %s%s%s", name, color, word, ctl_color_end(c));
        text_put_wrapped(text, INDENT, (unsigned) strlen(word));
}

/* Prints the last output if the user may read it: "status" never asks for a password. */
static void print_output(Ctl *c, const ServiceInfo *i)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        unsigned n = c->lines == UINT_MAX ? LINES_DEFAULT : c->lines;
        bool first = true;
        LogLine l;
        int r;

        if (n == 0)
                return;
        r = log_lines_get(c, i->name, n, false, &m, &error);
        if (r < 0) {
                printf("\n%12s: see \"ssictl log %s\", which may ask for a password\n", "Output", i->name);
                return;
        }
        while (log_lines_next(m, &l) > 0) {
                char when[64];

                if (first)
                        putchar('\n');
                first = false;
                ctl_local_time(l.usec, when);
                printf("%s  ", when);
                text_put_line(l.text, text_columns() - MIN(text_columns() - 1, text_width(when) + 2));
        }
}

static void print_run(const Ctl *c, const ServiceInfo *i)
{
        bool error = service_info_has_error(i);
        char ago[64], duration[64], cpu[64];

        printf("%12s: %s; %s%s%s, took %s", "Last run", ctl_relative_time(i->last_run, ago),
               ctl_color(c, error ? "error" : ""), error ? "execution error" : "success", ctl_color_end(c),
               ctl_duration(i->last_run_duration, duration));
        if (i->last_run_cpu > 0 && i->last_run_cpu != USEC_INFINITY)
                printf(", CPU %s", ctl_duration(i->last_run_cpu, cpu));
        if (i->last_run_memory > 0 && i->last_run_memory != UINT64_MAX)
                printf(", memory %.1f MiB", (double) i->last_run_memory / (1024.0 * 1024.0));
        putchar('\n');
        if (error)
                print_colored(c, "Error", ctl_color(c, "error"), i->last_run_result, i->last_run_detail);
}

static void print_next(const ServiceInfo *i)
{
        char next[64], in[64];

        if (!i->enabled)
                printf("%12s: never, the timer is disabled (ssictl enable %s)\n", "Next run", i->name);
        else if (i->next_run > now_usec(CLOCK_REALTIME))
                printf("%12s: %s; %s\n", "Next run", service_info_next(i, in), ctl_local_time(i->next_run, next));
        else
                print_field("Next run", service_info_next(i, in));
}

/* Turns "description" into "Description". */
static void print_metadata(const ServiceInfo *i)
{
        if (!i->metadata)
                return;
        json_object_object_foreach(i->metadata, key, value)
        {
                _cleanup_free_ char *name = strdup(key);

                if (!name)
                        return;
                if (*name >= 'a' && *name <= 'z')
                        *name = (char) (*name - 'a' + 'A');
                print_field(name, json_object_get_string(value));
        }
}

static void print_service(Ctl *c, const ServiceInfo *i)
{
        const char *state = service_info_state(i);
        char since[64], ago[64], timeout[64];

        printf("%s●%s %s%s%s - ", ctl_color(c, state), ctl_color_end(c), ctl_bold(c), i->name, ctl_color_end(c));
        text_put_line(i->title, text_columns() - MIN(text_columns() - 1, text_width(i->name) + 5));
        print_metadata(i);
        if (isempty(i->status))
                print_field("Status", "none yet");
        else
                print_colored(c, "Status", ctl_color(c, state), i->status, i->message);
        if (i->status_timestamp > 0)
                printf("%12s: %s; %s\n", "Reported", ctl_relative_time(i->status_timestamp, ago),
                       ctl_local_time(i->status_timestamp, since));
        if (i->last_run > 0)
                print_run(c, i);
        print_next(i);
        printf("%12s: %s (timeout %s)\n", "Schedule", i->schedule, ctl_duration(i->timeout_usec, timeout));
        print_field("Unit", i->unit);
        print_field("User", i->user);
        print_output(c, i);
}

static int status_one(Ctl *c, const char *name, bool first)
{
        _cleanup_free_ char *path = NULL;
        ServiceInfo i = {};
        int r;

        r = ctl_get_service(c, name, &path);
        if (r < 0)
                return r;
        r = ctl_get_service_info(c, path, &i);
        if (r < 0)
                return r;
        if (c->json)
                r = ctl_print_json(service_info_to_json(&i));
        else {
                if (!first)
                        putchar('\n');
                print_service(c, &i);
        }
        if (r >= 0)
                r = service_info_is_bad(&i) ? CTL_EXIT_NOT_OK : CTL_EXIT_OK;
        service_info_done(&i);
        return r;
}

typedef struct Summary {
        unsigned counts[_STATUS_MAX], errors, waiting;
        size_t n_bad; /* these come first in the list */
        const ServiceInfo *next;
        Status worst;
} Summary;

static Summary summarize(const ServiceInfo *infos, size_t n)
{
        Summary s = { .worst = _STATUS_INVALID };

        for (size_t k = 0; k < n; k++) {
                const ServiceInfo *i = infos + k;
                Status status = status_from_string(strempty(i->status));

                if (status >= 0)
                        s.counts[status]++;
                else
                        s.waiting++;
                s.worst = MAX(s.worst, status);
                s.errors += service_info_has_error(i);
                s.n_bad += service_info_is_bad(i);
                if (i->enabled && i->next_run > 0 && (!s.next || i->next_run < s.next->next_run))
                        s.next = i;
        }
        return s;
}

static void print_counts(const Ctl *c, const Summary *s, size_t n)
{
        const char *separator = ": ";
        const char *overall = s->worst >= 0 ? status_to_string(s->worst) : s->errors > 0 ? "error" : "-";

        printf("%s●%s %s%zu service%s%s", ctl_color(c, overall), ctl_color_end(c), ctl_bold(c), n, n == 1 ? "" : "s",
               ctl_color_end(c));
        for (Status status = _STATUS_MAX - 1; status >= 0; status--) {
                const char *name = status_to_string(status);

                if (s->counts[status] == 0)
                        continue;
                printf("%s%s%u %s%s", separator, ctl_color(c, name), s->counts[status], name, ctl_color_end(c));
                separator = ", ";
        }
        if (s->waiting > 0)
                printf("%s%u without a status", separator, s->waiting);
        if (s->errors > 0)
                printf("; %s%u execution error%s%s", ctl_color(c, "error"), s->errors, s->errors == 1 ? "" : "s",
                       ctl_color_end(c));
        putchar('\n');
}

static void print_uplink(Ctl *c)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        UplinkInfo i = {};
        char ack[64];

        if (uplink_info_get(c, false, &i, &error) < 0) {
                print_field("Backend", "unknown, ssi-uplinkd is not running");
                return;
        }
        if (isempty(i.server_url))
                print_field("Backend", "none (ssictl register)");
        else if (i.connected)
                print_colored(c, "Backend", ctl_color(c, "OK"), "connected", i.server_url);
        else
                print_colored(c, "Backend", ctl_color(c, "WARNING"), "not connected", i.server_url);
        if (!i.connected)
                print_field("Error", i.last_error);
        if (!isempty(i.server_url) && i.last_ack > 0)
                printf("%12s  last heard %s, %lu result%s waiting\n", "", ctl_relative_time(i.last_ack, ack),
                       (unsigned long) i.backlog, i.backlog == 1 ? "" : "s");
        uplink_info_done(&i);
}

static unsigned columns_left(int used)
{
        unsigned columns = text_columns();

        return used > 0 && (unsigned) used < columns ? columns - (unsigned) used : 1;
}

static void print_overview(Ctl *c, const ServiceInfo *infos, size_t n, const Summary *s)
{
        char next[64];

        print_counts(c, s, n);
        if (n == 0)
                print_field("Begin with", "ssictl add FILE");
        if (s->next) {
                int used = printf("%12s: %s, ", "Next run", service_info_next(s->next, next));

                text_put_line(s->next->name, columns_left(used));
        }
        print_uplink(c);
        if (s->n_bad == 0)
                return;
        putchar('\n');
        table_print_services(c, infos, s->n_bad);
        puts("\nSee \"ssictl status NAME\" and \"ssictl log NAME\".");
}

static int status_all(Ctl *c)
{
        _cleanup_(service_list_done) ServiceList l = {};
        Summary s;
        int r;

        r = c->json ? service_list_get_all(c, &l) : service_list_get(c, &l);
        if (r < 0)
                return r;
        s = summarize(l.infos, l.n);
        if (c->json)
                r = ctl_print_json(service_list_to_json(&l));
        else
                print_overview(c, l.infos, l.n, &s);
        return r >= 0 && s.n_bad > 0 ? CTL_EXIT_NOT_OK : r;
}

int verb_status(Ctl *c, int argc, char *argv[])
{
        int result = CTL_EXIT_OK;

        if (argc == 0 && c->lines != UINT_MAX) {
                ctl_say_error("--lines needs the name of a service.");
                return CTL_EXIT_USAGE;
        }
        if (argc == 0)
                return status_all(c);
        for (int i = 0; i < argc; i++) {
                int r = status_one(c, argv[i], i == 0);

                if (r < 0)
                        return r;
                result = MAX(result, r);
        }
        return result;
}
