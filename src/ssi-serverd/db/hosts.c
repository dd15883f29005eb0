/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "db/hosts.h"
#include "shared/log.h"
#include "shared/time-util.h"

/* Of a single host, nothing else can be tried meanwhile. */
#define TIMEOUT_ONE_USEC  (10 * USEC_PER_SEC)
#define TIMEOUT_EACH_USEC (3 * USEC_PER_SEC)
#define TIMEOUT_MIN_USEC  (2 * USEC_PER_SEC) /* as libpq */
#define TIMEOUT_MAX_SEC   3600L
#define LOG_AGAIN_USEC    (60 * USEC_PER_SEC)

typedef struct DbHost {
        char *host, *hostaddr, *port; /* NULL: not named */
        DbHostFault fault;
        uint64_t logged;
} DbHost;

struct DbHosts {
        unsigned n_ref;
        PQconninfoOption *options;
        size_t n_options;
        DbHost *items;
        unsigned n, first;
        uint64_t timeout;
        bool optional;
        unsigned statement_timeout;
        char *trouble;
};

static const char *option(const DbHosts *h, const char *name)
{
        for (const PQconninfoOption *o = h->options; o->keyword; o++)
                if (streq(o->keyword, name))
                        return isempty(o->val) ? NULL : o->val;
        return NULL;
}

static unsigned count_elements(const char *list)
{
        unsigned n = 1;

        for (const char *s = list; (s = strchr(s, ',')); s++)
                n++;
        return n;
}

/* NULL and success for an empty element, which means the default. A list of one counts for all hosts. */
static int element(const char *list, unsigned n, char **ret)
{
        size_t length;

        *ret = NULL;
        if (!list)
                return 0;
        if (strchr(list, ','))
                for (; n > 0; n--)
                        list = strchr(list, ',') + 1;
        length = strcspn(list, ",");
        if (length == 0)
                return 0;
        *ret = strndup(list, length);
        return *ret ? 0 : -ENOMEM;
}

static int read_hosts(DbHosts *h)
{
        const char *host = option(h, "host"), *hostaddr = option(h, "hostaddr"), *port = option(h, "port");
        const char *list = hostaddr ?: host;
        int r = 0;

        h->n = list ? count_elements(list) : 1;
        /* libpq says what is wrong with lists that do not match. */
        if ((host && count_elements(host) != h->n) ||
            (port && count_elements(port) != 1 && count_elements(port) != h->n))
                h->n = 1;
        h->items = calloc(h->n, sizeof(*h->items));
        if (!h->items)
                return -ENOMEM;
        if (h->n == 1) {
                h->items[0] = (DbHost){ .host = host ? strdup(host) : NULL,
                                        .hostaddr = hostaddr ? strdup(hostaddr) : NULL,
                                        .port = port ? strdup(port) : NULL };
                return (host && !h->items[0].host) || (hostaddr && !h->items[0].hostaddr) ||
                                       (port && !h->items[0].port) ?
                               -ENOMEM :
                               0;
        }
        for (unsigned i = 0; i < h->n && r >= 0; i++) {
                r = element(host, i, &h->items[i].host);
                if (r >= 0)
                        r = element(hostaddr, i, &h->items[i].hostaddr);
                if (r >= 0)
                        r = element(port, i, &h->items[i].port);
        }
        return r;
}

int db_hosts_new(const char *conninfo, DbHosts **ret)
{
        _cleanup_(db_hosts_unrefp) DbHosts *h = NULL;
        const char *timeout;
        long seconds;
        int r;

        h = calloc(1, sizeof(*h));
        if (!h)
                return -ENOMEM;
        h->n_ref = 1;
        h->options = PQconninfoParse(conninfo, NULL);
        if (!h->options)
                return -EINVAL;
        while (h->options[h->n_options].keyword)
                h->n_options++;
        r = read_hosts(h);
        if (r < 0)
                return r;
        timeout = option(h, "connect_timeout");
        /* Without end (0, or negative), the other hosts would never be tried. */
        seconds = timeout ? strtol(timeout, NULL, 10) : 0;
        h->timeout = seconds > 0 ? (uint64_t) MIN(seconds, TIMEOUT_MAX_SEC) * USEC_PER_SEC : 0;
        if (h->timeout == 0)
                h->timeout = h->n > 1 ? TIMEOUT_EACH_USEC : TIMEOUT_ONE_USEC;
        h->timeout = MAX(h->timeout, TIMEOUT_MIN_USEC);
        *ret = TAKE_PTR(h);
        return 0;
}

DbHosts *db_hosts_ref(DbHosts *h)
{
        h->n_ref++;
        return h;
}

DbHosts *db_hosts_unref(DbHosts *h)
{
        if (!h || --h->n_ref > 0)
                return NULL;
        for (unsigned i = 0; h->items && i < h->n; i++) {
                free(h->items[i].host);
                free(h->items[i].hostaddr);
                free(h->items[i].port);
        }
        free(h->items);
        free(h->trouble);
        PQconninfoFree(h->options);
        free(h);
        return NULL;
}

