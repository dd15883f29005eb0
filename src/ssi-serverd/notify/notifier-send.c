/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sys/random.h>
#include <time.h>
#include <utlist.h>

#include "shared/log.h"
#include "notify/notifier-internal.h"
#include "auth/token.h"
#include "notify/notifier-send.sql.h"

#define RETRY_MIN_SEC 1U
#define RETRY_MAX_SEC 900U
#define RECORD_AGAIN  USEC_PER_SEC

static void slot_record(NotifySlot *s);

NotifySlot *notify_slot_free(NotifySlot *s)
{
        if (!s)
                return NULL;
        DL_DELETE(s->notifier->slots, s);
        s->notifier->n_slots--;
        free(s->id);
        free(s->public_id);
        free(s->payload);
        free(s->type);
        free(s->config);
        free(s->endpoint);
        free(s->p256dh);
        free(s->auth);
        free(s->email);
        free(s->user);
        free(s->created);
        free(s->queue);
        free(s->channel);
        free(s->subscription);
        free(s->token);
        free(s->by);
        free(s);
        return NULL;
}

/* ---- Results ---- */

/* Doubles up to a quarter of an hour; half of it is random, so that failed messages are not retried all at
 * once. */
static unsigned retry_delay(const NotifySlot *s)
{
        unsigned delay = MIN(RETRY_MIN_SEC << MIN(s->attempts - 1, 15U), RETRY_MAX_SEC);
        uint32_t random = 0;

        (void) !getrandom(&random, sizeof(random), GRND_NONBLOCK);
        return MAX(delay * 500 + random % (delay * 500 + 1), s->result.retry_after * 1000);
}

/* The database is away: keep the result, or the message would be sent again. */
static void slot_record_later(NotifySlot *s)
{
        s->unrecorded = true;
        (void) sd_event_source_set_time_relative(s->notifier->again, RECORD_AGAIN);
        (void) sd_event_source_set_enabled(s->notifier->again, SD_EVENT_ONESHOT);
}

static void recorded(PGresult *res, int error, void *userdata)
{
        NotifySlot *s = userdata;
        Notifier *n = s->notifier;

        if (error < 0 && error != -EINVAL) {
                slot_record_later(s);
                return;
        }
        if (error < 0)
                log_warning("Cannot record the delivery of %s: %s", s->public_id, db_result_message(res));
        else if (s->result.ok && PQntuples(res) == 0)
                notify_sent_put_back(n);
        notify_slot_free(s);
        if (!n->stopped)
                notifier_kick(n);
}

static void slot_record(NotifySlot *s)
{
        const DeliveryResult *result = &s->result;
        char delay[16];
        bool gone = s->endpoint && result->gone;
        int r;

        snprintf(delay, sizeof(delay), "%u", result->ok ? 0 : retry_delay(s));
        if (gone)
                r = db_query(s->notifier->db, SQL(forget_subscription, .id = s->id, .public = s->public_id), recorded,
                             s);
        else
                r = db_query(s->notifier->db,
                             SQL(record, .id = s->id, .public = s->public_id, .ok = sql_bool(result->ok),
                                 .permanent = sql_bool(result->permanent), .delay_ms = delay,
                                 .error = result->ok ? NULL : result->detail),
                             recorded, s);
        if (r < 0) {
                slot_record_later(s);
                return;
        }
        s->unrecorded = false;
}

void notify_slots_record(Notifier *n)
{
        NotifySlot *s, *tmp;

        DL_FOREACH_SAFE(n->slots, s, tmp)
                if (s->unrecorded)
                        slot_record(s);
}

static void slot_ended(const DeliveryResult *result, void *userdata)
{
        NotifySlot *s = userdata;

        s->result = *result;
        if (!s->notifier->db)
                return; /* the notifier is being freed */
        if (!result->ok)
                log_info("Notification %s by %s was not delivered (attempt %u): %s", s->public_id, s->type, s->attempts,
                         result->detail);
        else
                notify_sent_remember(s);
        slot_record(s);
}

static void slot_failed(NotifySlot *s, int error)
{
        DeliveryResult result = { .permanent = error == -EINVAL || error == -EBADMSG || error == -ESTALE };

        snprintf(result.detail, sizeof(result.detail), "%s",
                 error == -EOPNOTSUPP ? "No mail server is configured." :
                 error == -ESTALE     ? "It was withdrawn, was used, or has expired." :
                 result.permanent     ? "The channel's settings or the message are invalid." :
                                        strerror(-error));
        slot_ended(&result, s);
}

/* ---- Sending ---- */

