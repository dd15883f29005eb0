#include <inttypes.h>

#include "ctl.h"
#include "status-line.h"

#define CA_SIZE_MAX    (256U * 1024U)
#define TOKEN_SIZE_MAX 1024U

static int append_options(sd_bus_message *m, const char *ca)
{
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        if (ca) {
                r = sd_bus_message_append(m, "{sv}", "ca", "s", ca);
                if (r < 0)
                        return r;
        }
        return sd_bus_message_close_container(m);
}

/* A token on the command line is seen by other users in the process list; "-" reads it from standard input. */
static int read_token(const char *arg, char **ret)
{
        int r;

        if (!streq(arg, "-")) {
                *ret = strdup(arg);
                return *ret ? 0 : -CTL_EXIT_FAILURE;
        }
        r = ctl_read_file("-", TOKEN_SIZE_MAX, ret);
        if (r >= 0)
                (*ret)[strcspn(*ret, "\r\n")] = '\0';
        return r;
}

int verb_register(Ctl *c, int argc, char *argv[])
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        _cleanup_free_ char *token = NULL, *ca = NULL;
        int r;

        r = read_token(argv[1], &token);
        if (r < 0)
                return r;
        if (c->ca_file) {
                r = ctl_read_file(c->ca_file, CA_SIZE_MAX, &ca);
                if (r < 0)
                        return r;
        }
        r = ctl_new_call(c, &m, UPLINK_BUS_NAME, UPLINK_PATH, UPLINK_INTERFACE, "Register");
        if (r < 0)
                return r;
        if (sd_bus_message_append(m, "ss", argv[0], token) < 0 || append_options(m, ca) < 0) {
                ctl_say_error("The address or the token is not usable text.");
                return -CTL_EXIT_FAILURE;
        }
        r = ctl_call(c, m, NULL);
        if (r < 0)
                return r;
        printf("Registered with %s and connected.\n", argv[0]);
        return CTL_EXIT_OK;
}

int verb_unregister(Ctl *c, int argc, char *argv[])
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = ctl_new_call(c, &m, UPLINK_BUS_NAME, UPLINK_PATH, UPLINK_INTERFACE, "Unregister");
        if (r < 0)
                return r;
        r = ctl_call(c, m, NULL);
        if (r < 0)
                return r;
        puts("Unregistered: results stay on this host.");
        return CTL_EXIT_OK;
}

typedef struct UplinkInfo {
        int connected;
        const char *server_url, *agent_id;
        uint64_t last_ack, backlog, sent, failed, reconnects;
} UplinkInfo;

static int read_property(sd_bus_message *m, const char *name, UplinkInfo *i)
{
        const struct {
                const char *name, *type;
                void *field;
        } properties[] = {
                { "Connected", "b", &i->connected },    { "ServerURL", "s", &i->server_url },
                { "AgentID", "s", &i->agent_id },       { "LastAckUSec", "t", &i->last_ack },
                { "BacklogEntries", "t", &i->backlog }, { "Sent", "t", &i->sent },
                { "Failed", "t", &i->failed },          { "Reconnects", "t", &i->reconnects },
        };

        for (size_t k = 0; k < ELEMENTSOF(properties); k++)
                if (streq(properties[k].name, name))
                        return sd_bus_message_read(m, "v", properties[k].type, properties[k].field);
        return sd_bus_message_skip(m, "v");
}

static int read_info(sd_bus_message *m, UplinkInfo *i)
{
        const char *name;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0)
                if ((r = sd_bus_message_read(m, "s", &name)) < 0 || (r = read_property(m, name, i)) < 0 ||
                    (r = sd_bus_message_exit_container(m)) < 0)
                        return r;
        return r;
}

static int print_json(const UplinkInfo *i)
{
        _cleanup_json_ json_object *o = json_object_new_object();
        char buf[RFC3339_MAX];

        if (!o || json_add_bool(o, "connected", i->connected) < 0 ||
            json_add_string(o, "server_url", isempty(i->server_url) ? NULL : i->server_url) < 0 ||
            json_add_string(o, "agent_id", isempty(i->agent_id) ? NULL : i->agent_id) < 0 ||
            json_add_string(o, "last_ack", i->last_ack > 0 ? format_rfc3339(i->last_ack, buf) : NULL) < 0 ||
            json_add_int64(o, "backlog", (int64_t) i->backlog) < 0 || json_add_int64(o, "sent", (int64_t) i->sent) < 0 ||
            json_add_int64(o, "failed", (int64_t) i->failed) < 0 ||
            json_add_int64(o, "reconnects", (int64_t) i->reconnects) < 0)
                return ctl_print_json(NULL);
        return ctl_print_json(TAKE_PTR(o));
}

int verb_uplink(Ctl *c, int argc, char *argv[])
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        UplinkInfo i = {};
        char ack[64];
        int r;

        r = ctl_new_call(c, &m, UPLINK_BUS_NAME, UPLINK_PATH, "org.freedesktop.DBus.Properties", "GetAll");
        if (r < 0)
                return r;
        if (sd_bus_message_append(m, "s", UPLINK_INTERFACE) < 0)
                return -CTL_EXIT_FAILURE;
        r = ctl_call(c, m, &reply);
        if (r < 0)
                return r;
        r = read_info(reply, &i);
        if (r < 0) {
                ctl_say_error("Cannot read the uplink's answer: %s", strerror(-r));
                return -CTL_EXIT_FAILURE;
        }
        if (c->json)
                return print_json(&i);
        if (isempty(i.server_url)) {
                puts("Not registered. Register a server in the dashboard, then run the command that it shows\n"
                     "(ssictl register SERVER_URL CLAIM_TOKEN).");
                return CTL_EXIT_OK;
        }
        printf("%s●%s %s\n", ctl_color(c, i.connected ? "OK" : "WARNING"), ctl_color_end(c), i.server_url);
        printf("%12s: %s\n", "Connected", i.connected ? "yes" : "no, trying again");
        printf("%12s: %s\n", "Agent", strempty(i.agent_id));
        printf("%12s: %s\n", "Last ack", ctl_relative_time(i.last_ack, ack));
        printf("%12s: %" PRIu64 " waiting, %" PRIu64 " sent, %" PRIu64 " failed\n", "Results", i.backlog, i.sent, i.failed);
        printf("%12s: %" PRIu64 "\n", "Reconnects", i.reconnects);
        return i.connected ? CTL_EXIT_OK : CTL_EXIT_NOT_OK;
}
