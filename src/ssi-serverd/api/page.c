/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sodium.h>

#include "api/page.h"
#include "api/call.h"
#include "api/field.h"

#define CURSOR_MAX 1024

static bool is_number(const char *s)
{
        size_t n = strlen(s);

        return n > 0 && n <= 18 && strspn(s, "0123456789") == n;
}

static bool parse_limit(ApiCall *c, const char *limit)
{
        c->page_limit = limit && is_number(limit) && strlen(limit) < 6 ? (unsigned) atoi(limit) :
                        limit                                          ? 0 :
                                                                         API_PAGE_DEFAULT;
        return c->page_limit >= 1 && c->page_limit <= API_PAGE_MAX;
}

/* Decodes the key into the call: a JSON array of strings of the given kinds. */
static bool parse_cursor(ApiCall *c, const char *cursor, const char *kinds)
{
        unsigned char text[CURSOR_MAX];
        json_object *key = NULL;
        size_t n;

        if (sodium_base642bin(text, sizeof(text), cursor, strlen(cursor), NULL, &n, NULL,
                              sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 ||
            json_parse((const char *) text, n, &key) < 0)
                return false;
        c->page_key = key; /* owned by the call in any case */
        if (!json_object_is_type(key, json_type_array) || json_object_array_length(key) != strlen(kinds))
                return false;
        for (size_t i = 0; kinds[i]; i++) {
                json_object *o = json_object_array_get_idx(key, i);
                const char *s = json_object_get_string(o);

                if (!json_object_is_type(o, json_type_string) || strlen(s) != (size_t) json_object_get_string_len(o) ||
                    (kinds[i] == 'n' && !is_number(s)))
                        return false;
        }
        return true;
}

bool api_page_parse(ApiCall *c, const char *kinds, ApiPage *ret)
{
        const char *cursor = http_request_query(c->req, "after");

        if (!parse_limit(c, http_request_query(c->req, "limit"))) {
                api_invalid(c, "limit must be a number from 1 to %d.", API_PAGE_MAX);
                return false;
        }
        if (cursor && !parse_cursor(c, cursor, kinds)) {
                api_invalid(c, "after must be the value from the previous page's Link header.");
                return false;
        }
        *ret = (ApiPage){};
        snprintf(ret->limit, sizeof(ret->limit), "%u", c->page_limit);
        for (size_t i = 0; cursor && kinds[i]; i++)
                ret->keys[i] = json_object_get_string(json_object_array_get_idx(c->page_key, i));
        return true;
}

static void put_escaped(FILE *f, const char *s, const char *also)
{
        static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

        for (; *s; s++)
                if (strchr(plain, *s) || strchr(also, *s))
                        fputc(*s, f);
                else
                        fprintf(f, "%%%02X", (unsigned char) *s);
}

/* The address of the next page: the current one with another cursor. */
static int next_link(ApiCall *c, const char *key, char **ret)
{
        char cursor[sodium_base64_ENCODED_LEN(CURSOR_MAX, sodium_base64_VARIANT_URLSAFE_NO_PADDING)];
        const char *name, *value;
        size_t n = strlen(key), size;
        char *link = NULL;
        FILE *f;

        if (n >= CURSOR_MAX)
                return -E2BIG;
        sodium_bin2base64(cursor, sizeof(cursor), (const unsigned char *) key, n,
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING);
        f = open_memstream(&link, &size);
        if (!f)
                return -ENOMEM;
        fputc('<', f);
        put_escaped(f, http_request_path(c->req), "/");
        fputc('?', f);
        for (size_t i = 0; http_request_query_at(c->req, i, &name, &value); i++) {
                if (streq(name, "after") || streq(name, "limit"))
                        continue;
                put_escaped(f, name, "");
                fputc('=', f);
                put_escaped(f, value, "");
                fputc('&', f);
        }
        fprintf(f, "limit=%u&after=%s>; rel=\"next\"", c->page_limit, cursor);
        if (fclose(f) != 0) {
                free(link);
                return -ENOMEM;
        }
        *ret = link;
        return 0;
}

void api_page_done(ApiCall *c, PGresult *res, int error)
{
        _cleanup_free_ char *link = NULL;

        if (error == 0 && PQntuples(res) > 0 && strtoul(PQgetvalue(res, 0, 1), NULL, 10) == c->page_limit &&
            next_link(c, PQgetvalue(res, 0, 2), &link) >= 0)
                (void) http_respond_add_header(c->req, "Link", link);
        api_done_200(c, res, error);
}
