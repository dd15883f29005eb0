/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <systemd/sd-event.h>
#include <utlist.h>

#include "shared/polkit.h"

/* Less than the 128 unanswered calls that the bus allows a connection by default. */
#define QUERIES_MAX          64
#define QUERIES_PER_USER_MAX 16

/* Connections whose user is known. */
#define SENDERS_MAX 256U

/* Long enough for a person to type a password; the caller's own timeout may be shorter. */
#define ANSWER_TIMEOUT_USEC (5 * 60 * USEC_PER_SEC)

typedef struct Query {
        PolkitRegistry *registry;
        sd_bus_message *request;
        char *action, *question;
        uid_t uid;
        sd_bus_slot *slot;
        sd_event_source *expire;
        bool answered;
        bool authorized;
        bool challenge;
        struct Query *prev, *next;
} Query;

typedef struct Sender {
        char *name;
        uid_t uid;
} Sender;

struct PolkitRegistry {
        Query *queries;
        Sender senders[SENDERS_MAX]; /* a ring */
        size_t next_sender;
};

static Query *query_free(Query *q)
{
        if (!q)
                return NULL;
        DL_DELETE(q->registry->queries, q);
        sd_bus_slot_unref(q->slot);
        sd_event_source_disable_unref(q->expire);
        sd_bus_message_unref(q->request);
        free(q->action);
        free(q->question);
        free(q);
        return NULL;
}

DEFINE_CLEANUP(Query *, query_free);

int polkit_registry_new(PolkitRegistry **ret)
{
        PolkitRegistry *r = calloc(1, sizeof(*r));

        if (!r)
                return -ENOMEM;
        *ret = r;
        return 0;
}

PolkitRegistry *polkit_registry_free(PolkitRegistry *r)
{
        if (!r)
                return NULL;
        while (r->queries)
                query_free(r->queries);
        for (size_t i = 0; i < SENDERS_MAX; i++)
                free(r->senders[i].name);
        free(r);
        return NULL;
}

static int on_expire(sd_event_source *s, void *userdata)
{
        query_free(userdata);
        return 0;
}

/* Dispatches the message a second time; that dispatch takes the answer. If nobody takes it (the object may be gone
 * by then), an idle source, which runs after the dispatch, frees the query. */
static int query_redispatch(Query *q)
{
        sd_bus *bus = sd_bus_message_get_bus(q->request);
        int r;

        r = sd_bus_message_rewind(q->request, true);
        if (r < 0)
                return r;
        r = sd_bus_enqueue_for_read(bus, q->request);
        if (r < 0)
                return r;
        r = sd_event_add_defer(sd_bus_get_event(bus), &q->expire, on_expire, q);
        if (r < 0)
                return r;
        return sd_event_source_set_priority(q->expire, SD_EVENT_PRIORITY_IDLE);
}

static int on_answer(sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        Query *q = userdata;
        const sd_bus_error *e = sd_bus_message_get_error(reply);
        int authorized = false, challenge = false;

        q->slot = sd_bus_slot_unref(q->slot);
        q->answered = true;

        /* No polkit, or no valid answer: not authorized. */
        if (!e && sd_bus_message_enter_container(reply, 'r', "bba{ss}") >= 0 &&
            sd_bus_message_read(reply, "bb", &authorized, &challenge) >= 0) {
                q->authorized = authorized;
                q->challenge = challenge;
        }
        if (query_redispatch(q) < 0)
                query_free(q);
        return 1;
}

static int query_send(Query *q)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        sd_bus *bus = sd_bus_message_get_bus(q->request);
        const char *sender = sd_bus_message_get_sender(q->request);
        bool interactive = sd_bus_message_get_allow_interactive_authorization(q->request) > 0;
        int r;

        if (!sender)
                return -EBADMSG;
        r = sd_bus_message_new_method_call(bus, &m, "org.freedesktop.PolicyKit1",
                                           "/org/freedesktop/PolicyKit1/Authority",
                                           "org.freedesktop.PolicyKit1.Authority", "CheckAuthorization");
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "(sa{sv})s", "system-bus-name", 1, "name", "s", sender, q->action);
        if (r >= 0)
                r = q->question ? sd_bus_message_append(m, "a{ss}", 1, "polkit.message", q->question) :
                                  sd_bus_message_append(m, "a{ss}", 0);
        if (r >= 0)
                r = sd_bus_message_append(m, "us", interactive ? 1 : 0, "");
        if (r < 0)
                return r;
        return sd_bus_call_async(bus, &q->slot, m, on_answer, q, ANSWER_TIMEOUT_USEC);
}

