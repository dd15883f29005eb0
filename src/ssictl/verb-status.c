#include "service-info.h"
#include "status.h"

static bool is_bad(const ServiceInfo *i)
{
        return service_info_has_error(i) || streq(strempty(i->status), "WARNING") || streq(strempty(i->status), "FAILURE");
}

static void print_field(const char *name, const char *value)
{
        if (!isempty(value))
                printf("%12s: %s\n", name, value);
}

static void print_service(Ctl *c, const ServiceInfo *i)
{
        char since[64], ago[64], duration[64], next[64], in[64], timeout[64];
        const char *state = service_info_state(i);

        printf("%s●%s %s%s%s - %s\n", ctl_color(c, state), ctl_color_end(c), ctl_bold(c), i->name, ctl_color_end(c), i->title);
        print_field("Description", i->description);
        printf("%12s: %s%s%s%s%s\n",
               "Status",
               ctl_color(c, state),
               isempty(i->status) ? "none yet" : i->status,
               ctl_color_end(c),
               isempty(i->message) ? "" : ", ",
               strempty(i->message));
        if (i->status_timestamp > 0)
                printf("%12s: %s; %s\n",
                       "Reported",
                       ctl_local_time(i->status_timestamp, since),
                       ctl_relative_time(i->status_timestamp, ago));
        if (i->last_run > 0)
                printf("%12s: %s%s%s%s%s; took %s\n",
                       "Last run",
                       service_info_has_error(i) ? ctl_color(c, "error") : "",
                       i->last_run_result,
                       isempty(i->last_run_detail) ? "" : ", ",
                       strempty(i->last_run_detail),
                       service_info_has_error(i) ? ctl_color_end(c) : "",
                       ctl_duration(i->last_run_duration, duration));
        if (!i->enabled)
                print_field("Next run", "never, the timer is disabled");
        else if (i->next_run > 0)
                printf("%12s: %s; %s\n",
                       "Next run",
                       ctl_local_time(i->next_run, next),
                       ctl_relative_time(i->next_run, in));
        printf("%12s: %s (timeout %s)\n", "Schedule", i->schedule, ctl_duration(i->timeout_usec, timeout));
        printf("%12s: %s, version %s\n", "Unit", i->unit, i->version);
        print_field("User", i->user);
}

static int status_one(Ctl *c, const char *name)
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
        else
                print_service(c, &i);
        if (r >= 0)
                r = is_bad(&i) ? CTL_EXIT_NOT_OK : CTL_EXIT_OK;
        service_info_done(&i);
        return r;
}

static int status_all(Ctl *c)
{
        unsigned counts[_STATUS_MAX] = {}, errors = 0, waiting = 0;
        ServiceInfo *infos = NULL;
        const char *separator = "";
        size_t n = 0;
        bool bad = false;
        int r;

        r = ctl_get_services(c, &infos, &n);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++) {
                Status s = isempty(infos[i].status) ? _STATUS_INVALID : status_from_string(infos[i].status);

                if (s >= 0)
                        counts[s]++;
                else
                        waiting++;
                errors += service_info_has_error(infos + i);
                bad = bad || is_bad(infos + i);
        }
        printf("%zu service%s", n, n == 1 ? "" : "s");
        separator = ": ";
        for (Status s = _STATUS_MAX - 1; s >= 0; s--) {
                if (counts[s] == 0)
                        continue;
                printf("%s%s%u %s%s", separator, ctl_color(c, status_to_string(s)), counts[s], status_to_string(s), ctl_color_end(c));
                separator = ", ";
        }
        if (waiting > 0)
                printf("%s%u without a result yet", separator, waiting);
        if (errors > 0)
                printf("; %s%u with an execution error%s", ctl_color(c, "error"), errors, ctl_color_end(c));
        putchar('\n');
        for (size_t i = 0; i < n; i++) {
                if (!is_bad(infos + i))
                        continue;
                putchar('\n');
                print_service(c, infos + i);
        }
        service_infos_free(infos, n);
        return bad ? CTL_EXIT_NOT_OK : CTL_EXIT_OK;
}

int verb_status(Ctl *c, int argc, char *argv[])
{
        int result = CTL_EXIT_OK;

        if (argc == 0)
                return c->json ? verb_list(c, argc, argv) : status_all(c);
        for (int i = 0; i < argc; i++) {
                int r = status_one(c, argv[i]);

                if (r < 0)
                        return r;
                result = MAX(result, r);
        }
        return result;
}
