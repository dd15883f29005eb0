/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "model/audit.h"
#include "model/rules.h"
#include "shared/json-util.h"
#include "shared/log.h"

char *audit_actor_text(const AuditActor *a)
{
        _cleanup_json_ json_object *o = json_object_new_object();

        if (!o || json_add_string(o, "who", a->who) < 0 ||
            json_add_string(o, "address", isempty(a->address) ? "local" : a->address) < 0 ||
            json_add_string(o, "method", a->method) < 0 || json_add_string(o, "credential", a->credential) < 0)
                return NULL;
        return strdup(json_object_to_json_string_ext(o, JSON_C_TO_STRING_PLAIN));
}

/* ---- The journal ---- */

/* In the journal and as columns of an entry. */
static const struct {
        const char *field, *key;
} fields[] = {
        { "SSI_AUDIT", "event" },         { "SSI_AUDIT_OUTCOME", "outcome" },       { "SSI_AUDIT_ACCOUNT", "account" },
        { "SSI_AUDIT_EMAIL", "email" },   { "SSI_AUDIT_ACTOR", "actor" },           { "SSI_AUDIT_ADDRESS", "address" },
        { "SSI_AUDIT_METHOD", "method" }, { "SSI_AUDIT_CREDENTIAL", "credential" }, { "SSI_AUDIT_OBJECT", "object" },
        { "SSI_AUDIT_NAME", "name" },
};

#define REQUEST_FIELDS 3 /* of http_request_log_enter() */

/* Some names are their owners' free text. */
static void put(FILE *f, const char *before, const char *value, const char *after)
{
        if (value && text_is_line(value))
                fprintf(f, "%s%s%s", before, value, after);
}

/* "login (done) by usr-x for usr-x <a@example.org> from 192.0.2.1, password: ses-y" */
static char *describe(json_object *o)
{
        int64_t count = 1;
        char *text = NULL;
        size_t size;
        FILE *f;

        f = open_memstream(&text, &size);
        if (!f)
                return NULL;
        (void) json_get_int64(o, "count", &count);
        put(f, "Audit: ", json_get_string(o, "event"), "");
        put(f, " (", json_get_string(o, "outcome"), ")");
        put(f, " by ", json_get_string(o, "actor"), "");
        put(f, " for ", json_get_string(o, "account"), "");
        put(f, " <", json_get_string(o, "email"), ">");
        put(f, " from ", json_get_string(o, "address"), "");
        if (!streq_ptr(json_get_string(o, "method"), json_get_string(o, "address"))) /* "bus" */
                put(f, " with ", json_get_string(o, "method"), "");
        put(f, " ", json_get_string(o, "credential"), "");
        put(f, ": ", json_get_string(o, "object"), "");
        put(f, " \"", json_get_string(o, "name"), "\"");
        if (count > 1)
                fprintf(f, ", %lld times", (long long) count);
        if (fclose(f) != 0) {
                free(text);
                return NULL;
        }
        return text;
}

static void free_all(char **texts, size_t n)
{
        for (size_t i = 0; i < n; i++)
                free(texts[i]);
}

static void write_entry(json_object *o)
{
        const char *const *request = log_set_fields(NULL);
        const char *all[1 + ELEMENTSOF(fields) + REQUEST_FIELDS + 1];
        _cleanup_free_ char *text = describe(o);
        char *mine[ELEMENTSOF(fields)];
        size_t n = 0, n_mine = 0;

        all[n++] = "MESSAGE_ID=" AUDIT_MESSAGE_ID;
        for (size_t i = 0; i < ELEMENTSOF(fields); i++) {
                const char *value = json_get_string(o, fields[i].key);

                if (value && asprintf(&mine[n_mine], "%s=%s", fields[i].field, value) >= 0)
                        all[n++] = mine[n_mine++];
        }
        for (size_t i = 0; request && request[i] && i < REQUEST_FIELDS; i++)
                all[n++] = request[i];
        all[n] = NULL;
        log_set_fields(all);
        if (text)
                log_full(streq_ptr(json_get_string(o, "outcome"), "done") ? LOG_INFO : LOG_NOTICE, "%s", text);
        log_set_fields(request);
        free_all(mine, n_mine);
}

/* Of acts counted in one row, the first is written. */
static bool is_news(json_object *o)
{
        int64_t count = 1;

        (void) json_get_int64(o, "count", &count);
        return count == 1 || !streq_ptr(json_get_string(o, "outcome"), "done");
}

void audit_journal(PGresult *res)
{
        _cleanup_json_ json_object *entries = NULL;
        int column = PQfnumber(res, "audit");

        if (column < 0 || PQntuples(res) == 0 || PQgetisnull(res, 0, column) ||
            json_parse(PQgetvalue(res, 0, column), (size_t) PQgetlength(res, 0, column), &entries) < 0)
                return;
        for (size_t i = 0; i < json_object_array_length(entries); i++) {
                json_object *o = json_object_array_get_idx(entries, i);

                if (is_news(o))
                        write_entry(o);
        }
}
