#include <sys/ioctl.h>

#include "service-info.h"

/* The terminal's width, 80 when there is none. */
static unsigned columns(void)
{
        struct winsize ws;

        return ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) >= 0 && ws.ws_col >= 40 ? ws.ws_col : 80;
}

/* Prints s in at most width columns; counts characters, not bytes. */
static void put_cut(const char *s, unsigned width)
{
        const char *p = s;
        unsigned n = 0;

        while (*p && n < width) {
                p++;
                while ((*p & 0xc0) == 0x80)
                        p++;
                n++;
        }
        if (*p && width > 0 && !isatty(STDOUT_FILENO))
                fputs(s, stdout);
        else
                fwrite(s, 1, (size_t) (p - s), stdout);
}

static int print_json(const ServiceInfo *infos, size_t n)
{
        json_object *array = json_object_new_array();

        for (size_t i = 0; array && i < n; i++) {
                json_object *o = service_info_to_json(infos + i);

                if (!o || json_object_array_add(array, o) < 0) {
                        json_object_put(o);
                        json_object_put(array);
                        array = NULL;
                }
        }
        return ctl_print_json(array);
}

static void print_table(Ctl *c, const ServiceInfo *infos, size_t n)
{
        unsigned name_width = 4;

        if (n == 0)
                puts("No service-scripts are installed. Add one: ssictl add FILE");
        for (size_t i = 0; i < n; i++)
                name_width = MAX(name_width, (unsigned) strlen(infos[i].name));
        name_width = MIN(name_width, 28U);
        if (n > 0)
                printf("%s%-*s %-8s %-9s %-9s %s%s\n", ctl_bold(c), (int) name_width, "NAME", "STATUS", "SINCE", "NEXT", "MESSAGE", ctl_color_end(c));
        for (size_t i = 0; i < n; i++) {
                const ServiceInfo *s = infos + i;
                const char *state = service_info_state(s);
                char since[64], next[64];

                printf("%-*s %s%-8s%s %-9s %-9s ",
                       (int) name_width,
                       s->name,
                       ctl_color(c, state),
                       state,
                       ctl_color_end(c),
                       ctl_relative_time(s->status_timestamp, since),
                       s->enabled ? ctl_relative_time(s->next_run, next) : "disabled");
                if (service_info_has_error(s))
                        printf("%s[%s]%s ", ctl_color(c, "error"), s->last_run_result, ctl_color_end(c));
                put_cut(!isempty(s->message) ? s->message : strempty(s->last_run_detail), columns() > name_width + 30 ? columns() - name_width - 30 : 20);
                putchar('\n');
        }
}

int verb_list(Ctl *c, int argc, char *argv[])
{
        ServiceInfo *infos = NULL;
        size_t n = 0;
        int r;

        r = ctl_get_services(c, &infos, &n);
        if (r < 0)
                return r;
        if (c->json)
                r = print_json(infos, n);
        else
                print_table(c, infos, n);
        service_infos_free(infos, n);
        return r;
}
