#include <inttypes.h>

#include "journal-follow.h"
#include "status.h"
#include "unit-file.h"

/* systemd.unit(5): '%' begins a specifier, a backslash at the end continues the line. */
static void put_escaped(FILE *f, const char *s)
{
        size_t n = strlen(s);

        for (size_t i = 0; i < n; i++) {
                if (s[i] == '%')
                        fputs("%%", f);
                else if (s[i] == '\\' && i + 1 == n)
                        fputs("\\ ", f);
                else
                        fputc(s[i], f);
        }
}

static void put_setting(FILE *f, const char *key, const char *value)
{
        fprintf(f, "%s=", key);
        put_escaped(f, value);
        fputc('\n', f);
}

/* What a check needs is to read the system and to print a line. */
static const char sandbox[] =
        "NoNewPrivileges=yes\n"
        "ProtectSystem=strict\n"
        "ProtectHome=yes\n"
        "PrivateTmp=yes\n"
        "PrivateDevices=yes\n"
        "ProtectClock=yes\n"
        "ProtectHostname=yes\n"
        "ProtectKernelTunables=yes\n"
        "ProtectKernelModules=yes\n"
        "ProtectKernelLogs=yes\n"
        "ProtectControlGroups=yes\n"
        "RestrictSUIDSGID=yes\n"
        "RestrictRealtime=yes\n"
        "RestrictNamespaces=yes\n"
        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK\n"
        "LockPersonality=yes\n"
        "RemoveIPC=yes\n"
        "UMask=0077\n"
        "SystemCallArchitectures=native\n"
        "SystemCallFilter=@system-service\n"
        "SystemCallErrorNumber=EPERM\n";

static const char sandbox_unprivileged[] =
        "CapabilityBoundingSet=\n"
        "SystemCallFilter=~@privileged @resources\n";

static void put_user(FILE *f, const Metadata *m)
{
        if (m->value[METADATA_USER])
                fprintf(f, "User=%s\n", m->value[METADATA_USER]);
        else if (!m->sandbox_off)
                fputs("DynamicUser=yes\n", f);
}

char *unit_file_service(const UnitSpec *spec)
{
        const Metadata *m = spec->metadata;
        _cleanup_free_ char *text = NULL;
        _cleanup_fclose_ FILE *f = NULL;
        size_t n;

        f = open_memstream(&text, &n);
        if (!f)
                return NULL;
        fputs(UNIT_FILE_MARK "[Unit]\n", f);
        put_setting(f, "Description", m->value[METADATA_NAME]);
        /* The schedule is the limit: systemd's own would fail a check that runs each second, for good. */
        fputs("Documentation=man:ssi-service-script(7)\n"
              "StartLimitIntervalSec=0\n"
              "\n[Service]\n"
              "Type=oneshot\n",
              f);
        fprintf(f, "ExecStart=" SSI_SCRIPT_DIR "/%s\n", m->slug);
        fprintf(f, "TimeoutStartSec=%" PRIu64 "us\n", spec->timeout_usec);
        fputs("TimeoutStopSec=5s\n"
              "StandardInput=null\n"
              "StandardOutput=journal\n"
              "StandardError=journal\n",
              f);
        fprintf(f, "SyslogIdentifier=ssi-%s\n", m->slug);
        fprintf(f, "LogExtraFields=SSI_SERVICE=%s MESSAGE_ID=" SSI_MESSAGE_ID_OUTPUT_STR "\n", m->slug);
        fputs("Environment=BASH_ENV=" SSI_PKGLIB_DIR "/library.bash\n", f);
        for (Status s = 0; s < _STATUS_MAX; s++)
                fprintf(f, "Environment=STATUS_%s=%s\n", status_to_string(s), status_to_string(s));
        fputs("CPUAccounting=yes\n"
              "MemoryAccounting=yes\n"
              "MemoryMax=512M\n"
              "TasksMax=256\n",
              f);
        put_user(f, m);
        if (!m->sandbox_off) {
                fputs(sandbox, f);
                if (!m->value[METADATA_USER] || !streq(m->value[METADATA_USER], "root"))
                        fputs(sandbox_unprivileged, f);
        }
        if (fclose(TAKE_PTR(f)) != 0)
                return NULL;
        return TAKE_PTR(text);
}

char *unit_file_timer(const UnitSpec *spec)
{
        const Metadata *m = spec->metadata;
        _cleanup_free_ char *text = NULL;
        _cleanup_fclose_ FILE *f = NULL;
        size_t n;

        f = open_memstream(&text, &n);
        if (!f)
                return NULL;
        fputs(UNIT_FILE_MARK "[Unit]\n", f);
        fputs("Description=Schedule of ", f);
        put_escaped(f, m->value[METADATA_NAME]);
        fputs("\nDocumentation=man:ssi-service-script(7)\n"
              "\n[Timer]\n",
              f);
        put_setting(f, "OnCalendar", m->value[METADATA_SCHEDULE]);
        fputs("Persistent=yes\n"
              "AccuracySec=1s\n",
              f);
        if (spec->random_delay_usec > 0)
                fprintf(f,
                        "RandomizedDelaySec=%" PRIu64 "us\n"
                        "FixedRandomDelay=yes\n",
                        spec->random_delay_usec);
        fputs("\n[Install]\n"
              "WantedBy=timers.target\n",
              f);
        if (fclose(TAKE_PTR(f)) != 0)
                return NULL;
        return TAKE_PTR(text);
}
