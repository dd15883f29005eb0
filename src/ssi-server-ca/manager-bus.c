/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "manager.h"
#include "shared/bus-util.h"
#include "shared/log.h"
#include "shared/time-util.h"

#define ACTION_ADMINISTER "org.ssi.server1.administer"

/* As for the backend's tokens. */
#define LIFETIME_MAX_USEC (24 * 3600 * USEC_PER_SEC)

static int no_option(sd_bus_message *m, const char *name, void *userdata)
{
        return -ENOENT;
}

static int read_no_options(sd_bus_message *m, sd_bus_error *error)
{
        return bus_read_options(m, no_option, NULL, SERVER_CA_ERROR("InvalidOption"), error);
}

/* Most methods are for the backend alone. 0: go on. */
static int begin_for_backend(Manager *m, sd_bus_message *message, sd_bus_error *error)
{
        uid_t uid;
        int r;

        r = polkit_sender_uid(m->polkit, message, &uid);
        if (r < 0)
                return r;
        if (uid != 0 && uid != m->backend)
                return sd_bus_error_set(error, SD_BUS_ERROR_ACCESS_DENIED, "Only the backend may ask for this.");
        return 0;
}

static int fail(int r, sd_bus_error *error)
{
        switch (r) {
        case -ENOMEM:
                return r;
        case -EACCES:
                return sd_bus_error_set(error, SERVER_CA_ERROR("NotAdmitted"),
                                        "No such host is admitted, or its request was changed on the way.");
        case -EEXIST:
                return sd_bus_error_set(error, SERVER_CA_ERROR("AlreadyExists"),
                                        "There is another authority in " SSI_SERVER_CA_DIR ".");
        case -E2BIG:
                return sd_bus_error_set(error, SERVER_CA_ERROR("TooMany"),
                                        "At most " STRINGIFY(ADMITTED_MAX) " hosts can be admitted at a time.");
        case -EBADMSG:
        case -EINVAL:
                return sd_bus_error_set(error, SD_BUS_ERROR_INVALID_ARGS, "A key, certificate, name or ID is invalid.");
        default:
                return sd_bus_error_setf(error, SERVER_CA_ERROR("Failed"), "The authority failed: %s", strerror(-r));
        }
}

static int read_names(sd_bus_message *message, TlsNames *ret)
{
        _cleanup_(tls_names_done) TlsNames names = {};
        const char *name;
        int r;

        r = sd_bus_message_enter_container(message, 'a', "s");
        while (r >= 0 && (r = sd_bus_message_read(message, "s", &name)) > 0)
                r = tls_names_add(&names, name);
        if (r >= 0)
                r = sd_bus_message_exit_container(message);
        if (r < 0)
                return r;
        *ret = names;
        names = (TlsNames){};
        return 0;
}

/* before: see ca_remember(). */
static int reply_signed(Manager *m, sd_bus_message *message, const char *public_key, const TlsNames *names,
                        const char *whose, bool remember, const char *before, sd_bus_error *error)
{
        _cleanup_free_ char *cert = NULL, *authority = NULL;
        bool had = m->ca.cert;
        int r;

        r = ca_sign(&m->ca, public_key, names, &cert, &authority);
        if (r >= 0 && remember)
                r = ca_remember(&m->ca, cert, before);
        if (r < 0)
                return fail(r, error);
        if (!had)
                log_info("Made a certificate authority.");
        log_info("Signed a certificate for %s: %zu names, the first are %s and %s.", whose, names->n, names->names[0],
                 names->names[MIN(names->n - 1, (size_t) 1)]);
        return sd_bus_reply_method_return(message, "ss", cert, authority);
}

static int method_certificate(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        _cleanup_(tls_names_done) TlsNames names = {};
        const char *public_key;
        Manager *m = userdata;
        int r;

        r = begin_for_backend(m, message, error);
        if (r < 0)
                return r;
        r = sd_bus_message_read(message, "s", &public_key);
        if (r >= 0)
                r = read_names(message, &names);
        if (r < 0)
                return fail(r, error);
        r = read_no_options(message, error);
        if (r < 0)
                return r;
        if (!ca_names_are_ours(&names, getenv("SSI_PUBLIC_URL")))
                return sd_bus_error_set(error, SERVER_CA_ERROR("NotOurName"),
                                        "The certificate can only be for names and addresses of this host.");
        return reply_signed(m, message, public_key, &names, "this host", false, NULL, error);
}

static int method_adopt(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        const char *cert, *key;
        Manager *m = userdata;
        int r;

        r = begin_for_backend(m, message, error);
        if (r >= 0)
                r = sd_bus_message_read(message, "ss", &cert, &key);
        if (r >= 0)
                r = read_no_options(message, error);
        if (r < 0)
                return r;
        r = ca_adopt(&m->ca, cert, key);
        if (r < 0)
                return fail(r, error);
        log_info("Took over the backend's certificate authority.");
        return sd_bus_reply_method_return(message, "");
}

