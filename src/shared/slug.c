/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "shared/slug.h"

#define UNIT_PREFIX "ssi-"

static bool is_lower_alnum(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

int slug_from_name(const char *name, char **ret)
{
        char buf[SLUG_MAX + 1];
        bool gap = false;
        size_t n = 0;
        char *copy;

        for (; *name; name++) {
                char c = *name >= 'A' && *name <= 'Z' ? (char) (*name - 'A' + 'a') : *name;

                if (!is_lower_alnum(c)) {
                        gap = n > 0;
                        continue;
                }
                if (n + (gap ? 2 : 1) > SLUG_MAX)
                        return -ENAMETOOLONG;
                if (gap)
                        buf[n++] = '-';
                gap = false;
                buf[n++] = c;
        }
        if (n == 0)
                return -EINVAL;
        buf[n] = '\0';
        copy = strdup(buf);
        if (!copy)
                return -ENOMEM;
        *ret = copy;
        return 0;
}

bool slug_is_valid(const char *s)
{
        size_t n = strlen(s);

        if (n == 0 || n > SLUG_MAX || s[0] == '-' || s[n - 1] == '-')
                return false;
        for (size_t i = 0; i < n; i++)
                if (!is_lower_alnum(s[i]) && !(s[i] == '-' && s[i + 1] != '-'))
                        return false;
        return true;
}

char *slug_to_unit(const char *slug, const char *suffix)
{
        char *unit;

        return asprintf(&unit, UNIT_PREFIX "%s%s", slug, suffix) < 0 ? NULL : unit;
}

int slug_from_service_unit(const char *unit, char ret[static SLUG_MAX + 1])
{
        const char *slug = startswith(unit, UNIT_PREFIX), *end;
        char buf[SLUG_MAX + 1];

        end = slug ? endswith(slug, ".service") : NULL;
        if (!end || end - slug > SLUG_MAX)
                return -EINVAL;
        memcpy(buf, slug, (size_t) (end - slug));
        buf[end - slug] = '\0';
        if (!slug_is_valid(buf))
                return -EINVAL;
        memcpy(ret, buf, sizeof(buf));
        return 0;
}
