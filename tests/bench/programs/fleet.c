/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <limits.h>
#include <math.h>

#include "fleet.h"
#include "shared/time-util.h"

/* An agent waits so long for further changes before it announces the next runs (ssi-uplinkd, inventory.c). At no certain
 * rate, two batches are about as good. */
#define ANNOUNCE_USEC 5e6
#define PERIOD        300
/* So late that nothing is overdue when somebody looks at the database afterwards. What it costs is the same. */
#define GRACE "86400"

/* A few rounds of splitmix64. */
static uint64_t mix(uint64_t x)
{
        x += UINT64_C(0x9e3779b97f4a7c15);
        x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
        return x ^ (x >> 31);
}

/* A fixed order of all slots, in which neighbours are far apart: a Feistel network, walked until it stays below n. */
static uint32_t shuffle(uint32_t x, uint32_t n)
{
        unsigned half = 1;
        uint32_t mask;

        while ((UINT64_C(1) << 2 * half) < n)
                half++;
        mask = (UINT32_C(1) << half) - 1;
        do {
                uint32_t left = x >> half, right = x & mask;

                for (unsigned k = 0; k < 4; k++) {
                        uint32_t next = left ^ ((uint32_t) mix((uint64_t) right << 8 | k) & mask);

                        left = right;
                        right = next;
                }
                x = left << half | right;
        } while (x >= n);
        return x;
}

uint32_t fleet_server(const Fleet *f, uint32_t agent)
{
        return agent * f->options->connections + f->number + 1;
}

int fleet_init(Fleet *f, const Options *o, unsigned number, uint8_t *state)
{
        double rate = o->rate ? (double) o->rate : (double) o->agents * o->services / PERIOD;

        *f = (Fleet){ .options = o, .number = number, .state = state, .n_agents = o->agents / o->connections };
        f->n_slots = o->together ? f->n_agents : f->n_agents * o->services;
        f->step = 1e6 * o->connections * (o->together ? o->services : 1) / rate;
        f->agents = calloc(f->n_agents, sizeof(*f->agents));
        f->waiting = calloc(f->n_agents, sizeof(*f->waiting));
        return f->agents && f->waiting ? 0 : -1;
}

static double next_report(const Fleet *f)
{
        return (double) f->taken * f->step;
}

static double next_announcement(const Fleet *f)
{
        return f->n_waiting > 0 ? f->waiting[f->first_waiting].due : INFINITY;
}

double fleet_due(const Fleet *f)
{
        return f->options->rate ? fmin(next_report(f), next_announcement(f)) : 0;
}

static Part *part_of(Fleet *f, uint32_t agent)
{
        Agent *a = &f->agents[agent];

        if (a->batch != f->batch) {
                a->batch = f->batch;
                a->part = (uint16_t) f->n_parts;
                f->parts[f->n_parts++] = (Part){ .agent = agent };
        }
        return &f->parts[a->part];
}

static void add_result(Fleet *f, uint32_t agent, unsigned service, double due)
{
        const Options *o = f->options;
        uint64_t number = (f->taken * o->services + service) * o->connections + f->number;
        uint8_t *state = &f->state[(uint64_t) (fleet_server(f, agent) - 1) * o->services + service];
        bool changed = mix(number + o->from) % 10000 < (uint64_t) (o->changes * 100);
        Part *p = part_of(f, agent);
        Agent *a = &f->agents[agent];

        *state ^= changed;
        f->items[f->n_items++] = (Item){
                .agent = agent, .part = a->part, .service = (uint16_t) service, .changed = changed, .due = due
        };
        p->results++;
        if (!o->inventories)
                return;
        if (!a->untold)
                f->waiting[(f->first_waiting + f->n_waiting++) % f->n_agents] =
                        (Announcement){ .agent = agent,
                                        .due = due + (o->rate ? ANNOUNCE_USEC : 2 * o->batch * f->step) };
        a->untold |= (uint16_t) (1U << service);
}

