/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* An installed service: the content of its script and units, the results of its runs, and its object on the bus. */

#include <uthash.h>

#include "shared/journal/run-tracker.h"
#include "shared/metadata.h"
#include "agent.h"

/* Bits of Service.dirty, in the order of the names in service-bus.c. */
typedef enum ServiceProperty {
        SERVICE_TITLE,
        SERVICE_DESCRIPTION,
        SERVICE_SCRIPT_VERSION,
        SERVICE_METADATA,
        SERVICE_SCHEDULE,
        SERVICE_TIMEOUT,
        SERVICE_USER,
        SERVICE_LABELS,
        SERVICE_WATCHES,
        SERVICE_DEPENDS_ON,
        SERVICE_ENABLED,
        SERVICE_STATUS,
        SERVICE_MESSAGE,
        SERVICE_STATUS_TIMESTAMP,
        SERVICE_LAST_RUN,
        SERVICE_LAST_RUN_INVOCATION,
        SERVICE_LAST_RUN_RESULT,
        SERVICE_LAST_RUN_DETAIL,
        SERVICE_LAST_RUN_DURATION,
        SERVICE_LAST_RUN_CPU,
        SERVICE_LAST_RUN_MEMORY_PEAK,
        SERVICE_NEXT_RUN,
        _SERVICE_PROPERTY_MAX,
} ServiceProperty;

struct Service {
        Agent *agent;
        char *slug;
        char *path; /* of the bus object */
        char *unit, *timer;

        char *title, *schedule, *user, *labels, *watches; /* never NULL once loaded */
        char *metadata[_METADATA_KEY_MAX];                /* passive keys; NULL if not given */
        char *depends_on;                                 /* slugs separated by commas; never NULL */
        uint64_t timeout_usec;                            /* USEC_INFINITY if unknown */
        int enabled;                                      /* int, because D-Bus booleans are read as such */

        Status status; /* _STATUS_INVALID before the first result */
        char *message;
        uint64_t status_timestamp; /* usec since the epoch, 0 for none; the same for the next ones */
        uint64_t last_run, next_run;
        uint64_t last_run_duration;     /* usec, USEC_INFINITY if unknown */
        const char *last_run_result;    /* "", "success", or the kind of the execution error; static */
        sd_id128_t last_run_invocation; /* SD_ID128_NULL if unknown */
        char *last_run_detail;
        uint64_t last_run_cpu;         /* usec, UINT64_MAX if unknown */
        uint64_t last_run_memory_peak; /* bytes, UINT64_MAX if unknown */

        uint32_t dirty; /* properties that changed since the last signal */
        struct sd_event_source *trigger;
        SystemdQuery *trigger_query;
        uint64_t triggered; /* the last time, on the monotonic clock */
        bool trigger_again; /* trigger when the current run has ended */

        bool next_run_hinted;            /* systemd has changed the timer */
        bool linked;                     /* a target's folder contains a link to its timer */
        bool seen;                       /* found by the current scan */
        bool zone_checked, zone_changed; /* by the current check of the timers */
        SystemdQuery *next_run_query, *timeout_query, *cpu_query, *memory_peak_query;
        UT_hash_handle hh;
};

/* name: a slug, or a service's name as in its script. NULL if there is none. */
Service *service_find(Agent *a, const char *name);

/* Reads the script and the unit from the disk. -ENOENT if it is not (or no longer) an installed service. */
int service_load(Agent *a, const char *slug, Service **ret);
Service *service_free(Service *s);
DEFINE_CLEANUP(Service *, service_free);

/* Whether units are left over from a service that was partly removed by hand. */
bool service_has_rest(const char *slug);

typedef enum UnitFileOwner {
        UNIT_FILE_NONE,
        UNIT_FILE_OURS, /* ssid wrote it */
        UNIT_FILE_FOREIGN,
} UnitFileOwner;

/* Tells who wrote the unit file of this name. */
UnitFileOwner unit_file_find(const char *unit);

/* Reads up to max bytes from the beginning of a unit file, as a string. -ENOENT also if it is not a regular file. */
int unit_file_read(const char *unit, size_t max, char **ret);

/* Reads the installed script. A NUL follows the *ret_n bytes. */
int service_read_script(const char *slug, char **ret, size_t *ret_n);

/* Takes the values that other has read from the disk, and marks those that changed. */
void service_update(Service *s, Service *other);

/* Applies a concluded run. announce: notify the ops of its end and its status. */
int service_apply_run(Service *s, const RunEvent *e, bool announce);

void service_set_enabled(Service *s, bool enabled);
void service_set_next_run(Service *s, uint64_t usec);
/* usec: as reported by systemd; 0 if it did not report it. */
void service_set_timeout(Service *s, uint64_t usec);
int service_set_depends_on(Service *s, const char *list);
void service_mark(Service *s, ServiceProperty p);

/* Queries systemd about values that depend on units and drop-ins: the timer's next elapse and the service's timeout. */
int service_query_units(Service *s);
/* Queries only the next elapse. */
int service_query_next_run(Service *s);