static int registry_ask(PolkitRegistry *registry, sd_bus_message *m, const char *action, const char *question,
                        uid_t uid, sd_bus_error *error)
{
        _cleanup_(query_freep) Query *q = NULL;
        unsigned all = 0, same_user = 0;
        Query *i;
        int r;

        DL_FOREACH(registry->queries, i) {
                all++;
                same_user += i->uid == uid;
        }
        if (all >= QUERIES_MAX || same_user >= QUERIES_PER_USER_MAX)
                return sd_bus_error_set(
                        error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                        "Too many requests are waiting for authorization; try again when some are answered.");

        q = calloc(1, sizeof(*q));
        if (!q)
                return -ENOMEM;
        q->registry = registry;
        q->request = sd_bus_message_ref(m);
        q->uid = uid;
        DL_APPEND(registry->queries, q);
        q->action = strdup(action);
        if (!q->action || (question && !(q->question = strdup(question))))
                return -ENOMEM;
        r = query_send(q);
        if (r < 0)
                return r;
        TAKE_PTR(q);
        return 0;
}

static int refuse(const char *action, bool challenge, sd_bus_error *error)
{
        if (challenge)
                return sd_bus_error_setf(
                        error, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED,
                        "This needs authorization (polkit action %s), and nobody can be asked for it here. "
                        "Run it as root, or have an administrator write a polkit rule.",
                        action);
        return sd_bus_error_setf(error, SD_BUS_ERROR_ACCESS_DENIED,
                                 "You are not allowed to do this (polkit action %s). "
                                 "Run it as root, or have an administrator write a polkit rule.",
                                 action);
}

bool polkit_knows_uid(const PolkitRegistry *registry, const char *connection, uid_t *ret)
{
        for (size_t i = 0; i < SENDERS_MAX; i++)
                if (streq_ptr(registry->senders[i].name, connection)) {
                        *ret = registry->senders[i].uid;
                        return true;
                }
        return false;
}

int polkit_learn_uid(PolkitRegistry *registry, const char *connection, uid_t uid)
{
        Sender *s = registry->senders + registry->next_sender;
        uid_t known;
        int r;

        if (polkit_knows_uid(registry, connection, &known))
                return 0;
        r = free_and_strdup(&s->name, connection);
        if (r < 0)
                return r;
        s->uid = uid;
        registry->next_sender = (registry->next_sender + 1) % SENDERS_MAX;
        return 0;
}

int polkit_sender_uid(PolkitRegistry *registry, sd_bus_message *m, uid_t *ret)
{
        _cleanup_(sd_bus_creds_unrefp) sd_bus_creds *creds = NULL;
        const char *connection = sd_bus_message_get_sender(m);
        uid_t uid;
        int r;

        if (!connection)
                return -EBADMSG;
        if (polkit_knows_uid(registry, connection, ret))
                return 0;
        r = sd_bus_query_sender_creds(m, SD_BUS_CREDS_EUID, &creds);
        if (r >= 0)
                r = sd_bus_creds_get_euid(creds, &uid);
        if (r >= 0)
                r = polkit_learn_uid(registry, connection, uid);
        if (r < 0)
                return r;
        *ret = uid;
        return 0;
}

bool polkit_has_answered(const PolkitRegistry *registry, const sd_bus_message *m)
{
        const Query *q;

        DL_FOREACH(registry->queries, q)
                if (q->request == m && q->answered)
                        return true;
        return false;
}

int bus_verify_polkit_question_async(sd_bus_message *m, const char *action, const char *question,
                                     PolkitRegistry *registry, sd_bus_error *error)
{
        uid_t uid;
        Query *q;
        int r;

        DL_FOREACH(registry->queries, q) {
                bool authorized, challenge;

                if (q->request != m || !q->answered)
                        continue;
                /* What is asked may have changed meanwhile: an answer is valid for its question only. */
                if (!streq(q->action, action) || !streq_ptr(q->question, question))
                        continue;
                authorized = q->authorized;
                challenge = q->challenge;
                query_free(q);
                return authorized ? 1 : refuse(action, challenge, error);
        }

        r = polkit_sender_uid(registry, m, &uid);
        if (r < 0)
                return r;
        if (uid == 0)
                return 1;
        return registry_ask(registry, m, action, question, uid, error);
}

int bus_verify_polkit_async(sd_bus_message *m, const char *action, PolkitRegistry *registry, sd_bus_error *error)
{
        return bus_verify_polkit_question_async(m, action, NULL, registry, error);
}
