/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <pwd.h>

#include "run-follow.h"
#include "service.h"
#include "shared/bus-owner.h"
#include "shared/bus-util.h"
#include "shared/journal/follow.h"
#include "shared/log.h"
#include "shared/time-util.h"

/* The reader sees the runs in the order of the journal. Reading pauses while RUNS_WAITING wait for the next ReadRuns call, so
 * a reader that does not ask costs nothing but this memory. */

#define UPLINK_USER "ssi-uplink"

#define RUN_FOLLOWS_MAX          8U
#define RUN_FOLLOWS_PER_USER_MAX 2U /* except for root */

#define RUNS_WAITING 128U
#define CURSOR_MAX   512U

/* No journal is rotated away in this time. */
#define PAUSE_SHORT_USEC USEC_PER_SEC

#define RUN_TYPE        "ssayssssttttbb"
#define RUNS_ANSWER_MAX (64U * 1024U) /* bytes of text, about */

typedef struct WaitingRun {
        RunEvent event;
        struct WaitingRun *prev, *next;
} WaitingRun;

struct RunFollow {
        Agent *agent;
        uint32_t id;
        BusOwner *caller;
        uid_t uid;
        JournalFollow *follow;
        WaitingRun *runs;
        unsigned n_runs;
        char *gap_cursor; /* a gap that the reader does not know of yet */
        uint64_t gap_from, gap_to;
        bool paused;
        uint64_t paused_at;      /* CLOCK_MONOTONIC, usec */
        char *paused_after;      /* the cursor of the last run before the pause */
        bool live;               /* the reader has to be told that it has everything so far */
        int failed;              /* the journal cannot be read: a negative errno */
        sd_bus_message *request; /* a ReadRuns call that waits */
        RunFollow *prev, *next;
};

static void waiting_run_free(RunFollow *f, WaitingRun *w)
{
        DL_DELETE(f->runs, w);
        f->n_runs--;
        run_event_done(&w->event);
        free(w);
}

static RunFollow *run_follow_free(RunFollow *f)
{
        if (!f)
                return NULL;
        journal_follow_free(f->follow);
        while (f->runs)
                waiting_run_free(f, f->runs);
        sd_bus_message_unref(f->request);
        bus_owner_free(f->caller);
        free(f->gap_cursor);
        free(f->paused_after);
        free(f);
        return NULL;
}
DEFINE_CLEANUP(RunFollow *, run_follow_free);

static void drop(RunFollow *f)
{
        if (f->request)
                (void) sd_bus_reply_method_errorf(f->request, SD_BUS_ERROR_FAILED,
                                                  "You are not following runs any more.");
        DL_DELETE(f->agent->run_follows, f);
        run_follow_free(f);
}

/* ---- Answers ---- */

static int append_run(sd_bus_message *m, const RunEvent *e)
{
        int r;

        r = sd_bus_message_open_container(m, 'r', RUN_TYPE);
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "ss", e->slug, e->cursor);
        if (r < 0)
                return r;
        r = sd_bus_message_append_array(m, 'y', &e->invocation_id, sizeof(e->invocation_id));
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "ssssttttbb", strempty(status_to_string(e->status)), strempty(e->message),
                                  strempty(run_error_kind_to_string(e->error)), strempty(e->detail), e->timestamp,
                                  e->started, e->ended, e->duration, e->stopped, e->correction);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

/* What is not a run: a gap before the runs of this answer, and that they are the last so far. */
static int append_notes(sd_bus_message *m, const RunFollow *f, bool live)
{
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0 && f->gap_cursor)
                r = sd_bus_message_append(m, "{sv}", "gap", "(stt)", f->gap_cursor, f->gap_from, f->gap_to);
        if (r >= 0 && live)
                r = sd_bus_message_append(m, "{sv}", "live", "b", 1);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int send_answer(RunFollow *f, unsigned *ret_n)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        size_t size = 0;
        unsigned n = 0;
        WaitingRun *w;
        int r;

        r = sd_bus_message_new_method_return(f->request, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(reply, 'a', "(" RUN_TYPE ")");
        if (r < 0)
                return r;
        DL_FOREACH(f->runs, w) {
                if (size > RUNS_ANSWER_MAX)
                        break;
                r = append_run(reply, &w->event);
                if (r < 0)
                        return r;
                size += strlen(w->event.slug) + strlen(w->event.cursor) + strlen(strempty(w->event.message)) +
                        strlen(strempty(w->event.detail));
                n++;
        }
        r = sd_bus_message_close_container(reply);
        if (r >= 0)
                r = append_notes(reply, f, f->live && n == f->n_runs);
        if (r >= 0)
                r = sd_bus_message_send(reply);
        *ret_n = n;
        return r;
}

