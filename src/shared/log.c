#include <stdarg.h>
#include <sys/stat.h>

#include "log.h"

static int max_level = LOG_INFO;
static bool to_journal = false;

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

        return e && sscanf(e, "%llu:%llu", &dev, &ino) == 2 && fstat(STDERR_FILENO, &st) >= 0 &&
               st.st_dev == dev && st.st_ino == ino;
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

int log_get_max_level(void)
{
        return max_level;
}

static void log_write(int level, const char *message, const char *error)
{
        char prefix[4] = "";

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
