/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <utlist.h>

#include "shared/bus-owner.h"
#include "shared/bus-util.h"
#include "journal-log.h"
#include "shared/log.h"
#include "log-follow.h"
#include "service.h"

/* Each keeps the journal's files open. */
#define LOG_FOLLOWS_MAX          32U
#define LOG_FOLLOWS_PER_USER_MAX 16U /* except for root */

#define LINES_PER_ANSWER 100U

struct LogFollow {
        Agent *agent;
        uint32_t id;
        char *slug;
        BusOwner *caller;
        uid_t uid;
        sd_journal *journal;
        sd_event_source *io;
        sd_bus_message *request; /* a ReadLog call that waits for a line */
        LogFollow *prev, *next;
};

static LogFollow *log_follow_free(LogFollow *f)
{
        if (!f)
                return NULL;
        sd_bus_message_unref(f->request);
        bus_owner_free(f->caller);
        sd_event_source_disable_unref(f->io);
        sd_journal_close(f->journal);
        free(f->slug);
        free(f);
        return NULL;
}
DEFINE_CLEANUP(LogFollow *, log_follow_free);

static void drop(LogFollow *f)
{
        DL_DELETE(f->agent->log_follows, f);
        log_follow_free(f);
}

/* Returns 1 if the request was answered, 0 if there is no line yet. */
static int try_answer(LogFollow *f)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_free_ char *cursor = NULL;
        int r;

        r = sd_bus_message_new_method_return(f->request, &reply);
        if (r < 0)
                return r;
        r = journal_log_append(reply, f->journal, LINES_PER_ANSWER);
        if (r <= 0)
                return r;
        r = sd_journal_get_cursor(f->journal, &cursor);
        if (r < 0)
                return r;
        r = sd_bus_message_append(reply, "s", cursor);
        if (r < 0)
                return r;
        r = sd_bus_message_send(reply);
        if (r < 0)
                return r;
        f->request = sd_bus_message_unref(f->request);
        return 1;
}

static int on_journal(sd_event_source *source, int fd, uint32_t events, void *userdata)
{
        LogFollow *f = userdata;
        int r;

        r = sd_journal_process(f->journal);
        if (r >= 0 && f->request)
                r = try_answer(f);
        if (r >= 0)
                return 0;
        log_warning_errno(r, "Cannot follow what %s prints", f->slug);
        if (f->request)
                (void) sd_bus_reply_method_errno(f->request, r, NULL);
        drop(f);
        return 0;
}

static void on_caller(const char *owner, void *userdata)
{
        if (!owner)
                drop(userdata);
}

static int seek(LogFollow *f, const Service *s, unsigned lines, const char *after, sd_bus_error *error)
{
        int r;

        r = journal_log_open(s->unit, &f->journal);
        if (r < 0)
                return r;
        if (!after)
                return journal_log_seek_last(f->journal, lines);
        if (sd_journal_seek_cursor(f->journal, after) < 0)
                return sd_bus_error_set(error, AGENT_ERROR_INVALID_OPTION,
                                        "\"after\" is not a cursor returned by ReadLog.");
        /* If the entry itself is gone, begin with the next one. */
        r = sd_journal_next(f->journal);
        if (r > 0 && sd_journal_test_cursor(f->journal, after) == 0)
                r = sd_journal_previous(f->journal) > 0 ? 0 : sd_journal_seek_head(f->journal);
        return MIN(r, 0);
}

static int watch_journal(LogFollow *f)
{
        int fd, events;

        fd = sd_journal_get_fd(f->journal);
        if (fd < 0)
                return fd;
        events = sd_journal_get_events(f->journal);
        if (events < 0)
                return events;
        return sd_event_add_io(f->agent->event, &f->io, fd, (uint32_t) events, on_journal, f);
}

static LogFollow *find(Agent *a, uint32_t id)
{
        LogFollow *f;

        DL_FOREACH(a->log_follows, f) {
                if (f->id == id)
                        return f;
        }
        return NULL;
}

int log_follow_new(Agent *a, sd_bus_message *request, const Service *s, unsigned lines, const char *after,
                   uint32_t *ret_id, sd_bus_error *error)
{
        _cleanup_(log_follow_freep) LogFollow *f = NULL;
        uid_t uid;
        int r;

        r = polkit_sender_uid(a->polkit, request, &uid);
        if (r < 0)
                return r;
        if (!list_has_room(a->log_follows, uid, LOG_FOLLOWS_MAX, LOG_FOLLOWS_PER_USER_MAX))
                return sd_bus_error_set(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                        "Too many logs are being followed; stop following one first.");
        f = calloc(1, sizeof(*f));
        if (!f)
                return -ENOMEM;
        f->agent = a;
        f->uid = uid;
        f->slug = strdup(s->slug);
        if (!f->slug)
                return -ENOMEM;
        r = seek(f, s, lines, after, error);
        if (r >= 0)
                r = watch_journal(f);
        if (r >= 0)
                r = bus_owner_new(a->bus, sd_bus_message_get_sender(request), on_caller, f, &f->caller);
        if (r < 0)
                return r;
        do
                f->id = ++a->last_log_follow;
        while (find(a, f->id));
        *ret_id = f->id;
        DL_APPEND(a->log_follows, f);
        TAKE_PTR(f);
        return 0;
}

/* Finds one of the sender's own logs, or returns -ENOENT and sets error. */
static int find_own(Agent *a, sd_bus_message *request, uint32_t id, LogFollow **ret, sd_bus_error *error)
{
        LogFollow *f = find(a, id);

        if (!f || !bus_owner_sent(f->caller, request))
                return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                         "You are not following a log with id %" PRIu32 "; call FollowLog first.", id);
        *ret = f;
        return 0;
}

int log_follow_read(Agent *a, sd_bus_message *request, uint32_t id, sd_bus_error *error)
{
        LogFollow *f = NULL;
        int r;

        r = find_own(a, request, id, &f, error);
        if (r < 0)
                return r;
        /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): set when r >= 0 */
        if (f->request)
                return sd_bus_error_set(error, SD_BUS_ERROR_INVALID_ARGS,
                                        "Another ReadLog call for this log is still waiting.");
        f->request = sd_bus_message_ref(request);
        r = try_answer(f);
        if (r < 0)
                f->request = sd_bus_message_unref(f->request);
        return r;
}

int log_follow_end(Agent *a, sd_bus_message *request, uint32_t id, sd_bus_error *error)
{
        LogFollow *f = NULL;
        int r;

        r = find_own(a, request, id, &f, error);
        if (r < 0)
                return r;
        /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): set when r >= 0 */
        if (f->request)
                (void) sd_bus_reply_method_errorf(f->request, SD_BUS_ERROR_NO_REPLY, "This log is no longer followed.");
        drop(f);
        return 0;
}

void log_follows_removed(Agent *a, const Service *s)
{
        LogFollow *f, *tmp;

        DL_FOREACH_SAFE(a->log_follows, f, tmp) {
                if (!streq(f->slug, s->slug))
                        continue;
                if (f->request)
                        (void) sd_bus_reply_method_errorf(f->request, AGENT_ERROR_NO_SUCH_SERVICE, "%s was removed.",
                                                          s->slug);
                drop(f);
        }
}

void log_follows_free(Agent *a)
{
        while (a->log_follows)
                drop(a->log_follows);
}
