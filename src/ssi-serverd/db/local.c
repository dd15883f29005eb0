/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <libpq-fe.h>

#include "db/local.h"

static bool host_is_local(const char *s, size_t n)
{
        static const char *const names[] = { "localhost", "::1", "ip6-localhost" };

        if (n == 0 || s[0] == '/' || s[0] == '@' || (n > 4 && strncmp(s, "127.", 4) == 0))
                return true;
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (strlen(names[i]) == n && strncasecmp(s, names[i], n) == 0)
                        return true;
        return false;
}

static bool all_are_local(const char *list)
{
        for (;;) {
                size_t n = strcspn(list, ",");

                if (!host_is_local(list, n))
                        return false;
                if (list[n] == '\0')
                        return true;
                list += n + 1;
        }
}

static const char *option(const PQconninfoOption *options, const char *name)
{
        for (const PQconninfoOption *o = options; o->keyword; o++)
                if (streq(o->keyword, name))
                        return !isempty(o->val) ? o->val : o->envvar ? getenv(o->envvar) : NULL;
        return NULL;
}

bool db_is_local(const char *conninfo)
{
        PQconninfoOption *options = PQconninfoParse(conninfo, NULL);
        const char *list;
        bool local;

        if (!options)
                return false;
        list = option(options, "hostaddr");
        if (isempty(list))
                list = option(options, "host");
        local = all_are_local(strempty(list));
        PQconninfoFree(options);
        return local;
}