static void take_results(Fleet *f, double now)
{
        const Options *o = f->options;
        unsigned each = o->together ? o->services : 1;

        /* Each service at most once. */
        while (f->n_items + each <= o->batch && f->n_items + each <= f->n_agents * o->services &&
               next_report(f) <= now) {
                uint32_t slot = shuffle((uint32_t) ((f->taken + o->from) % f->n_slots), f->n_slots);
                double due = next_report(f);

                if (o->together)
                        for (unsigned s = 0; s < o->services; s++)
                                add_result(f, slot, s, due);
                else
                        add_result(f, slot / o->services, slot % o->services, due);
                f->taken++;
        }
}

static void take_announcements(Fleet *f, double now)
{
        while (f->n_waiting > 0 && f->n_parts < f->options->batch && f->waiting[f->first_waiting].due <= now) {
                uint32_t agent = f->waiting[f->first_waiting].agent;

                part_of(f, agent)->untold = f->agents[agent].untold;
                f->agents[agent].untold = 0;
                f->first_waiting = (f->first_waiting + 1) % f->n_agents;
                f->n_waiting--;
        }
}

bool fleet_take(Fleet *f, double now)
{
        double report = next_report(f), announcement = next_announcement(f);

        f->batch++;
        f->n_parts = f->n_items = 0;
        /* What has waited longest decides what kind of batch it is. */
        f->inventory = announcement <= report;
        if (f->inventory)
                take_announcements(f, f->options->rate ? now : report);
        else
                take_results(f, f->options->rate ? now : INFINITY);
        return f->n_parts > 0;
}

static void name_service(char name[static 24], unsigned service)
{
        snprintf(name, 24, "check-%u", service);
}

static void add_results(Fleet *f, uint64_t now)
{
        DbArray *a = f->arrays;

        for (unsigned i = 0; i < f->n_items; i++) {
                const Item *item = &f->items[i];
                uint64_t place = (uint64_t) (fleet_server(f, item->agent) - 1) * f->options->services + item->service;
                bool bad = f->state[place];
                char name[24], message[80], run[40];

                name_service(name, item->service);
                snprintf(message, sizeof(message), "/ is %u%% full, and some more words as scripts print them",
                         bad ? 81U : 42U);
                snprintf(run, sizeof(run), "%016llx%016llx", (unsigned long long) mix(place ^ now),
                         (unsigned long long) mix(place + now));
                db_array_int(&a[SQL_items_part], item->part + 1);
                db_array_text(&a[SQL_items_name], name);
                db_array_text(&a[SQL_items_status], bad ? "WARNING" : "OK");
                db_array_text(&a[SQL_items_message], message);
                db_array_time(&a[SQL_items_status_at], now);
                db_array_time(&a[SQL_items_changed_at], now);
                db_array_bool(&a[SQL_items_fresh], false);
                db_array_bool(&a[SQL_items_flipped], false);
                db_array_bool(&a[SQL_items_live], true);
                db_array_int(&a[SQL_items_duration], 12);
                db_array_text(&a[SQL_items_invocation], run);
                db_array_null(&a[SQL_items_error_kind]);
                db_array_null(&a[SQL_items_error_detail]);
                db_array_null(&a[SQL_items_error_at]);
                if (f->options->changes_only && !item->changed)
                        continue;
                db_array_int(&a[SQL_items_event_part], item->part + 1);
                db_array_text(&a[SQL_items_event_service], name);
                db_array_text(&a[SQL_items_event_kind], "result");
                db_array_time(&a[SQL_items_event_at], now);
                db_array_text(&a[SQL_items_event_status], bad ? "WARNING" : "OK");
                db_array_text(&a[SQL_items_event_message], message);
                db_array_null(&a[SQL_items_event_error_kind]);
                db_array_null(&a[SQL_items_event_error_detail]);
                db_array_int(&a[SQL_items_event_duration], 12);
                db_array_text(&a[SQL_items_event_invocation], run);
                db_array_null(&a[SQL_items_event_gap_from]);
        }
}

