#include "service-info.h"

/* Calls a method without arguments of each named service. */
static int for_each(Ctl *c, int argc, char *argv[], const char *member, const char *done)
{
        int result = 0;

        for (int i = 0; i < argc; i++) {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
                _cleanup_free_ char *path = NULL;
                int r;

                r = ctl_get_service(c, argv[i], &path);
                if (r >= 0)
                        r = ctl_new_call(c, &m, AGENT_BUS_NAME, path, AGENT_SERVICE_INTERFACE, member);
                if (r >= 0)
                        r = ctl_call(c, m, NULL);
                if (r >= 0)
                        printf("%s %s.\n", done, argv[i]);
                result = r < 0 && result == 0 ? r : result;
        }
        return result;
}

int verb_enable(Ctl *c, int argc, char *argv[])
{
        return for_each(c, argc, argv, "Enable", "Enabled");
}

int verb_disable(Ctl *c, int argc, char *argv[])
{
        return for_each(c, argc, argv, "Disable", "Disabled");
}

int verb_cat(Ctl *c, int argc, char *argv[])
{
        for (int i = 0; i < argc; i++) {
                _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
                _cleanup_free_ char *path = NULL;
                const char *content;
                int r;

                if ((r = ctl_get_service(c, argv[i], &path)) < 0 ||
                    (r = ctl_new_call(c, &m, AGENT_BUS_NAME, path, AGENT_SERVICE_INTERFACE, "GetScript")) < 0 ||
                    (r = ctl_call(c, m, &reply)) < 0)
                        return r;
                if (sd_bus_message_read(reply, "s", &content) < 0)
                        return -CTL_EXIT_FAILURE;
                fputs(content, stdout);
        }
        return CTL_EXIT_OK;
}
