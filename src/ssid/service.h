/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One installed service: what its script and units say, what its runs said, and its object on the bus. */

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
        char *metadata[_METADATA_KEY_MAX];                /* of the passive keys; NULL when not given */
        char *depends_on;                                 /* slugs, as watches; never NULL */
        uint64_t timeout_usec;                            /* USEC_INFINITY when unknown */
        int enabled;                                      /* an int, as D-Bus booleans are read */

        Status status; /* _STATUS_INVALID before the first result */
        char *message;
        uint64_t status_timestamp; /* usec since the epoch, 0 for none; so the next ones */
        uint64_t last_run, next_run;
        uint64_t last_run_duration;     /* usec, USEC_INFINITY when unknown */
        const char *last_run_result;    /* "", "success", or the kind of the execution error; static */
        sd_id128_t last_run_invocation; /* SD_ID128_NULL when unknown */
        char *last_run_detail;
        uint64_t last_run_cpu;         /* usec, UINT64_MAX when unknown */
        uint64_t last_run_memory_peak; /* bytes, UINT64_MAX when unknown */

        uint32_t dirty; /* properties that changed since the last signal */
        struct sd_event_source *trigger;
        SystemdQuery *trigger_query;
        uint64_t triggered; /* when last, on the monotonic clock */
        bool trigger_again; /* when the run under way has ended */

        bool next_run_hinted;            /* systemd has changed the timer */
        bool linked;                     /* its timer is named in a target's folder */
        bool seen;                       /* by the scan under way */
        bool zone_checked, zone_changed; /* by the look at the timers under way */
        SystemdQuery *next_run_query, *timeout_query, *cpu_query, *memory_peak_query;
        UT_hash_handle hh;
};

/* name: a slug, or a service's name as its script gives it. NULL when there is none. */
Service *service_find(Agent *a, const char *name);

/* Reads script and unit from disk. -ENOENT when it is not (or no longer) an installed service. */
int service_load(Agent *a, const char *slug, Service **ret);
Service *service_free(Service *s);
DEFINE_CLEANUP(Service *, service_free);

/* Whether units remain of a service that was removed by hand in part. */
bool service_has_rest(const char *slug);

typedef enum UnitFileOwner {
        UNIT_FILE_NONE,
        UNIT_FILE_OURS, /* ssid wrote it */
        UNIT_FILE_FOREIGN,
} UnitFileOwner;

/* Who wrote the file of this name in the unit folder. */
UnitFileOwner unit_file_find(const char *unit);

/* A file of the unit folder: its beginning, as a string. -ENOENT also when it is not a regular file. */
int unit_file_read(const char *unit, size_t max, char **ret);

/* The installed script; NUL-terminated besides. */
int service_read_script(const char *slug, char **ret, size_t *ret_n);

/* Takes the values that other has read from the disk, and marks what changed. */
void service_update(Service *s, Service *other);

/* A concluded run. old status goes out as StatusChanged when it differs. announce: send StatusReported. */
int service_apply_run(Service *s, const RunEvent *e, bool announce);

void service_set_enabled(Service *s, bool enabled);
void service_set_next_run(Service *s, uint64_t usec);
/* As systemd reported it; 0 when it did not. */
void service_set_timeout(Service *s, uint64_t usec);
int service_set_depends_on(Service *s, const char *list);
void service_mark(Service *s, ServiceProperty p);

/* Asks systemd for what results from the units and their drop-ins: the timer's next elapse, the service's timeout. */
int service_query_units(Service *s);
/* The first of them alone. */
int service_query_next_run(Service *s);