static int send_mail(Notifier *n, const char *to, const NotifyMessage *m, delivery_done_t done, void *userdata)
{
        _cleanup_free_ char *subject = NULL;

        if (asprintf(&subject, "[SSI] %s", m->title) < 0) {
                subject = NULL;
                return -ENOMEM;
        }
        return delivery_mail(n->curl, &n->config,
                             &(MailMessage){ .id = m->id, .to = to, .subject = subject, .text = m->text }, done,
                             userdata);
}

/* The operator's address, which RFC 8292 recommends and push services require. */
static char *push_contact(const DeliveryConfig *c)
{
        const char *from = c->smtp_from, *open;
        char *s;

        if (c->public_url && startswith(c->public_url, "https://"))
                return strdup(c->public_url);
        open = from ? strrchr(from, '<') : NULL;
        if (asprintf(&s, "mailto:%s", open ? open + 1 : from ?: "root@localhost.localdomain") < 0)
                return NULL;
        s[strcspn(s, ">")] = '\0';
        return s;
}

int notifier_send(Notifier *n, const NotifyTarget *target, NotifyMessage *m, delivery_done_t done, void *userdata)
{
        _cleanup_(http_message_done) HttpMessage request = {};
        _cleanup_free_ char *contact = NULL;
        _cleanup_json_ json_object *config = NULL;
        int r;

        if (target->endpoint) {
                contact = push_contact(&n->config);
                if (!contact || !n->have_key)
                        return contact ? -EOPNOTSUPP : -ENOMEM;
                r = push_request(target->endpoint, target->p256dh, target->auth, &n->key, contact, m,
                                 (uint64_t) time(NULL), &request);
        } else {
                r = json_parse(target->config, strlen(target->config), &config);
                if (r >= 0 && streq(target->type, "email"))
                        return send_mail(n, strempty(json_get_string(config, "address")), m, done, userdata);
                if (r >= 0)
                        r = channel_request(target->type, config, m, &request);
        }
        return r < 0 ? r : delivery_http(n->curl, &n->config, &request, done, userdata);
}

/* Tokens stand after #, which browsers send to nobody. */
static const struct {
        const char *kind, *subject, *text;
} account_mails[] = {
        { "verify", "Confirm your e-mail address",
          "To confirm that this address is yours, open\n\n%s/verify-email#token=%s\n\n"
          "If you did not request this, ignore this mail.\n" },
        { "reset", "Reset your password",
          "To choose a new password, open\n\n%s/reset-password#token=%s\n\n"
          "The link works once. If you did not request this, ignore this mail: your password is unchanged.\n" },
        { "taken", "You already have an account",
          "Somebody, perhaps you, tried to create an account with this address, but there is one already. If you forgot its "
          "password, or did not create it yourself, choose a new one at\n\n%s/forgotten\n\n"
          "If you did not request this, ignore this mail: nothing has changed.\n" },
        { "password", "Your password was changed",
          "The password of your account was changed. Other devices were logged out.\n\n"
          "If it was not you, choose a new one at\n\n%s/forgotten\n\nThis also withdraws all API tokens. Then review "
          "the account's channels, browsers and public pages.\n" },
        { "token", "A new API token was created",
          "An API token was created in your account. If it was not you, revoke it, and change your password, at\n\n"
          "%s/account\n" },
        { "device", "Your account was used from a new network",
          "Somebody logged in to your account from a network that it was not used from before. If it was not you, choose a "
          "new password at\n\n%s/forgotten\n" },
        { "change", "Confirm your new e-mail address",
          "To use this address for your account from now on, open\n\n%s/confirm-address#token=%s\n\n"
          "The link works once, and for a day. If you did not request this, ignore this mail.\n" },
        { "change-taken", "You already have an account",
          "Somebody, perhaps you, asked to use this address for another account, but it has one already. To use it there, first delete "
          "this one, or give it another address. Log in, or choose a new password, at\n\n%s/forgotten\n\n"
          "If you did not request this, ignore this mail: nothing has changed.\n" },
        /* These three name the new address, the third argument. */
        { "changing", "Your e-mail address is to be changed",
          "Somebody, perhaps you, asked to change the address of your account to %3$s. It changes once that address is confirmed.\n\n"
          "If it was not you, choose a new password at\n\n%1$s/reset-password#token=%2$s\n\n"
          "This keeps this address, or brings it back, logs out all devices and withdraws all API tokens. The link works once, and for "
          "7 days.\n" },
        { "changed", "Your e-mail address was changed",
          "The address of your account is %3$s now.\n\n"
          "If it was not you, choose a new password at\n\n%1$s/reset-password#token=%2$s\n\n"
          "This brings this address back, logs out all devices and withdraws all API tokens. The link works once, and for 7 days.\n" },
        { "moved", "An administrator changed your e-mail address",
          "An administrator of this server changed the address of your account to %3$s. Log in with it at\n\n%1$s/%2$.0s\n\n"
          "If you did not ask for this, ask the administrator.\n" },
        { "invitation", "You are invited",
          "To make your account at Service Status Indicator, which watches servers and their services, open\n\n"
          "%s/signup#invitation=%s\n\n"
          "The link works once. The invitation comes from %s. If you did not expect it, ignore this mail.\n" },
        { "team-invitation", "You are invited to a team",
          "To see the servers of a team at Service Status Indicator, log in, or make your account, at\n\n"
          "%s/join#invitation=%s\n\n"
          "The link works once. The invitation comes from %s. If you did not expect it, ignore this mail.\n" },
};

