/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/bus-util.h"
#include "shared/json-util.h"
#include "shared/log.h"
#include "messages.h"
#include "register.h"

#define CLAIM_PATH      "/api/v1/agents/claim"
#define CLAIM_TOKEN_MAX 1024U

/* 1. Claim: exchange the token for an agent ID and a key.
 * 2. Save them.
 * 3. Connect the session for the first time.
 * 4. Answer the caller. */
struct Registration {
        Registration **slot;
        Net *net;
        registration_claimed_t claimed;
        registration_failed_t failed;
        void *userdata;
        sd_bus_message *message;
        NetConn *conn; /* while claiming */
        bool connecting;
        Credentials credentials;
        ServerUrl url;
};

Registration *registration_free(Registration *r)
{
        if (!r)
                return NULL;
        net_conn_close(r->conn);
        sd_bus_message_unref(r->message);
        credentials_done(&r->credentials);
        server_url_done(&r->url);
        if (*r->slot == r)
                *r->slot = NULL;
        free(r);
        return NULL;
}

static _printf_(3, 4) void finish(Registration *r, const char *name, const char *format, ...)
{
        va_list ap;
        int k;

        va_start(ap, format);
        k = bus_answer(r->message, name, format, ap);
        va_end(ap);
        if (k < 0)
                log_debug_errno(k, "Cannot answer the registration");
        if (name && !r->connecting)
                r->failed(r->userdata);
        registration_free(r);
}

static int read_claim(Registration *r, const char *text, size_t length)
{
        _cleanup_json_ json_object *o = NULL;
        const char *agent_id, *api_key;
        int k;

        k = json_parse(text, length, &o);
        if (k < 0)
                return k;
        agent_id = json_get_string(o, "agent_id");
        api_key = json_get_string(o, "api_key");
        if (isempty(agent_id) || isempty(api_key))
                return -EBADMSG;
        r->credentials.agent_id = strdup(agent_id);
        r->credentials.api_key = strdup(api_key);
        return r->credentials.agent_id && r->credentials.api_key ? 0 : -ENOMEM;
}

/* The text for people in a problem document (RFC 9457). */
static char *problem_detail(const char *text, size_t length)
{
        _cleanup_json_ json_object *o = NULL;
        const char *s = NULL;

        if (json_parse(text, length, &o) >= 0)
                s = json_get_string(o, "detail") ?: json_get_string(o, "title");
        return s ? utf8_sanitize(s, strlen(s), 200, NULL) : NULL;
}

static void on_refused(Registration *r, unsigned status, const char *text, size_t length)
{
        _cleanup_free_ char *detail = problem_detail(text, length);

        if (status == 401)
                finish(r, UPLINK_ERROR("BadClaimToken"),
                       "The server does not accept this claim token: it is wrong, used or expired. For a new one, use the "
                       "server's page in the dashboard, or \"ssictl server token SERVER\" on the backend.");
        else
                finish(r, UPLINK_ERROR("ServerRefused"), "The server refused with status %u%s%s", status,
                       detail ? ": " : "", strempty(detail));
}

static void on_claimed(unsigned status, const char *text, size_t length, void *userdata)
{
        Registration *r = userdata;
        int k;

        r->conn = net_conn_close(r->conn);
        if (status != 200) {
                on_refused(r, status, text, length);
                return;
        }
        k = read_claim(r, text, length);
        if (k < 0) {
                finish(r, UPLINK_ERROR("ServerRefused"), "The server's answer is not that of an SSI backend: %s",
                       strerror(-k));
                return;
        }
        k = credentials_save(SSI_UPLINK_STATE_DIR, &r->credentials);
        if (k < 0) {
                finish(r, UPLINK_ERROR("StateFailed"), "Cannot save the credentials in " SSI_UPLINK_STATE_DIR ": %s",
                       strerror(-k));
                return;
        }
        r->connecting = true;
        k = r->claimed(&r->credentials, &r->url, r->userdata);
        if (k < 0)
                finish(r, UPLINK_ERROR("ConnectionFailed"), "Registered, but cannot connect: %s", strerror(-k));
}

static void on_claim_failed(unsigned code, const char *reason, void *userdata)
{
        Registration *r = userdata;

        r->conn = net_conn_close(r->conn);
        finish(r, UPLINK_ERROR("ServerUnreachable"), "Cannot reach the server: %s", reason);
}

static const NetOps claim_ops = {
        .received = on_claimed,
        .closed = on_claim_failed,
};

void registration_connected(Registration *r)
{
        if (r && r->connecting)
                finish(r, NULL, " ");
}

void registration_disconnected(Registration *r, const char *reason, bool final)
{
        if (r && r->connecting)
                finish(r, UPLINK_ERROR("ConnectionFailed"), "Registered, but the first connection failed: %s. %s",
                       reason, final ? "It will not be tried again." : "It will be tried again.");
}

static int check_url(const char *s, ServerUrl *ret, sd_bus_error *error)
{
        int k = server_url_parse(s, ret);
        const char *fault = server_url_fault(k);

        return fault ? sd_bus_error_set(error, UPLINK_ERROR("InvalidURL"), fault) : k;
}

static int begin(Registration *r, const char *claim_token, const char *ca, sd_bus_error *error)
{
        _cleanup_free_ char *body = NULL;
        int k;

        k = net_set_ca(r->net, ca);
        if (k == -EINVAL)
                return sd_bus_error_set(error, UPLINK_ERROR("InvalidCA"),
                                        "The certificate authority is not a certificate in PEM form.");
        if (k < 0)
                return k;
        k = message_claim(claim_token, &body);
        if (k < 0)
                return k;
        return net_post(r->net, &r->url, CLAIM_PATH, body, &claim_ops, r, &r->conn);
}

int registration_start(Registration **slot, Net *net, sd_bus_message *message, const char *server_url,
                       const char *claim_token, const char *ca, registration_claimed_t claimed,
                       registration_failed_t failed, void *userdata, sd_bus_error *error)
{
        Registration *r;
        int k;

        if (isempty(claim_token) || strlen(claim_token) > CLAIM_TOKEN_MAX)
                return sd_bus_error_set(error, UPLINK_ERROR("BadClaimToken"), "This is not a claim token.");
        r = calloc(1, sizeof(*r));
        if (!r)
                return -ENOMEM;
        r->slot = slot;
        r->net = net;
        r->claimed = claimed;
        r->failed = failed;
        r->userdata = userdata;
        r->message = sd_bus_message_ref(message);
        k = check_url(server_url, &r->url, error);
        if (k >= 0) {
                r->credentials.server_url = strdup(server_url);
                r->credentials.ca = ca ? strdup(ca) : NULL;
                k = r->credentials.server_url && (!ca || r->credentials.ca) ? begin(r, claim_token, ca, error) :
                                                                              -ENOMEM;
        }
        if (k < 0) {
                r->failed(r->userdata);
                registration_free(r);
                return k;
        }
        *slot = r;
        return 0;
}
