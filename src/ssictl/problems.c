/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "problems.h"

typedef struct Problem {
        unsigned line;
        const char *severity, *text;
} Problem;

static int problem_next(sd_bus_message *reply, Problem *p)
{
        return sd_bus_message_read(reply, "(uss)", &p->line, &p->severity, &p->text);
}

int problems_print(const Ctl *c, sd_bus_message *reply, const char *path, FILE *f)
{
        Problem p;
        int r;

        r = sd_bus_message_enter_container(reply, 'a', "(uss)");
        while (r >= 0 && (r = problem_next(reply, &p)) > 0)
                /* Colors were decided only for standard output. */
                fprintf(f, "%s:%u: %s%s%s: %s\n", path, p.line,
                        f == stdout ? ctl_color(c, streq(p.severity, "error") ? "FAILURE" : "WARNING") : "", p.severity,
                        f == stdout ? ctl_color_end(c) : "", p.text);
        return r < 0 ? r : sd_bus_message_exit_container(reply);
}

static int add_problem(json_object *array, const Problem *p)
{
        _cleanup_json_ json_object *o = json_object_new_object();

        if (!o || json_add_int64(o, "line", p->line) < 0 || json_add_string(o, "severity", p->severity) < 0 ||
            json_add_string(o, "text", p->text) < 0 || json_object_array_add(array, o) < 0)
                return -ENOMEM;
        TAKE_PTR(o);
        return 0;
}

int problems_to_json(sd_bus_message *reply, json_object **ret)
{
        _cleanup_json_ json_object *array = json_object_new_array();
        Problem p;
        int r;

        if (!array)
                return -ENOMEM;
        r = sd_bus_message_enter_container(reply, 'a', "(uss)");
        while (r >= 0 && (r = problem_next(reply, &p)) > 0)
                r = add_problem(array, &p);
        if (r >= 0)
                r = sd_bus_message_exit_container(reply);
        if (r >= 0)
                *ret = TAKE_PTR(array);
        return r;
}
