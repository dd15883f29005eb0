/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <linux/capability.h>

#include "shared/journal/follow.h"
#include "shared/status.h"
#include "unit-settings.h"
#include "shared/journal/entry.h"

#define UNIT(k, ...)                                                \
        {                                                           \
                .section = UNIT_SECTION_UNIT, .key = k, __VA_ARGS__ \
        }
#define SERVICE(k, ...)                                                \
        {                                                              \
                .section = UNIT_SECTION_SERVICE, .key = k, __VA_ARGS__ \
        }
#define TEXT(t)    .type = UNIT_SETTING_TEXT, .text = (t)
#define YES        .type = UNIT_SETTING_BOOL, .number = true
#define USEC(n)    .type = UNIT_SETTING_USEC, .number = (n)
#define WORDS(t)   .type = UNIT_SETTING_WORDS, .text = (t)
#define FILTER(t)  .type = UNIT_SETTING_FILTER, .text = (t)
#define MASK(t, n) .type = UNIT_SETTING_MASK, .text = (t), .number = (n)

static const UnitSetting unit_settings[] = {
        UNIT("Documentation", WORDS("man:ssi-service-script(7)")),
        /* Only the schedule limits starts: with systemd's own limit, a check that runs every second would fail
         * permanently. */
        UNIT("StartLimitIntervalSec", USEC(0)),
};

/* A test ends with ssid, because nobody else waits for it, and leaves no unit behind. */
static const UnitSetting test_unit_settings[] = {
        UNIT("CollectMode", TEXT("inactive-or-failed")),
        UNIT("BindsTo", WORDS("ssid.service")),
        UNIT("After", WORDS("ssid.service")),
};

static const UnitSetting service_settings[] = {
        SERVICE("TimeoutStopSec", USEC(5 * USEC_PER_SEC)),
        SERVICE("StandardInput", TEXT("null")),
        SERVICE("StandardOutput", TEXT("journal")),
        SERVICE("StandardError", TEXT("journal")),
        SERVICE("Environment", WORDS("BASH_ENV=" SSI_PKGLIB_DIR "/library.bash")),
};

static const UnitSetting limits[] = {
        SERVICE("MemoryAccounting", YES),
        SERVICE("MemoryMax", .type = UNIT_SETTING_BYTES, .number = UINT64_C(512) * 1024 * 1024),
        SERVICE("TasksMax", .type = UNIT_SETTING_COUNT, .number = 256),
};

/* A check only needs to read the system and to print a line. */
static const UnitSetting sandbox[] = {
        SERVICE("NoNewPrivileges", YES),
        SERVICE("ProtectSystem", TEXT("strict")),
        SERVICE("ProtectHome", TEXT("yes")),
        SERVICE("PrivateTmp", YES),
        SERVICE("PrivateDevices", YES),
        SERVICE("ProtectClock", YES),
        SERVICE("ProtectHostname", YES),
        SERVICE("ProtectKernelTunables", YES),
        SERVICE("ProtectKernelModules", YES),
        SERVICE("ProtectKernelLogs", YES),
        SERVICE("ProtectControlGroups", YES),
        SERVICE("RestrictSUIDSGID", YES),
        SERVICE("RestrictRealtime", YES),
        SERVICE("RestrictNamespaces", MASK("yes", 0)),
        SERVICE("RestrictAddressFamilies", FILTER("AF_UNIX AF_INET AF_INET6 AF_NETLINK")),
        SERVICE("LockPersonality", YES),
        SERVICE("RemoveIPC", YES),
        SERVICE("UMask", .type = UNIT_SETTING_MODE, .number = 0077),
        SERVICE("SystemCallArchitectures", WORDS("native")),
        SERVICE("SystemCallFilter", FILTER("@system-service")),
        SERVICE("SystemCallErrorNumber", .type = UNIT_SETTING_ERRNO, .text = "EPERM", .number = EPERM),
};

static const UnitSetting sandbox_unprivileged[] = {
        SERVICE("CapabilityBoundingSet", MASK("", 0)),
        SERVICE("SystemCallFilter", FILTER("~@privileged @resources")),
};

/* Allows root to inspect everything, and to run a program as another user. */
#define CAP(c) (UINT64_C(1) << (c))
#define ROOT_CAPABILITIES                                                                                       \
        (CAP(CAP_DAC_OVERRIDE) | CAP(CAP_DAC_READ_SEARCH) | CAP(CAP_KILL) | CAP(CAP_SETGID) | CAP(CAP_SETUID) | \
         CAP(CAP_NET_BIND_SERVICE) | CAP(CAP_NET_ADMIN) | CAP(CAP_NET_RAW) | CAP(CAP_SYS_PTRACE) |              \
         CAP(CAP_SYS_ADMIN) | CAP(CAP_SYS_RESOURCE) | CAP(CAP_AUDIT_WRITE))

static const UnitSetting sandbox_root[] = {
        SERVICE("CapabilityBoundingSet",
                MASK("CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_KILL CAP_SETGID CAP_SETUID CAP_NET_BIND_SERVICE "
                     "CAP_NET_ADMIN CAP_NET_RAW CAP_SYS_PTRACE CAP_SYS_ADMIN CAP_SYS_RESOURCE CAP_AUDIT_WRITE",
                     ROOT_CAPABILITIES)),
        /* Newer systemd (seen with 257) drops this capability when it sets User= and a filter, even for root, unless
         * it is listed here. A process that becomes another user loses its ambient capabilities (capabilities(7)). */
        SERVICE("AmbientCapabilities", MASK("CAP_SETUID", CAP(CAP_SETUID))),
};

#define USER_NAME_MAX 31 /* systemd's limit */