static void add_announcements(Fleet *f, unsigned part, uint64_t now)
{
        DbArray *a = f->arrays;

        db_array_bool(&a[SQL_inventory_whole], false);
        for (unsigned s = 0; s < f->options->services; s++) {
                char name[24], title[24];

                if (!(f->parts[part].untold & 1U << s))
                        continue;
                name_service(name, s);
                snprintf(title, sizeof(title), "Check %u", s);
                db_array_int(&a[SQL_inventory_part], part + 1);
                db_array_text(&a[SQL_inventory_name], name);
                db_array_bool(&a[SQL_inventory_fresh], false);
                db_array_text(&a[SQL_inventory_title], title);
                db_array_text(&a[SQL_inventory_metadata], "{}");
                db_array_text(&a[SQL_inventory_schedule], "*:0/5");
                db_array_int(&a[SQL_inventory_timeout], 60000);
                db_array_bool(&a[SQL_inventory_enabled], true);
                /* It is past when the next result comes: scripts run, and a schedule has a random delay. */
                db_array_time(&a[SQL_inventory_next_run], now + (PERIOD - 10) * USEC_PER_SEC);
                db_array_null(&a[SQL_inventory_watches]);
                db_array_null(&a[SQL_inventory_depends_on]);
                db_array_time(&a[SQL_inventory_heard_at], now - (uint64_t) ANNOUNCE_USEC);
        }
}

/* The project's own form of a cursor is this long. */
static void add_cursor(DbArray *a, uint32_t sent)
{
        char cursor[40];

        snprintf(cursor, sizeof(cursor), "0123456789abcdef;1000;%u", sent);
        db_array_text(a, sent > 0 ? cursor : NULL);
}

static void add_payloads(const Fleet *f, const char *instance, DbArray *a)
{
        _cleanup_(changes_clear) Changes changes = {};
        char **payloads = NULL;
        size_t n = 0;

        if (fleet_changes(f, &changes) < 0 || changes_encode(&changes, instance, &payloads, &n) < 0)
                a->oom = true;
        for (size_t i = 0; i < n; i++)
                db_array_text(a, payloads[i]);
        payloads_free(payloads, n);
}

unsigned fleet_params(Fleet *f, const char *instance, const char *params[static SQL_items_params + 1])
{
        unsigned n = f->inventory ? SQL_inventory_params : SQL_items_params;
        unsigned grace = f->inventory ? SQL_inventory_grace : SQL_items_grace;
        uint64_t now = now_usec(CLOCK_REALTIME);
        DbArray *a = f->arrays;

        db_arrays_free(a, SQL_items_params + 1);
        for (unsigned k = 0; k < f->n_parts; k++) {
                const Part *p = &f->parts[k];

                /* The fence's parameters have the same places in both statements. */
                db_array_int(&a[SQL_items_server], fleet_server(f, p->agent));
                db_array_int(&a[SQL_items_epoch], 0);
                add_cursor(&a[SQL_items_expected], f->agents[p->agent].sent);
                add_cursor(&a[SQL_items_cursor], p->results > 0 ? f->agents[p->agent].sent + p->results : 0);
                db_array_bool(&a[SQL_items_gap], false);
                if (f->inventory)
                        add_announcements(f, k, now);
        }
        if (!f->inventory)
                add_results(f, now);
        if (!f->inventory && f->options->notify == NOTIFY_IN_COMMIT)
                add_payloads(f, instance, &a[n++]);
        for (unsigned k = 0; k < n; k++)
                params[k] = k == grace ? GRACE : db_array_done(&a[k]);
        return n;
}

int fleet_changes(const Fleet *f, Changes *changes)
{
        unsigned told = UINT_MAX;

        for (unsigned i = 0; i < f->n_items; i++) {
                const Item *item = &f->items[i];
                char user[24], server[24], name[24];
                uint32_t id = fleet_server(f, item->agent);
                int r = 0;

                snprintf(user, sizeof(user), "usr-%016x", 1 + id / 100);
                snprintf(server, sizeof(server), "srv-%016x", id);
                name_service(name, item->service);
                if (item->changed && told != item->part)
                        r = changes_add(changes, CHANGE_SERVER, user, server, NULL);
                if (item->changed)
                        told = item->part;
                if (r >= 0)
                        r = changes_add(changes, CHANGE_SERVICE, user, server, name);
                if (r < 0)
                        return r;
        }
        return 0;
}

unsigned fleet_done(Fleet *f)
{
        unsigned rows = 0;

        for (unsigned k = 0; k < f->n_parts; k++)
                f->agents[f->parts[k].agent].sent += f->parts[k].results;
        for (unsigned i = 0; i < f->n_items; i++)
                rows += !f->options->changes_only || f->items[i].changed;
        return rows;
}
