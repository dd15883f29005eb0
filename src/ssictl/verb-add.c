/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "ctl.h"
#include "problems.h"
#include "run-wait.h"
#include "service-info.h"

static const char *base_name(const char *path)
{
        const char *slash = strrchr(path, '/');

        return slash ? slash + 1 : path;
}

int ctl_new_script_call(Ctl *c, const char *path, const char *member, sd_bus_message **ret)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        _cleanup_free_ char *content = NULL;
        int r;

        r = ctl_read_script(path, &content);
        if (r < 0)
                return r;
        r = ctl_new_call(c, &m, AGENT_BUS_NAME, AGENT_PATH, AGENT_MANAGER_INTERFACE, member);
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "ss", base_name(path), content);
        if (r < 0) {
                ctl_say_error("Cannot send %s: %s", path, strerror(-r));
                return -CTL_EXIT_FAILURE;
        }
        *ret = TAKE_PTR(m);
        return 0;
}

/* The answer to AddService. */
typedef struct Added {
        const char *file;
        const char *path, *change, *invocation_id;
        sd_bus_message *reply; /* positioned at the problems */
} Added;

static int print_added_json(const ServiceInfo *i, const Added *a)
{
        _cleanup_json_ json_object *o = service_info_to_json(i), *problems = NULL;

        if (!o || problems_to_json(a->reply, &problems) < 0 || json_add_string(o, "change", a->change) < 0 ||
            json_add_take(o, "problems", TAKE_PTR(problems)) < 0)
                return ctl_print_json(NULL);
        return ctl_print_json(TAKE_PTR(o));
}

static int print_added_text(const Ctl *c, const ServiceInfo *i, const Added *a)
{
        char in[64];

        (void) problems_print(c, a->reply, a->file, stderr);
        printf("%s %s (%s, version %s)",
               streq(a->change, "unchanged") ? "Unchanged:" :
               streq(a->change, "replaced")  ? "Replaced" :
                                               "Added",
               i->name, i->title, strempty(json_get_string(i->metadata, "version")));
        if (i->next_run > 0)
                printf(", next run %s", service_info_next(i, in));
        printf(".\n");
        fflush(stdout);
        return CTL_EXIT_OK;
}

/* Returns an exit code, negative if the error has been printed. */
static int print_added(Ctl *c, const Added *a)
{
        ServiceInfo i = {};
        int r;

        r = ctl_get_service_info(c, a->path, &i);
        if (r < 0)
                return r;
        r = c->json ? print_added_json(&i, a) : print_added_text(c, &i, a);
        if (r >= 0 && c->run && service_info_is_bad(&i))
                r = CTL_EXIT_NOT_OK;
        service_info_done(&i);
        return r;
}

/* As text, reports the installation before the run ends. As JSON, prints a single object for both, after the run. */
static int finish(Ctl *c, const Added *a)
{
        _cleanup_free_ char *name = NULL;
        bool waits = c->run && !isempty(a->invocation_id);
        int r;

        if (sd_bus_path_decode(a->path, AGENT_SERVICE_PATH, &name) <= 0)
                return -CTL_EXIT_FAILURE;
        if (c->json) {
                r = waits ? run_wait(c, name, a->path, a->invocation_id) : 0;
                return r < 0 ? r : print_added(c, a);
        }
        r = print_added(c, a);
        if (r < 0 || !c->run)
                return r;
        if (!waits) {
                printf("%s: queued; systemd has not started it yet. (ssictl status %s)\n", name, name);
                return CTL_EXIT_OK;
        }
        r = run_wait(c, name, a->path, a->invocation_id);
        return r < 0 ? r : run_print_result(c, a->path);
}

static int add_one(Ctl *c, const char *path)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        Added a = { .file = path };
        int r;

        r = ctl_new_script_call(c, path, "AddService", &m);
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "a{sv}", 2, "replace", "b", c->replace, "run", "b", c->run);
        if (r < 0)
                return -CTL_EXIT_FAILURE;
        r = ctl_call_authorized(c, m, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "oss", &a.path, &a.change, &a.invocation_id);
        if (r < 0) {
                ctl_say_error("Cannot read the agent's answer: %s", strerror(-r));
                return -CTL_EXIT_FAILURE;
        }
        a.reply = reply;
        return finish(c, &a);
}

/* Returns the first failure, or else whether a result was bad. */
int verb_add(Ctl *c, int argc, char *argv[])
{
        int result = 0;

        for (int i = 0; i < argc; i++) {
                int r = add_one(c, argv[i]);

                if (result >= 0)
                        result = r < 0 ? r : MAX(result, r);
        }
        return result;
}

static int remove_one(Ctl *c, const char *name)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        _cleanup_free_ char *sentence = NULL;
        int r;

        r = ctl_new_call(c, &m, AGENT_BUS_NAME, AGENT_PATH, AGENT_MANAGER_INTERFACE, "RemoveService");
        if (r < 0)
                return r;
        if (sd_bus_message_append(m, "s", name) < 0) {
                ctl_say_error("\"%s\" is not a valid service name.", name);
                return -CTL_EXIT_NO_SERVICE;
        }
        r = ctl_call_authorized(c, m, NULL);
        if (r < 0)
                return r;
        if (asprintf(&sentence, "Removed %s.", name) < 0)
                return -CTL_EXIT_FAILURE;
        return ctl_print_done(c, "removed", name, sentence);
}

int verb_remove(Ctl *c, int argc, char *argv[])
{
        int result = 0;

        for (int i = 0; i < argc; i++) {
                int r = remove_one(c, argv[i]);

                result = r < 0 && result == 0 ? r : result;
        }
        return result;
}