typedef struct Visitor {
        unit_setting_visit_t visit;
        void *userdata;
} Visitor;

static int visit_all(const Visitor *v, const UnitSetting *settings, size_t n)
{
        int r = 0;

        for (size_t i = 0; i < n && r >= 0; i++)
                r = v->visit(settings + i, v->userdata);
        return r;
}

static int visit_unit(const Visitor *v, const UnitSpec *spec)
{
        const UnitSetting own[] = { UNIT("Description", TEXT(spec->metadata->value[METADATA_NAME])) };
        int r;

        r = visit_all(v, own, ELEMENTSOF(own));
        if (r >= 0)
                r = visit_all(v, unit_settings, ELEMENTSOF(unit_settings));
        if (r >= 0 && spec->test_path)
                r = visit_all(v, test_unit_settings, ELEMENTSOF(test_unit_settings));
        return r;
}

static int visit_own(const Visitor *v, const UnitSpec *spec)
{
        _cleanup_free_ char *path = NULL, *identifier = NULL, *fields = NULL;
        const char *slug = spec->metadata->slug;

        if (asprintf(&path, SSI_SCRIPT_DIR "/%s", slug) < 0 || asprintf(&identifier, "ssi-%s", slug) < 0 ||
            asprintf(&fields, "SSI_SERVICE=%s MESSAGE_ID=" SSI_MESSAGE_ID_OUTPUT_STR, slug) < 0)
                return -ENOMEM;

        const UnitSetting own[] = {
                SERVICE("Type", TEXT("oneshot")),
                SERVICE("ExecStart", .type = UNIT_SETTING_EXEC, .text = path),
                SERVICE("TimeoutStartSec", USEC(spec->timeout_usec)),
                SERVICE("SyslogIdentifier", TEXT(identifier)),
                SERVICE("LogExtraFields", .type = UNIT_SETTING_FIELDS, .text = fields),
        };
        /* /run may be mounted noexec. The output of a test must not count as a service's. */
        const UnitSetting test[] = {
                SERVICE("Type", TEXT("oneshot")),
                SERVICE("ExecStart", .type = UNIT_SETTING_EXEC, .text = spec->test_path),
                SERVICE("ExecPaths", WORDS(spec->test_path)),
                SERVICE("TimeoutStartSec", USEC(spec->timeout_usec)),
                SERVICE("SyslogIdentifier", TEXT("ssi-test")),
                SERVICE("LogExtraFields", .type = UNIT_SETTING_FIELDS, .text = "MESSAGE_ID=" SSI_MESSAGE_ID_OUTPUT_STR),
        };

        return spec->test_path ? visit_all(v, test, ELEMENTSOF(test)) : visit_all(v, own, ELEMENTSOF(own));
}

static int visit_constants(const Visitor *v)
{
        int r = 0;

        for (Status s = 0; s < _STATUS_MAX && r >= 0; s++) {
                char text[64];
                const UnitSetting setting = SERVICE("Environment", WORDS(text));

                snprintf(text, sizeof(text), "STATUS_%s=%s", status_to_string(s), status_to_string(s));
                r = v->visit(&setting, v->userdata);
        }
        return r;
}

/* Without User=, systemd names the dynamic user after the unit. If a static user is called that, the script runs as this user instead:
 * "Uplink" as ssi-uplink. systemd makes up a name where the unit's is longer than a user's may be. */
static int visit_dynamic_user(const Visitor *v, const UnitSpec *spec)
{
        const UnitSetting dynamic = SERVICE("DynamicUser", YES);
        const char *slug = spec->metadata->slug;
        _cleanup_free_ char *name = NULL;
        size_t n = strlen(slug);
        int r;

        r = v->visit(&dynamic, v->userdata);
        /* The name of a test's unit cannot be a user's. */
        if (r < 0 || spec->test_path || n + strlen("ssi-") > USER_NAME_MAX)
                return r;
        if (asprintf(&name, "_ssi%s%s", n + strlen("_ssi-") > USER_NAME_MAX ? "" : "-", slug) < 0)
                return -ENOMEM;

        const UnitSetting user = SERVICE("User", TEXT(name));

        return v->visit(&user, v->userdata);
}

static int visit_user(const Visitor *v, const UnitSpec *spec)
{
        const UnitSetting named = SERVICE("User", TEXT(spec->metadata->value[METADATA_USER]));

        if (named.text)
                return v->visit(&named, v->userdata);
        return spec->metadata->sandbox_off ? 0 : visit_dynamic_user(v, spec);
}

static int visit_sandbox(const Visitor *v, const Metadata *m)
{
        int r;

        if (m->sandbox_off)
                return 0;
        r = visit_all(v, sandbox, ELEMENTSOF(sandbox));
        if (r < 0)
                return r;
        if (streq_ptr(m->value[METADATA_USER], "root"))
                return visit_all(v, sandbox_root, ELEMENTSOF(sandbox_root));
        return visit_all(v, sandbox_unprivileged, ELEMENTSOF(sandbox_unprivileged));
}

int unit_settings_visit(const UnitSpec *spec, unit_setting_visit_t visit, void *userdata)
{
        const Visitor v = { visit, userdata };
        int r;

        if ((r = visit_unit(&v, spec)) < 0 || (r = visit_own(&v, spec)) < 0 ||
            (r = visit_all(&v, service_settings, ELEMENTSOF(service_settings))) < 0 || (r = visit_constants(&v)) < 0 ||
            (r = visit_all(&v, limits, ELEMENTSOF(limits))) < 0 || (r = visit_user(&v, spec)) < 0 ||
            (r = visit_sandbox(&v, spec->metadata)) < 0)
                return r;
        return 0;
}
