/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "table.h"
#include "text.h"

#define NAME_WIDTH_MIN 12U
#define STATUS_WIDTH   9U /* "WARNING !" */
#define TIME_WIDTH     9U /* "59min ago" */

/* The text to the right of the status: its message, after the error of the last run if there was one. */
static char *describe(const ServiceInfo *i)
{
        const char *text = isempty(i->message) ? strempty(i->last_run_detail) : i->message;
        char *s;

        if (!service_info_has_error(i))
                return strdup(strempty(i->message));
        return asprintf(&s, "[%s] %s", i->last_run_result, text) < 0 ? NULL : s;
}

static void print_row(const Ctl *c, const ServiceInfo *i, unsigned name_width, unsigned message_width)
{
        _cleanup_free_ char *name = text_cut(i->name, name_width), *text = describe(i), *message = NULL;
        bool error = service_info_has_error(i);
        const char *state = service_info_state(i);
        char since[64], next[64];

        text_put(strempty(name), name_width);
        printf(" %s%s%s", ctl_color(c, state), state, ctl_color_end(c));
        /* An execution error is not a status, so it is shown beside the status. */
        if (error && !isempty(i->status))
                printf(" %s!%s%*s", ctl_color(c, "error"), ctl_color_end(c),
                       (int) (STATUS_WIDTH - MIN((unsigned) strlen(state) + 2, STATUS_WIDTH)), "");
        else
                printf("%*s", (int) (STATUS_WIDTH - MIN((unsigned) strlen(state), STATUS_WIDTH)), "");
        printf(" %-*s %-*s ", (int) TIME_WIDTH, ctl_relative_time(i->status_timestamp, since), (int) TIME_WIDTH,
               service_info_next(i, next));
        message = text_cut(strempty(text), message_width);
        puts(strempty(message));
}

void table_print_services(const Ctl *c, const ServiceInfo *infos, size_t n)
{
        unsigned name_width = 4, fixed, columns = text_columns(), message_width = TEXT_WIDTH_MAX;
        bool tty = isatty(STDOUT_FILENO);

        if (n == 0)
                return;
        for (size_t i = 0; i < n; i++)
                name_width = MAX(name_width, text_width(infos[i].name));
        /* Only a terminal has an edge, and a wide one has room for long names. */
        if (tty) {
                name_width = MIN(name_width, MAX(NAME_WIDTH_MIN, columns * 3 / 10));
                fixed = name_width + STATUS_WIDTH + 2 * TIME_WIDTH + 4;
                message_width = columns > fixed ? columns - fixed : 1;
        }
        printf("%s%-*s %-*s %-*s %-*s MESSAGE%s\n", ctl_bold(c), (int) name_width, "NAME", (int) STATUS_WIDTH, "STATUS",
               (int) TIME_WIDTH, "SINCE", (int) TIME_WIDTH, "NEXT", ctl_color_end(c));
        for (size_t i = 0; i < n; i++)
                print_row(c, infos + i, name_width, message_width);
}
