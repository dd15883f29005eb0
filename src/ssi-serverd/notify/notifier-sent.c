/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <utlist.h>

#include "db/array.h"
#include "notify/notifier-internal.h"
#include "notify/notifier-sent.sql.h"
#include "shared/log.h"
#include "shared/time-util.h"

/* The time that a standby may lag behind and still become the primary. */
#define SENT_USEC (3600 * USEC_PER_SEC)
#define SENT_MAX  1000U

static void sent_free(Notifier *n, NotifySent *m)
{
        DL_DELETE(n->sent, m);
        n->n_sent--;
        free(m->public_id);
        free(m->created);
        free(m->queue);
        free(m->user);
        free(m->channel);
        free(m->subscription);
        free(m->payload);
        free(m);
}

void notify_sent_free(Notifier *n)
{
        while (n->sent)
                sent_free(n, n->sent);
}

static void forget_old(Notifier *n)
{
        uint64_t now = now_usec(CLOCK_MONOTONIC);

        while (n->sent && (n->n_sent > SENT_MAX || n->sent->at + SENT_USEC < now))
                sent_free(n, n->sent);
}

void notify_sent_remember(const NotifySlot *s)
{
        NotifySent *m;

        /* An account's mail tells of nothing that has to be taken back. */
        if (!s->channel)
                return;
        m = calloc(1, sizeof(*m));
        if (!m) {
                log_oom();
                return;
        }
        *m = (NotifySent){
                .public_id = strdup(s->public_id),
                .created = strdup(s->created),
                .queue = strdup(s->queue),
                .user = strdup(s->user),
                .channel = strdup(s->channel),
                .subscription = s->subscription ? strdup(s->subscription) : NULL,
                .payload = strdup(s->payload),
                .at = now_usec(CLOCK_MONOTONIC),
        };
        DL_APPEND(s->notifier->sent, m);
        s->notifier->n_sent++;
        if (!m->public_id || !m->created || !m->queue || !m->user || !m->channel || !m->payload ||
            (s->subscription && !m->subscription)) {
                log_oom();
                sent_free(s->notifier, m);
        }
        forget_old(s->notifier);
}

static void put_back_done(PGresult *res, int error, void *userdata)
{
        if (error < 0 && error != -ECANCELED && error != -ECONNRESET)
                log_warning("Cannot tell the database which notifications were sent: %s", db_result_message(res));
        else if (error >= 0 && !streq(PQgetvalue(res, 0, 0), "0"))
                log_notice("The database was set back: %s notifications that were sent were not in it.",
                           PQgetvalue(res, 0, 0));
}

void notify_sent_put_back(Notifier *n)
{
        DbArray a[SQL_put_back_params] = {};
        const char *params[SQL_put_back_params];
        bool complete = true;

        forget_old(n);
        if (!n->sent)
                return;
        for (NotifySent *m = n->sent; m; m = m->next) {
                db_array_text(&a[SQL_put_back_id], m->public_id);
                db_array_text(&a[SQL_put_back_created], m->created);
                db_array_text(&a[SQL_put_back_queue], m->queue);
                db_array_text(&a[SQL_put_back_user], m->user);
                db_array_text(&a[SQL_put_back_channel], m->channel);
                db_array_text(&a[SQL_put_back_subscription], m->subscription);
                db_array_text(&a[SQL_put_back_payload], m->payload);
        }
        for (unsigned k = 0; k < SQL_put_back_params; k++) {
                params[k] = db_array_done(&a[k]);
                complete = complete && params[k];
        }
        if (!complete)
                log_oom();
        else
                (void) db_query(n->db, SQL_put_back, SQL_put_back_params, params, put_back_done, n);
        db_arrays_free(a, SQL_put_back_params);
}