/* After a long pause, the journal may no longer have what comes next; then the reader is told of a gap. */
static int go_on(RunFollow *f)
{
        bool long_pause = now_usec(CLOCK_MONOTONIC) - f->paused_at >= PAUSE_SHORT_USEC;
        int r;

        f->paused = false;
        r = journal_follow_pause(f->follow, false);
        if (r < 0 || !long_pause)
                return r;
        r = journal_follow_has(f->follow, f->paused_after);
        return r == 0 ? journal_follow_start(f->follow, f->paused_after, 0) : MIN(r, 0);
}

/* Answers if there is a request, and something to say. */
static int try_answer(RunFollow *f)
{
        unsigned n = 0;
        int r;

        if (!f->request || (!f->runs && !f->gap_cursor && !f->live && f->failed == 0))
                return 0;
        if (f->runs || f->gap_cursor || f->live) {
                r = send_answer(f, &n);
                if (r < 0)
                        return r;
        } else {
                r = sd_bus_reply_method_errorf(f->request, AGENT_ERROR_READ_FAILED, "Cannot read the journal: %s.",
                                               strerror(-f->failed));
                if (r < 0)
                        return r;
        }
        f->request = sd_bus_message_unref(f->request);
        f->live = f->live && n < f->n_runs;
        free(TAKE_PTR(f->gap_cursor));
        while (n-- > 0)
                waiting_run_free(f, f->runs);
        return f->paused && f->n_runs < RUNS_WAITING ? go_on(f) : 0;
}

static void answer(RunFollow *f)
{
        int r = try_answer(f);

        if (r < 0)
                log_warning_errno(r, "Cannot hand over runs");
}

/* ---- From the journal ---- */

static bool is_installed(const char *slug, void *userdata)
{
        RunFollow *f = userdata;
        Service *s;

        HASH_FIND_STR(f->agent->services, slug, s);
        return s;
}

static int on_run(RunEvent *e, void *userdata)
{
        RunFollow *f = userdata;
        WaitingRun *w;
        int r;

        w = calloc(1, sizeof(*w));
        if (!w)
                return -ENOMEM;
        w->event = *e;
        *e = RUN_EVENT_INIT;
        DL_APPEND(f->runs, w);
        if (++f->n_runs >= RUNS_WAITING && !f->paused) {
                f->paused = true;
                f->paused_at = now_usec(CLOCK_MONOTONIC);
                r = free_and_strdup(&f->paused_after, w->event.cursor);
                if (r < 0)
                        return r;
                r = journal_follow_pause(f->follow, true);
                if (r < 0)
                        return r;
        }
        return try_answer(f);
}

static void on_gap(const char *cursor, uint64_t from, uint64_t to, void *userdata)
{
        RunFollow *f = userdata;

        if (free_and_strdup(&f->gap_cursor, cursor) < 0)
                log_warning("Cannot report a gap in the journal: out of memory");
        f->gap_from = from;
        f->gap_to = to;
        answer(f);
}

static void on_caught_up(void *userdata)
{
        RunFollow *f = userdata;

        f->live = true;
        answer(f);
}

static void on_failed(int error, void *userdata)
{
        RunFollow *f = userdata;

        f->failed = error;
        answer(f);
}

static const JournalFollowOps follow_ops = {
        .is_installed = is_installed,
        .event = on_run,
        .gap = on_gap,
        .caught_up = on_caught_up,
        .failed = on_failed,
};

/* ---- Requests ---- */

static void on_caller(const char *owner, void *userdata)
{
        if (!owner)
                drop(userdata);
}

