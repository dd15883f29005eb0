/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <openssl/x509v3.h>

#include "net-internal.h"

/* The events that lws reports. If a callback returns -1, lws ends the connection. */

static int receive_more(NetConn *c, const char *in, size_t length)
{
        char *p;

        if (length > NET_MESSAGE_MAX - c->rx_length)
                return -EMSGSIZE;
        p = realloc(c->rx, c->rx_length + length + 1);
        if (!p)
                return -ENOMEM;
        c->rx = p;
        memcpy(c->rx + c->rx_length, in, length);
        c->rx_length += length;
        c->rx[c->rx_length] = '\0';
        return 0;
}

/* Returns 0 to go on, -1 to close. */
static int deliver(NetConn *c, unsigned status)
{
        _cleanup_free_ char *text = TAKE_PTR(c->rx);
        size_t n = c->rx_length;

        c->rx_length = 0;
        c->ops->received(status, text ?: "", n, c->userdata);
        return 0;
}

static int on_message(NetConn *c, struct lws *wsi, const char *in, size_t length)
{
        if (lws_frame_is_binary(wsi)) {
                conn_over(c, 0, "the server sent a binary message");
                return -1;
        }
        if (receive_more(c, in, length) < 0) {
                conn_over(c, 0, "the server's message is too large");
                return -1;
        }
        if (!lws_is_final_fragment(wsi) || lws_remaining_packet_payload(wsi) > 0)
                return 0;
        return deliver(c, 0);
}

static int on_close_frame(NetConn *c, const unsigned char *in, size_t length)
{
        if (length < 2)
                return 0;
        c->close_code = (unsigned) in[0] << 8 | in[1];
        snprintf(c->close_reason, sizeof(c->close_reason), "%.*s", (int) (length - 2), (const char *) in + 2);
        return 0;
}

static int add_headers(NetConn *c, struct lws *wsi, unsigned char **p, unsigned char *end)
{
        char length[16];
        int n;

        if (c->websocket)
                return 0;
        n = snprintf(length, sizeof(length), "%zu", strlen(c->body));
        if (lws_add_http_header_by_token(wsi, WSI_TOKEN_HTTP_CONTENT_TYPE, (const unsigned char *) "application/json",
                                         16, p, end) ||
            lws_add_http_header_by_token(wsi, WSI_TOKEN_HTTP_CONTENT_LENGTH, (const unsigned char *) length, n, p, end))
                return -1;
        lws_client_http_body_pending(wsi, 1);
        lws_callback_on_writable(wsi);
        return 0;
}

static int send_body(NetConn *c, struct lws *wsi)
{
        _cleanup_free_ unsigned char *buffer = NULL;
        size_t n = strlen(c->body);

        buffer = malloc(LWS_PRE + n);
        if (!buffer)
                return -1;
        memcpy(buffer + LWS_PRE, c->body, n);
        lws_client_http_body_pending(wsi, 0);
        return lws_write(wsi, buffer + LWS_PRE, n, LWS_WRITE_HTTP_FINAL) < 0 ? -1 : 0;
}

/* Lets lws read into a buffer; it calls back with the content. */
static int read_body(struct lws *wsi)
{
        char buffer[LWS_PRE + 4096], *p = buffer + LWS_PRE;
        int n = sizeof(buffer) - LWS_PRE;

        return lws_http_client_read(wsi, &p, &n) < 0 ? -1 : 0;
}

static int on_body(NetConn *c, const char *in, size_t length)
{
        if (receive_more(c, in, length) >= 0)
                return 0;
        conn_over(c, 0, "the server's answer is too large");
        return -1;
}

static int on_answer(NetConn *c)
{
        (void) deliver(c, c->status);
        return -1;
}

static int dispatch(NetConn *c, struct lws *wsi, enum lws_callback_reasons reason, void *in, size_t length)
{
        switch (reason) {
        case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER:
                return add_headers(c, wsi, in, *(unsigned char **) in + length);
        case LWS_CALLBACK_CLIENT_HTTP_WRITEABLE:
                return send_body(c, wsi);
        case LWS_CALLBACK_ESTABLISHED_CLIENT_HTTP:
                c->status = lws_http_client_http_response(wsi);
                return 0;
        case LWS_CALLBACK_RECEIVE_CLIENT_HTTP:
                return read_body(wsi);
        case LWS_CALLBACK_RECEIVE_CLIENT_HTTP_READ:
                return on_body(c, in, length);
        case LWS_CALLBACK_COMPLETED_CLIENT_HTTP:
                return on_answer(c);
        case LWS_CALLBACK_CLIENT_ESTABLISHED:
                c->settled = true;
                c->ops->opened(c->userdata);
                return 0;
        case LWS_CALLBACK_CLIENT_RECEIVE:
                return on_message(c, wsi, in, length);
        case LWS_CALLBACK_CLIENT_WRITEABLE:
                c->ops->writable(c->userdata);
                return 0;
        case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
                c->settled = false;
                return on_close_frame(c, in, length);
        default:
                return 0;
        }
}

