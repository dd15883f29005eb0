/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>

#include "secret.h"
#include "shared/server-url.h"
#include "shared/status-line.h"
#include "uplink-info.h"

#define CA_SIZE_MAX (256U * 1024U)

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

/* A changed agent ID shows that the host was registered again. Empty if unknown. */
static char *get_agent_id(Ctl *c)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        char *id = NULL;
        UplinkInfo i = {};

        if (ctl_bus(c) >= 0 && uplink_info_get(c, true, &i, &error) >= 0)
                id = TAKE_PTR(i.agent_id);
        uplink_info_done(&i);
        return id ?: strdup("");
}

static int print_registered(Ctl *c, const char *url, const char *id_before)
{
        _cleanup_free_ char *sentence = NULL, *id = get_agent_id(c);
        bool unchanged = !isempty(id) && !isempty(id_before) && streq(id, id_before);

        if (asprintf(&sentence,
                     unchanged ? "Already registered with %s; the token was not used." :
                                 "Registered with %s and connected.",
                     url) < 0)
                return -CTL_EXIT_FAILURE;
        return ctl_print_done(c, unchanged ? "unchanged" : "registered", url, sentence);
}

/* Before it is asked for a secret that is of no use then. */
static int check_url(const char *s)
{
        ServerUrl url = {};
        const char *fault;
        int r;

        r = server_url_parse(s, &url);
        server_url_done(&url);
        fault = server_url_fault(r);
        if (r < 0)
                ctl_say_error("%s", fault ?: strerror(-r));
        return r < 0 ? -CTL_EXIT_FAILURE : 0;
}

int verb_register(Ctl *c, int argc, char *argv[])
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        _cleanup_free_ char *ca = NULL, *id_before = NULL;
        _cleanup_secret_ char *token = NULL;
        int r;

        r = check_url(argv[0]);
        if (r >= 0 && c->ca_file)
                r = ctl_read_file(c->ca_file, CA_SIZE_MAX, &ca);
        if (r >= 0)
                r = secret_take(c, argc > 1 ? argv[1] : NULL,
                                "There is no token; the dashboard shows one when it registers a server.", &token);
        if (r < 0)
                return r;
        r = ctl_new_call(c, &m, UPLINK_BUS_NAME, UPLINK_PATH, UPLINK_INTERFACE, "Register");
        if (r < 0)
                return r;
        if (sd_bus_message_append(m, "ss", argv[0], token) < 0 || append_options(m, ca) < 0) {
                ctl_say_error("The address or the token is not valid UTF-8.");
                return -CTL_EXIT_FAILURE;
        }
        id_before = get_agent_id(c);
        r = ctl_call_authorized(c, m, NULL);
        return r < 0 ? r : print_registered(c, argv[0], id_before);
}

static int call_without_arguments(Ctl *c, const char *method)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = ctl_new_call(c, &m, UPLINK_BUS_NAME, UPLINK_PATH, UPLINK_INTERFACE, method);
        return r < 0 ? r : ctl_call_authorized(c, m, NULL);
}

int verb_unregister(Ctl *c, int argc, char *argv[])
{
        int r;

        r = call_without_arguments(c, "Unregister");
        if (r < 0)
                return r;
        return ctl_print_done(c, "unregistered", NULL, "Unregistered: results stay on this host.");
}

int verb_rotate_key(Ctl *c, int argc, char *argv[])
{
        int r;

        r = call_without_arguments(c, "RotateKey");
        if (r < 0)
                return r;
        return ctl_print_done(c, "rotated", NULL, "The key was replaced; the old one is no longer valid.");
}

static int print_json(const UplinkInfo *i)
{
        _cleanup_json_ json_object *o = json_object_new_object();
        char buf[RFC3339_MAX];

        if (!o || json_add_bool(o, "connected", i->connected) < 0 ||
            json_add_string(o, "server_url", isempty(i->server_url) ? NULL : i->server_url) < 0 ||
            json_add_string(o, "agent_id", isempty(i->agent_id) ? NULL : i->agent_id) < 0 ||
            json_add_string(o, "last_error", isempty(i->last_error) ? NULL : i->last_error) < 0 ||
            json_add_string(o, "last_ack", i->last_ack > 0 ? format_rfc3339(i->last_ack, buf) : NULL) < 0 ||
            json_add_int64(o, "backlog", (int64_t) i->backlog) < 0 ||
            json_add_int64(o, "sent", (int64_t) i->sent) < 0 || json_add_int64(o, "failed", (int64_t) i->failed) < 0 ||
            json_add_int64(o, "reconnects", (int64_t) i->reconnects) < 0)
                return ctl_print_json(NULL);
        return ctl_print_json(TAKE_PTR(o));
}

static int print_text(Ctl *c, const UplinkInfo *i)
{
        char ack[64];

        if (isempty(i->server_url)) {
                puts("Not registered. Register a server in the dashboard, then run the command that it shows\n"
                     "(ssictl register SERVER_URL CLAIM_TOKEN).");
                return CTL_EXIT_OK;
        }
        printf("%s●%s %s\n", ctl_color(c, i->connected ? "OK" : "WARNING"), ctl_color_end(c), i->server_url);
        printf("%12s: %s\n", "Connected", i->connected ? "yes" : "no, trying again");
        if (!isempty(i->last_error))
                printf("%12s: %s\n", "Error", i->last_error);
        printf("%12s: %s\n", "Agent", strempty(i->agent_id));
        printf("%12s: %s\n", "Last ack", ctl_relative_time(i->last_ack, ack));
        printf("%12s: %" PRIu64 " waiting, %" PRIu64 " sent, %" PRIu64 " failed\n", "Results", i->backlog, i->sent,
               i->failed);
        printf("%12s: %" PRIu64 "\n", "Reconnects", i->reconnects);
        return i->connected ? CTL_EXIT_OK : CTL_EXIT_NOT_OK;
}

int verb_uplink(Ctl *c, int argc, char *argv[])
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        UplinkInfo i = {};
        int r;

        r = ctl_bus(c);
        if (r < 0)
                return r;
        r = uplink_info_get(c, true, &i, &error);
        if (r < 0)
                return ctl_bus_error(&error, r);
        if (!c->json)
                r = print_text(c, &i);
        else {
                r = print_json(&i);
                if (r >= 0 && !isempty(i.server_url) && !i.connected)
                        r = CTL_EXIT_NOT_OK;
        }
        uplink_info_done(&i);
        return r;
}
