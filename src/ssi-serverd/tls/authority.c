/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/bus-util.h"
#include "shared/log.h"
#include "shared/tls/pem-text.h"
#include "tls/authority.h"

#define CALL_USEC (30 * USEC_PER_SEC)

static int new_call(const char *member, sd_bus **ret_bus, sd_bus_message **ret)
{
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        int r;

        if (sd_bus_open_system(&bus) < 0)
                return -ENOTCONN;
        r = sd_bus_message_new_method_call(bus, ret, SERVER_CA_BUS_NAME, SERVER_CA_PATH, SERVER_CA_INTERFACE, member);
        if (r < 0)
                return r;
        *ret_bus = TAKE_PTR(bus);
        return 0;
}

static bool is_absent(const sd_bus_error *error)
{
        static const char *const names[] = {
                SD_BUS_ERROR_SERVICE_UNKNOWN,
                SD_BUS_ERROR_NAME_HAS_NO_OWNER,
                SD_BUS_ERROR_NO_REPLY,
                SD_BUS_ERROR_TIMEOUT,
                "org.freedesktop.systemd1.NoSuchUnit",
                "org.freedesktop.systemd1.UnitMasked",
                "org.freedesktop.DBus.Error.Spawn.ChildExited",
        };

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (sd_bus_error_has_name(error, names[i]))
                        return true;
        return startswith(strempty(error->name), "org.freedesktop.systemd1.");
}

static int call(sd_bus *bus, sd_bus_message *m, sd_bus_message **ret_reply, char **ret_message)
{
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        int r;

        r = sd_bus_call(bus, m, CALL_USEC, &error, ret_reply);
        if (r >= 0)
                return 0;
        log_debug("The certificate authority: %s", strempty(error.message));
        if (is_absent(&error))
                return -ENOTCONN;
        if (ret_message && error.message)
                *ret_message = strdup(error.message);
        return sd_bus_error_has_name(&error, SERVER_CA_ERROR("NotAdmitted")) ? -EACCES : r;
}

static int append_names(sd_bus_message *m, const TlsNames *names)
{
        int r;

        r = sd_bus_message_open_container(m, 'a', "s");
        for (size_t i = 0; i < names->n && r >= 0; i++)
                r = sd_bus_message_append(m, "s", names->names[i]);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

int authority_certificate(EVP_PKEY *key, const TlsNames *names, X509 **ret_cert, X509 **ret_authority)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_(x509_freep) X509 *cert = NULL, *authority = NULL;
        _cleanup_free_ char *public_key = NULL;
        const char *cert_text, *authority_text;
        int r;

        r = pem_text_of_public(key, &public_key);
        if (r >= 0)
                r = new_call("Certificate", &bus, &m);
        if (r >= 0)
                r = sd_bus_message_append(m, "s", public_key);
        if (r >= 0)
                r = append_names(m, names);
        if (r >= 0)
                r = sd_bus_message_append(m, "a{sv}", 0);
        if (r >= 0)
                r = call(bus, m, &reply, NULL);
        if (r >= 0)
                r = sd_bus_message_read(reply, "ss", &cert_text, &authority_text);
        if (r >= 0)
                r = pem_text_to_cert(cert_text, &cert);
        if (r >= 0)
                r = pem_text_to_cert(authority_text, &authority);
        if (r < 0)
                return r;
        *ret_cert = TAKE_PTR(cert);
        *ret_authority = TAKE_PTR(authority);
        return 0;
}

int authority_adopt(X509 *cert, EVP_PKEY *key)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        char *cert_text = NULL, *key_text = NULL;
        int r;

        r = pem_text_of_cert(cert, &cert_text);
        if (r >= 0)
                r = pem_text_of_private(key, &key_text);
        if (r >= 0)
                r = new_call("Adopt", &bus, &m);
        if (r >= 0)
                r = sd_bus_message_sensitive(m);
        if (r >= 0)
                r = sd_bus_message_append(m, "ssa{sv}", cert_text, key_text, 0);
        if (r >= 0)
                r = call(bus, m, NULL, NULL);
        if (key_text)
                explicit_bzero(key_text, strlen(key_text));
        free(key_text);
        free(cert_text);
        return r;
}

static int copy_texts(sd_bus_message *reply, char **ret_cert, char **ret_authority)
{
        _cleanup_free_ char *cert = NULL, *authority = NULL;
        const char *cert_text, *authority_text;
        int r;

        r = sd_bus_message_read(reply, "ss", &cert_text, &authority_text);
        if (r < 0)
                return r;
        cert = strdup(cert_text);
        authority = strdup(authority_text);
        if (!cert || !authority)
                return -ENOMEM;
        *ret_cert = TAKE_PTR(cert);
        *ret_authority = TAKE_PTR(authority);
        return 0;
}

int authority_sign_host(const AuthorityRequest *q, char **ret_cert, char **ret_authority, char **ret_message)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        int r;

        r = new_call("SignHost", &bus, &m);
        if (r >= 0)
                r = sd_bus_message_append(m, "ss", q->token, q->public_key);
        if (r >= 0)
                r = append_names(m, &q->names);
        if (r >= 0)
                r = sd_bus_message_append(m, "sa{sv}", q->proof, 0);
        if (r >= 0)
                r = call(bus, m, &reply, ret_message);
        return r < 0 ? r : copy_texts(reply, ret_cert, ret_authority);
}

int authority_renew_host(const AuthorityRenewal *q, char **ret_cert, char **ret_message)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL, *reply = NULL;
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        _cleanup_free_ char *authority = NULL;
        int r;

        r = new_call("RenewHost", &bus, &m);
        if (r >= 0)
                r = sd_bus_message_append(m, "sssa{sv}", q->cert, q->public_key, q->proof, 0);
        if (r >= 0)
                r = call(bus, m, &reply, ret_message);
        return r < 0 ? r : copy_texts(reply, ret_cert, &authority);
}