static void account_mail_send(NotifySlot *s, const char *kind)
{
        Notifier *n = s->notifier;

        for (size_t i = 0; i < ELEMENTSOF(account_mails); i++) {
                _cleanup_free_ char *text = NULL;
                int r;

                if (!streq(kind, account_mails[i].kind))
                        continue;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
                r = asprintf(&text, account_mails[i].text, strempty(n->config.public_url), strempty(s->token),
                             strempty(s->by));
#pragma GCC diagnostic pop
                if (r < 0) {
                        text = NULL;
                        r = -ENOMEM;
                } else
                        r = delivery_mail(n->curl, &n->config,
                                          &(MailMessage){ .id = s->public_id,
                                                          .to = strempty(s->email),
                                                          .subject = account_mails[i].subject,
                                                          .text = text },
                                          slot_ended, s);
                if (r < 0)
                        slot_failed(s, r);
                return;
        }
        slot_failed(s, -EBADMSG);
}

/* The columns: the kind and, of some, a third argument of the text. */
static void token_stored(PGresult *res, int error, void *userdata)
{
        NotifySlot *s = userdata;

        if (error == -ECANCELED)
                return;
        if (error >= 0 && PQntuples(res) > 0 && PQnfields(res) > 1) {
                s->by = strdup(PQgetvalue(res, 0, 1));
                if (!s->by)
                        error = -ENOMEM;
        }
        if (error < 0 || PQntuples(res) == 0)
                slot_failed(s, error < 0 ? -EIO : -ESTALE);
        else
                account_mail_send(s, PQgetvalue(res, 0, 0));
}

/* The token of an account's mail, if it has one, is made here, so that only the mail contains it in full. A token that an
 * earlier attempt may have delivered stays valid. */
static int account_mail_start(NotifySlot *s, const NotifyMessage *m)
{
        const char *kind = notify_message_kind(m), *new = json_get_string(m->payload, "new");
        bool invites = streq(kind, "invitation"), changes = streq(kind, "change");
        bool undoes = streq(kind, "changing") || streq(kind, "changed");
        char token[TOKEN_MAX], hash[TOKEN_HASH_MAX];

        if (new) {
                s->by = strdup(new);
                if (!s->by)
                        return -ENOMEM;
        }
        if (!streq(kind, "verify") && !streq(kind, "reset") && !invites && !changes && !undoes) {
                account_mail_send(s, kind);
                return 0;
        }
        token_new(invites ? "invite" : "mail", token);
        token_hash(token, hash);
        s->token = strdup(token);
        if (!s->token)
                return -ENOMEM;
        if (invites)
                return db_query(s->notifier->db,
                                SQL(invitation_mail_start, .hash = hash,
                                    .invitation = json_get_string(m->payload, "invitation")),
                                token_stored, s);
        if (changes)
                return db_query(s->notifier->db,
                                SQL(change_mail_start, .hash = hash, .change = json_get_string(m->payload, "change")),
                                token_stored, s);
        if (undoes)
                return db_query(s->notifier->db,
                                SQL(undo_mail_start, .hash = hash, .user = s->user, .kind = kind, .email = s->email),
                                token_stored, s);
        return db_query(s->notifier->db,
                        SQL(account_mail_start, .hash = hash, .user = s->user, .kind = kind, .email = s->email),
                        token_stored, s);
}

void notify_slot_start(NotifySlot *s)
{
        _cleanup_(notify_message_done) NotifyMessage m = {};

        NotifyTarget target = {
                .type = s->type,
                .config = s->config ?: "{}",
                .endpoint = s->endpoint,
                .p256dh = s->p256dh,
                .auth = s->auth,
        };
        const char *kind;
        int r = -ENOMEM;

        if (s->id && s->public_id && s->payload && s->type && s->created && s->queue)
                r = notify_message_new(s->public_id, s->payload, s->notifier->config.public_url, &m);
        if (r >= 0) {
                kind = notify_message_kind(&m);
                if (notify_is_account_mail(kind))
                        r = account_mail_start(s, &m);
                else
                        r = notifier_send(s->notifier, &target, &m, slot_ended, s);
        }
        if (r < 0)
                slot_failed(s, r);
}
