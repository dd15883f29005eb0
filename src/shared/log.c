/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/uio.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include "shared/log.h"

static int max_level = LOG_INFO;
static bool to_journal = false;
static _Thread_local const char *const *fields = NULL;

#define FIELDS_MAX 16U

int log_level_from_string(const char *s)
{
        static const char *const names[] = {
                "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug",
        };

        if (s[0] >= '0' && s[0] <= '7' && s[1] == '\0')
                return s[0] - '0';
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (streq(s, names[i]))
                        return (int) i;
        return -EINVAL;
}

static bool stderr_is_journal(void)
{
        unsigned long long dev, ino;
        const char *e = getenv("JOURNAL_STREAM");
        struct stat st;

        return e && sscanf(e, "%llu:%llu", &dev, &ino) == 2 && fstat(STDERR_FILENO, &st) >= 0 && st.st_dev == dev &&
               st.st_ino == ino;
}

void log_setup(void)
{
        const char *e = getenv("SSI_LOG_LEVEL");
        int level = e ? log_level_from_string(e) : -EINVAL;

        if (level >= 0)
                max_level = level;
        to_journal = stderr_is_journal();
}

void log_set_max_level(int level)
{
        max_level = level;
}

const char *const *log_set_fields(const char *const *new_fields)
{
        const char *const *before = fields;

        fields = new_fields;
        return before;
}

/* Sends a line with fields directly to the journal, because standard error carries only text. */
static int log_send(int level, const char *message, const char *error)
{
        _cleanup_free_ char *text = NULL;
        char priority[16], identifier[64];
        struct iovec iov[3 + FIELDS_MAX];
        int n = 3;

        if (asprintf(&text, "MESSAGE=%s%s%s", message, error ? ": " : "", strempty(error)) < 0) {
                text = NULL;
                return -ENOMEM;
        }
        snprintf(priority, sizeof(priority), "PRIORITY=%d", level & 7);
        snprintf(identifier, sizeof(identifier), "SYSLOG_IDENTIFIER=%s", program_invocation_short_name);
        iov[0] = (struct iovec){ text, strlen(text) };
        iov[1] = (struct iovec){ priority, strlen(priority) };
        iov[2] = (struct iovec){ identifier, strlen(identifier) };
        for (size_t i = 0; i < FIELDS_MAX && fields[i]; i++)
                iov[n++] = (struct iovec){ (char *) fields[i], strlen(fields[i]) };
        return sd_journal_sendv(iov, n);
}

static void log_write(int level, const char *message, const char *error)
{
        char prefix[4] = "";

        if (to_journal && fields && log_send(level, message, error) >= 0)
                return;
        if (to_journal)
                snprintf(prefix, sizeof(prefix), "<%d>", level & 7);
        if (error)
                fprintf(stderr, "%s%s: %s\n", prefix, message, error);
        else
                fprintf(stderr, "%s%s\n", prefix, message);
}

void log_full(int level, const char *format, ...)
{
        int saved_errno = errno;
        char buffer[2048];
        va_list ap;

        if (level > max_level)
                return;
        va_start(ap, format);
        vsnprintf(buffer, sizeof(buffer), format, ap);
        va_end(ap);
        log_write(level, buffer, NULL);
        errno = saved_errno;
}

int log_full_errno(int level, int error, const char *format, ...)
{
        int saved_errno = errno;
        char buffer[2048], e[256];
        va_list ap;

        error = abs(error);
        if (level <= max_level) {
                va_start(ap, format);
                vsnprintf(buffer, sizeof(buffer), format, ap);
                va_end(ap);
                log_write(level, buffer, strerror_r(error, e, sizeof(e)));
        }
        errno = saved_errno;
        return -error;
}
