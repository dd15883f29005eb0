/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>

#include "db/array.h"
#include "db/statement.h"
#include "shared/status-line.h"

static bool reserve(DbArray *a, size_t n)
{
        size_t want;
        char *p;

        if (a->oom)
                return false;
        if (a->allocated - a->n > n)
                return true;
        want = MAX(a->allocated * 2, a->n + n + 256);
        p = realloc(a->text, want);
        if (!p) {
                a->oom = true;
                return false;
        }
        a->text = p;
        a->allocated = want;
        return true;
}

/* Makes room for the separator and n more bytes. */
static bool begin_element(DbArray *a, size_t n)
{
        if (!reserve(a, n + 1))
                return false;
        a->text[a->n] = a->n == 0 ? '{' : ',';
        a->n++;
        return true;
}

static void add_raw(DbArray *a, const char *s)
{
        size_t n = strlen(s);

        if (!begin_element(a, n))
                return;
        memcpy(a->text + a->n, s, n);
        a->n += n;
}

void db_array_null(DbArray *a)
{
        add_raw(a, "NULL");
}

void db_array_text(DbArray *a, const char *s)
{
        if (!s) {
                db_array_null(a);
                return;
        }
        if (!begin_element(a, 2 * strlen(s) + 2))
                return;
        a->text[a->n++] = '"';
        for (; *s; s++) {
                if (*s == '"' || *s == '\\')
                        a->text[a->n++] = '\\';
                a->text[a->n++] = *s;
        }
        a->text[a->n++] = '"';
}

void db_array_int(DbArray *a, int64_t value)
{
        char buf[32];

        snprintf(buf, sizeof(buf), "%" PRIi64, value);
        add_raw(a, buf);
}

void db_array_bool(DbArray *a, bool value)
{
        add_raw(a, sql_bool(value));
}

void db_array_time(DbArray *a, uint64_t usec)
{
        char buf[RFC3339_MAX];

        add_raw(a, usec == USEC_INFINITY ? "NULL" : format_rfc3339(usec, buf));
}

const char *db_array_done(DbArray *a)
{
        if (!reserve(a, 2))
                return NULL;
        if (a->n == 0)
                a->text[a->n++] = '{';
        a->text[a->n++] = '}';
        a->text[a->n] = '\0';
        return a->text;
}

void db_array_free(DbArray *a)
{
        free(a->text);
        *a = (DbArray){};
}

void db_arrays_free(DbArray *a, size_t n)
{
        for (size_t i = 0; i < n; i++)
                db_array_free(&a[i]);
}