static int method_admit(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        _cleanup_free_ char *secret = NULL;
        const char *token;
        Manager *m = userdata;
        uint64_t until, now = now_usec(CLOCK_REALTIME);
        int r;

        r = bus_begin(message, ACTION_ADMINISTER, m->polkit, error, "st", &token, &until);
        if (r != 0)
                return r;
        r = read_no_options(message, error);
        if (r < 0)
                return r;
        if (until <= now || until - now > LIFETIME_MAX_USEC)
                return sd_bus_error_set(error, SD_BUS_ERROR_INVALID_ARGS, "A host can be admitted for a day at most.");
        (void) sd_bus_message_sensitive(message);
        r = ca_admit(&m->ca, token, until, &secret);
        if (r < 0)
                return fail(r, error);
        r = sd_bus_reply_method_return(message, "s", secret);
        explicit_bzero(secret, strlen(secret));
        return r;
}

static int method_withdraw(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        const char *token;
        Manager *m = userdata;
        int r;

        r = bus_begin(message, ACTION_ADMINISTER, m->polkit, error, "s", &token);
        if (r != 0)
                return r;
        r = read_no_options(message, error);
        if (r < 0)
                return r;
        r = ca_withdraw(&m->ca, token);
        return r < 0 ? fail(r, error) : sd_bus_reply_method_return(message, "");
}

static int method_sign_host(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        _cleanup_(tls_names_done) TlsNames names = {};
        const char *token, *public_key, *proof;
        Manager *m = userdata;
        int r;

        r = begin_for_backend(m, message, error);
        if (r < 0)
                return r;
        r = sd_bus_message_read(message, "ss", &token, &public_key);
        if (r >= 0)
                r = read_names(message, &names);
        if (r >= 0)
                r = sd_bus_message_read(message, "s", &proof);
        if (r < 0)
                return fail(r, error);
        r = read_no_options(message, error);
        if (r < 0)
                return r;
        r = names.n > 0 ? ca_use(&m->ca, token, public_key, &names, proof) : -EINVAL;
        if (r == -EACCES)
                log_warning("Refused to sign a certificate for a host that is not admitted (%s).", names.names[0]);
        if (r < 0)
                return fail(r, error);
        return reply_signed(m, message, public_key, &names, "a host that joins", true, NULL, error);
}

static int method_renew_host(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        _cleanup_(tls_names_done) TlsNames names = {};
        const char *cert, *public_key, *proof;
        char before[PEM_PIN_MAX];
        Manager *m = userdata;
        int r;

        r = begin_for_backend(m, message, error);
        if (r < 0)
                return r;
        r = sd_bus_message_read(message, "sss", &cert, &public_key, &proof);
        if (r < 0)
                return fail(r, error);
        r = read_no_options(message, error);
        if (r < 0)
                return r;
        r = ca_may_renew(&m->ca, cert, public_key, proof, &names, before);
        if (r == -EACCES)
                log_warning("Refused to renew a certificate that is not the last one of a host that has joined.");
        if (r < 0)
                return fail(r, error);
        return reply_signed(m, message, public_key, &names, "a host that has joined", true, before, error);
}

#define ASKS SD_BUS_VTABLE_UNPRIVILEGED /* who may is asked in the method */

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Certificate", SD_BUS_ARGS("s", public_key, "as", names, "a{sv}", options),
                                SD_BUS_RESULT("s", certificate, "s", authority), method_certificate, ASKS),
        SD_BUS_METHOD_WITH_ARGS("Adopt", SD_BUS_ARGS("s", certificate, "s", private_key, "a{sv}", options),
                                SD_BUS_NO_RESULT, method_adopt, ASKS | SD_BUS_VTABLE_SENSITIVE),
        SD_BUS_METHOD_WITH_ARGS("AdmitHost", SD_BUS_ARGS("s", token, "t", until_usec, "a{sv}", options),
                                SD_BUS_RESULT("s", secret), method_admit, ASKS | SD_BUS_VTABLE_SENSITIVE),
        SD_BUS_METHOD_WITH_ARGS("WithdrawHost", SD_BUS_ARGS("s", token, "a{sv}", options), SD_BUS_NO_RESULT,
                                method_withdraw, ASKS),
        SD_BUS_METHOD_WITH_ARGS("SignHost",
                                SD_BUS_ARGS("s", token, "s", public_key, "as", names, "s", proof, "a{sv}", options),
                                SD_BUS_RESULT("s", certificate, "s", authority), method_sign_host, ASKS),
        SD_BUS_METHOD_WITH_ARGS("RenewHost",
                                SD_BUS_ARGS("s", certificate, "s", public_key, "s", proof, "a{sv}", options),
                                SD_BUS_RESULT("s", certificate, "s", authority), method_renew_host, ASKS),
        SD_BUS_VTABLE_END,
};

int manager_add_object(Manager *m)
{
        return sd_bus_add_object_vtable(m->bus, NULL, SERVER_CA_PATH, SERVER_CA_INTERFACE, vtable, m);
}
