/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <time.h>

#include "api/api.h"

/* Files that programs look for at every site (RFC 8615). */

/* RFC 9116 wants less than a year; the file is written anew for each request. */
#define EXPIRES_SEC (180 * 86400)

static void get_security_txt(ApiCall *c)
{
        const Config *config = c->backend->config;
        _cleanup_free_ char *text = NULL;
        time_t expires = time(NULL) + EXPIRES_SEC;
        const char *site = config->public_url;
        char date[32];
        struct tm tm;
        int n;

        if (!config->security_contact) {
                api_respond_not_found(c);
                return;
        }
        if (site && !startswith(site, "https://"))
                site = NULL; /* the RFC allows no others */
        strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&expires, &tm));
        n = asprintf(&text, "Contact: %s\nExpires: %s\nPreferred-Languages: en\n%s%s%s", config->security_contact, date,
                     site ? "Canonical: " : "", strempty(site), site ? "/.well-known/security.txt\n" : "");
        if (n < 0) {
                text = NULL;
                api_fail(c, NULL, -ENOMEM);
                return;
        }
        http_respond_data(c->req, 200, "text/plain; charset=utf-8", text, (size_t) n);
}

/* Where password managers send their users (W3C, "A Well-Known URL for Changing Passwords"). */
static void get_change_password(ApiCall *c)
{
        if (http_respond_add_header(c->req, "Location", "/account") < 0)
                api_fail(c, NULL, -ENOMEM);
        else
                http_respond_empty(c->req, 302);
}

const ApiRoute api_well_known_routes[] = {
        { "GET", "/.well-known/security.txt", API_OPEN, get_security_txt },
        { "GET", "/.well-known/change-password", API_OPEN, get_change_password },
        {},
};
