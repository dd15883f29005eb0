/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent.h"
#include "privilege.h"
#include "service.h"
#include "shared/slug.h"
#include "unit-dropin.h"
#include "unit-file.h"

/* Those of the timer, too: one may name another unit. */
static int dropins_widen(const char *slug, char **ret_why)
{
        _cleanup_free_ char *unit = slug_to_unit(slug, ".service"), *timer = slug_to_unit(slug, ".timer");
        int r;

        if (!unit || !timer)
                return -ENOMEM;
        r = unit_dropins_widen(unit, ret_why);
        return r != 0 ? r : unit_dropins_widen(timer, ret_why);
}

/* What is not ssid's is none of this: it is refused elsewhere. */
static int installed_unit_widens(const char *slug, char **ret_why)
{
        _cleanup_free_ char *unit = slug_to_unit(slug, ".service"), *text = NULL;
        int r;

        if (!unit)
                return -ENOMEM;
        r = unit_file_read(unit, UNIT_FILE_SIZE_MAX, &text);
        if (r == -ENOMEM)
                return r;
        if (r < 0 || !startswith(text, UNIT_FILE_MARK))
                return 0;
        return unit_text_widens(slug, text, ret_why);
}

static int installed_header_is_privileged(const char *slug)
{
        _cleanup_(metadata_freep) Metadata *m = NULL;
        _cleanup_free_ char *content = NULL;
        size_t n;
        int r;

        r = service_read_script(slug, &content, &n);
        if (r < 0)
                return r == -ENOMEM ? r : 0;
        r = metadata_parse(content, n, &m);
        return r < 0 ? r : metadata_is_privileged(m);
}

int privilege_to_install(const Metadata *m, bool replace, char **ret_why)
{
        int r;

        if (metadata_is_privileged(m) || !m->slug)
                return metadata_is_privileged(m);
        r = dropins_widen(m->slug, ret_why);
        return r != 0 || !replace ? r : installed_unit_widens(m->slug, ret_why);
}

int privilege_to_test(const Metadata *m, char **ret_why)
{
        return metadata_is_privileged(m) ? 1 : unit_dropins_widen("ssi_test_.service", ret_why);
}

int privilege_to_run(const char *slug, char **ret_why)
{
        _cleanup_free_ char *why = NULL;
        int r;

        r = dropins_widen(slug, ret_why);
        if (r != 0)
                return r;
        r = installed_unit_widens(slug, &why);
        if (r <= 0)
                return r;
        r = installed_header_is_privileged(slug);
        if (r != 0)
                return MIN(r, 0);
        *ret_why = TAKE_PTR(why);
        return 1;
}

int privilege_verify(sd_bus_message *m, PolkitRegistry *polkit, const char *action, int needed, const char *why,
                     bool *ret_privileged, sd_bus_error *error)
{
        _cleanup_(sd_bus_error_free) sd_bus_error refusal = SD_BUS_ERROR_NULL;
        _cleanup_free_ char *question = NULL;
        uid_t uid;
        int r;

        if (needed < 0)
                return needed;
        r = polkit_sender_uid(polkit, m, &uid);
        if (r < 0)
                return r;
        if (why && asprintf(&question,
                            "Authentication is required for a service-script that may do more than its sandbox "
                            "allows: %s.",
                            why) < 0) {
                question = NULL;
                return -ENOMEM;
        }
        r = bus_verify_polkit_question_async(m, needed ? ACTION_ADD_PRIVILEGED : action, question, polkit, &refusal);
        if (r > 0)
                *ret_privileged = needed || uid == 0;
        if (r >= 0)
                return r;
        if (!why || !sd_bus_error_is_set(&refusal)) {
                sd_bus_error_move(error, &refusal);
                return r;
        }
        return sd_bus_error_setf(
                error, refusal.name,
                "%s It is needed because %s, which may let the script do more than its sandbox allows.",
                refusal.message, why);
}

int privilege_refuse(const char *why, sd_bus_error *error)
{
        return sd_bus_error_setf(error, SD_BUS_ERROR_ACCESS_DENIED,
                                 "This takes the polkit action " ACTION_ADD_PRIVILEGED
                                 ": %s, which may let the script do more than its sandbox allows. "
                                 "If that was removed, run \"systemctl daemon-reload\"; then try again.",
                                 why);
}