static RunFollow *find_own(Agent *a, sd_bus_message *request, uint32_t id)
{
        RunFollow *f;

        DL_FOREACH(a->run_follows, f) {
                if (f->id == id && bus_owner_sent(f->caller, request))
                        return f;
        }
        return NULL;
}

static void drop_own(Agent *a, sd_bus_message *request)
{
        RunFollow *f, *tmp;

        DL_FOREACH_SAFE(a->run_follows, f, tmp) {
                if (bus_owner_sent(f->caller, request))
                        drop(f);
        }
}

static int begin(RunFollow *f, const char *after, uint64_t since, sd_bus_error *error)
{
        int r;

        r = journal_follow_new(f->agent->event, &follow_ops, f, &f->follow);
        if (r < 0)
                return r;
        r = journal_follow_start(f->follow, after, since);
        if (r == -EINVAL && after)
                return sd_bus_error_set(error, AGENT_ERROR_INVALID_OPTION, "\"after\" is not a cursor of the journal.");
        return r < 0 ? bus_read_failed("the journal", r, error) : 0;
}

int run_follow_new(Agent *a, sd_bus_message *request, const char *after, uint64_t since, uint32_t *ret_id,
                   sd_bus_error *error)
{
        _cleanup_(run_follow_freep) RunFollow *f = NULL;
        uid_t uid;
        int r;

        r = polkit_sender_uid(a->polkit, request, &uid);
        if (r < 0)
                return r;
        if (uid != 0 && uid != a->uplink_uid)
                return sd_bus_error_set(error, SD_BUS_ERROR_ACCESS_DENIED,
                                        "Only ssi-uplinkd follows runs; GetHistory shows those of one service.");
        if (after && strlen(after) > CURSOR_MAX)
                return sd_bus_error_set(error, AGENT_ERROR_INVALID_OPTION, "\"after\" is not a cursor of the journal.");
        drop_own(a, request);
        if (!list_has_room(a->run_follows, uid, RUN_FOLLOWS_MAX, RUN_FOLLOWS_PER_USER_MAX))
                return sd_bus_error_set(error, SD_BUS_ERROR_LIMITS_EXCEEDED, "Too many programs are following runs.");
        f = calloc(1, sizeof(*f));
        if (!f)
                return -ENOMEM;
        f->agent = a;
        f->uid = uid;
        r = begin(f, after, since, error);
        if (r >= 0)
                r = bus_owner_new(a->bus, sd_bus_message_get_sender(request), on_caller, f, &f->caller);
        if (r < 0)
                return r;
        f->id = ++a->last_run_follow;
        *ret_id = f->id;
        DL_APPEND(a->run_follows, f);
        TAKE_PTR(f);
        return 0;
}

static int not_following(uint32_t id, sd_bus_error *error)
{
        return sd_bus_error_setf(error, SD_BUS_ERROR_INVALID_ARGS,
                                 "You are not following runs with id %" PRIu32 "; call FollowRuns first.", id);
}

int run_follow_read(Agent *a, sd_bus_message *request, uint32_t id, sd_bus_error *error)
{
        RunFollow *f = find_own(a, request, id);

        if (!f)
                return not_following(id, error);
        if (f->request)
                return sd_bus_error_set(error, SD_BUS_ERROR_INVALID_ARGS, "Another ReadRuns call is still waiting.");
        f->request = sd_bus_message_ref(request);
        return try_answer(f);
}

int run_follow_end(Agent *a, sd_bus_message *request, uint32_t id, sd_bus_error *error)
{
        RunFollow *f = find_own(a, request, id);

        if (!f)
                return not_following(id, error);
        drop(f);
        return 0;
}

void run_follows_expect(Agent *a)
{
        RunFollow *f;

        DL_FOREACH(a->run_follows, f) {
                int r = journal_follow_expect(f->follow);

                if (r < 0)
                        log_debug_errno(r, "Cannot look into the journal at once");
        }
}

/* Once, as looking up a user may have to wait for the network. */
void run_follows_init(Agent *a)
{
        /* cppcheck-suppress getpwnamCalled ; no threads yet */
        const struct passwd *p = getpwnam(UPLINK_USER);

        a->uplink_uid = p ? p->pw_uid : 0;
}

void run_follows_free(Agent *a)
{
        while (a->run_follows)
                drop(a->run_follows);
}