unsigned db_hosts_count(const DbHosts *h)
{
        return h->n;
}

unsigned db_hosts_first(const DbHosts *h)
{
        return h->first;
}

uint64_t db_hosts_timeout_usec(const DbHosts *h)
{
        return h->timeout;
}

void db_hosts_set_optional(DbHosts *h, unsigned statement_timeout_ms)
{
        h->optional = true;
        h->statement_timeout = statement_timeout_ms;
}

const char *db_hosts_trouble(const DbHosts *h)
{
        return h->trouble;
}

static bool wants(const DbHosts *h, const char *attrs)
{
        return streq_ptr(option(h, "target_session_attrs"), attrs);
}

bool db_hosts_refuse(const DbHosts *h, bool read_only, bool standby)
{
        return (read_only && wants(h, "read-write")) || (standby && wants(h, "primary"));
}

unsigned db_hosts_statement_timeout(const DbHosts *h)
{
        return h->statement_timeout;
}

static const char *value_of(const DbHost *host, const PQconninfoOption *o)
{
        if (streq(o->keyword, "host"))
                return host->host;
        if (streq(o->keyword, "hostaddr"))
                return host->hostaddr;
        if (streq(o->keyword, "port"))
                return host->port;
        if (streq(o->keyword, "target_session_attrs") && o->val &&
            (streq(o->val, "read-write") || streq(o->val, "primary")))
                return NULL; /* db_hosts_refuse() */
        return o->val;
}

PGconn *db_hosts_connect(const DbHosts *h, unsigned host)
{
        /* What comes first are defaults, which the connection string overrides. Keepalives find a host that is gone where
         * nothing is sent, as by the connection that listens. */
        static const char *const defaults[][2] = {
                { "fallback_application_name", "ssi-serverd" },
                { "client_encoding", "UTF8" },
                { "keepalives_idle", "15" },
                { "keepalives_interval", "5" },
                { "tcp_user_timeout", "15000" },
        };
        size_t n = 0, size = ELEMENTSOF(defaults) + h->n_options + 1;
        _cleanup_free_ const char **keys = calloc(size, sizeof(*keys)), **values = calloc(size, sizeof(*values));

        if (!keys || !values)
                return NULL;
        for (; n < ELEMENTSOF(defaults); n++) {
                keys[n] = defaults[n][0];
                values[n] = defaults[n][1];
        }
        for (const PQconninfoOption *o = h->options; o->keyword; o++) {
                const char *value = value_of(&h->items[host], o);

                if (isempty(value))
                        continue;
                keys[n] = o->keyword;
                values[n++] = value;
        }
        return PQconnectStartParams(keys, values, 0);
}

static const char *name_of(const DbHost *host)
{
        return host->host ?: host->hostaddr ?: "by default";
}

static bool may_be_so(DbHostFault fault)
{
        return fault == DB_HOST_IN_RECOVERY || fault == DB_HOST_READ_ONLY;
}

void db_hosts_answered(DbHosts *h, unsigned host)
{
        DbHost *i = &h->items[host];

        h->first = host;
        free(TAKE_PTR(h->trouble));
        if (i->fault != DB_HOST_GOOD)
                log_info("The database host %s%s%s %s.", name_of(i), i->port ? ":" : "", strempty(i->port),
                         may_be_so(i->fault) ? "now accepts writes" : "answers again");
        i->fault = DB_HOST_GOOD;
}

static void log_fault(const DbHosts *h, const DbHost *i, const char *reason)
{
        static const char *const texts[] = {
                [DB_HOST_SILENT] = "does not answer",
                [DB_HOST_REFUSES] = "refuses the connection",
                [DB_HOST_IN_RECOVERY] = "is in recovery (a standby)",
                [DB_HOST_READ_ONLY] = "is read-only",
        };
        const char *next = h->n > 1 ? "the next" : "again", *port = strempty(i->port);

        if (may_be_so(i->fault))
                log_notice("The database host %s%s%s %s; trying %s.", name_of(i), i->port ? ":" : "", port,
                           texts[i->fault], next);
        else
                log_warning("The database host %s%s%s %s (%.*s); trying %s.", name_of(i), i->port ? ":" : "", port,
                            texts[i->fault], (int) strcspn(reason, "\n"), reason, next);
}

void db_hosts_failed(DbHosts *h, unsigned host, const char *reason, DbHostFault fault)
{
        uint64_t now = now_usec(CLOCK_MONOTONIC);
        DbHost *i = &h->items[host];

        (void) free_and_strdup(&h->trouble, reason);
        if (h->optional || (i->fault == fault && (may_be_so(fault) || now - i->logged < LOG_AGAIN_USEC))) {
                log_debug("Database host %s: %s", name_of(i), reason);
                return;
        }
        i->fault = fault;
        i->logged = now;
        log_fault(h, i, reason);
}