static bool is_unknown_authority(int error)
{
        return error == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY || error == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN ||
               error == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT || error == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE;
}

/* Checks more than OpenSSL (ok: its result so far): if the server is named by its address, its certificate must
 * contain the address. Keeps the reason for a refusal, which lws would only log. */
static int verify_certificate(NetConn *c, X509_STORE_CTX *x, bool ok)
{
        bool wrong_address = false;
        int error;

        if (ok && c->is_address && X509_STORE_CTX_get_error_depth(x) == 0)
                wrong_address = X509_check_ip_asc(X509_STORE_CTX_get_current_cert(x), c->host, 0) != 1;
        if (wrong_address)
                X509_STORE_CTX_set_error(x, X509_V_ERR_IP_ADDRESS_MISMATCH);
        if (ok && !wrong_address)
                return 0;
        error = X509_STORE_CTX_get_error(x);
        snprintf(c->close_reason, sizeof(c->close_reason), "its certificate is not accepted: %s%s",
                 X509_verify_cert_error_string(error),
                 is_unknown_authority(error) ? "; to trust the backend's own authority, register with --ca=FILE" : "");
        return -1;
}

static void on_connection_error(NetConn *c, struct lws *wsi, const char *reason)
{
        int error;

        /* lws reports one of these if a connection is refused, at once or later; newer releases report errno. */
        if (isempty(reason) || streq(reason, "Unable to connect") || streq(reason, "closed before established"))
                reason = "nobody answers there";
        else if (sscanf(reason, "conn fail: %i", &error) == 1 ||
                 sscanf(reason, "conn fail: errno %i", &error) == 1) /* NOLINT(cert-err34-c) */
                reason = error == ECONNREFUSED ? "nobody answers there" : strerror(error);
        if (c->close_reason[0] == '\0')
                snprintf(c->close_reason, sizeof(c->close_reason), "%s", reason);
        /* Called from connect_address(), which goes on itself. */
        if (!c->wsi || c->connecting)
                return;
        c->wsi = NULL;
        net_unwatch(c);
        lws_set_opaque_user_data(wsi, NULL);
        conn_connect_next(c, c->close_reason);
}

/* If libwebsockets was built for an external poll (as on Debian 13), it reports each change of the polled
 * descriptors. It treats any answer other than 0 as a refusal, and would keep an ended connection in its table. */
static bool is_of_poll(enum lws_callback_reasons reason)
{
        switch (reason) {
        case LWS_CALLBACK_LOCK_POLL:
        case LWS_CALLBACK_UNLOCK_POLL:
        case LWS_CALLBACK_ADD_POLL_FD:
        case LWS_CALLBACK_DEL_POLL_FD:
        case LWS_CALLBACK_CHANGE_MODE_POLL_FD:
                return true;
        default:
                return false;
        }
}

static int on_lws(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in, size_t length)
{
        NetConn *c;
        int r = 0;

        if (is_of_poll(reason))
                return 0;
        /* For the certificate check, user is the X509_STORE_CTX, and length is OpenSSL's result so far. */
        c = wsi ? lws_get_opaque_user_data(wsi) : NULL;
        if (!c)
                return 0;

        c->callbacks++;
        switch (reason) {
        case LWS_CALLBACK_OPENSSL_PERFORM_SERVER_CERT_VERIFICATION:
                r = verify_certificate(c, user, length);
                break;
        case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
                on_connection_error(c, wsi, in);
                break;
        case LWS_CALLBACK_CLIENT_CLOSED:
        case LWS_CALLBACK_CLOSED_CLIENT_HTTP:
                conn_over(c, c->close_code, c->close_reason[0] ? c->close_reason : "the connection was lost");
                break;
        case LWS_CALLBACK_WSI_DESTROY:
                conn_over(c, c->close_code, c->close_reason[0] ? c->close_reason : "the connection was lost");
                c->wsi = NULL;
                net_unwatch(c);
                break;
        default:
                if (!c->detached && !c->over)
                        r = dispatch(c, wsi, reason, in, length);
                if (c->detached && reason != LWS_CALLBACK_WS_PEER_INITIATED_CLOSE)
                        r = -1;
        }
        if (r != 0)
                c->settled = false;
        c->callbacks--;
        conn_unref(c);
        return r;
}

const struct lws_protocols net_protocols[] = {
        {
                .name = "ssi",
                .callback = on_lws,
                .rx_buffer_size = 4096,
        },
        {},
};
