/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <systemd/sd-bus.h>
#include <utlist.h>

#include "shared/bus-util.h"
#include "manager.h"
#include "metadata-bus.h"
#include "operation.h"
#include "privilege.h"
#include "test-run.h"
#include "validate.h"

/* Everybody may ask for them. */
#define VALIDATIONS_MAX          16U
#define VALIDATIONS_PER_USER_MAX 2U
#define FILENAME_MAX_LEN         4096U

/* ---- The request's arguments ---- */

typedef struct Script {
        const char *filename, *content; /* borrowed from the message */
        Metadata *metadata;
        AddOptions options;
} Script;

static void script_done(Script *s)
{
        metadata_free(s->metadata);
}

static int read_add_option(sd_bus_message *m, const char *name, void *userdata)
{
        AddOptions *o = userdata;

        if (streq(name, "replace"))
                return sd_bus_message_read(m, "v", "b", &o->replace);
        if (streq(name, "run"))
                return sd_bus_message_read(m, "v", "b", &o->run);
        return -ENOENT;
}

/* The file name is only displayed, at the beginning of each problem. */
static int check_filename(const char *filename, sd_bus_error *error)
{
        if (strlen(filename) > FILENAME_MAX_LEN)
                return sd_bus_error_setf(error, AGENT_ERROR_INVALID_NAME,
                                         "The file name has %zu bytes, more than %u; give the script's base name.",
                                         strlen(filename), FILENAME_MAX_LEN);
        for (const char *p = filename; *p; p++)
                if ((unsigned char) *p < ' ' || *p == 0x7f)
                        return sd_bus_error_set(error, AGENT_ERROR_INVALID_NAME,
                                                "The file name holds control characters; give the script's base name.");
        return 0;
}

static int read_script(sd_bus_message *message, bool with_options, Script *s, sd_bus_error *error)
{
        int r;

        r = sd_bus_message_read(message, "ss", &s->filename, &s->content);
        if (r < 0)
                return r;
        if (with_options) {
                r = bus_read_options(message, read_add_option, &s->options, AGENT_ERROR_INVALID_OPTION, error);
                if (r < 0)
                        return r;
        }
        r = check_filename(s->filename, error);
        if (r < 0)
                return r;
        if (strlen(s->content) > SCRIPT_SIZE_MAX)
                return sd_bus_error_setf(
                        error, AGENT_ERROR_TOO_LARGE,
                        "The script has %zu bytes, more than %u; let it call a program that holds the rest.",
                        strlen(s->content), SCRIPT_SIZE_MAX);
        return metadata_parse(s->content, strlen(s->content), &s->metadata);
}

/* Reads a script that is to run on this host, and asks whether the sender may do this: 1 if so, 0 if polkit has not
 * answered yet. A script that needs more than the sandbox allows requires another authorization. */
static int read_and_authorize(Manager *m, sd_bus_message *message, bool test, Script *s, sd_bus_error *error)
{
        _cleanup_free_ char *why = NULL;
        int r;

        r = read_script(message, !test, s, error);
        if (r < 0)
                return r;
        r = test ? privilege_to_test(s->metadata, &why) : privilege_to_install(s->metadata, s->options.replace, &why);
        return privilege_verify(message, m->agent.polkit, ACTION_MANAGE, r, why, &s->options.privileged, error);
}

/* ---- ValidateScript ---- */

struct ValidateRequest {
        Manager *manager;
        sd_bus_message *message;
        uid_t uid;
        Validation *validation;
        ValidateRequest *prev, *next;
};

static void validate_request_free(ValidateRequest *v)
{
        DL_DELETE(v->manager->validations, v);
        validation_free(v->validation);
        sd_bus_message_unref(v->message);
        free(v);
}

void manager_validations_free(Manager *m)
{
        while (m->validations)
                validate_request_free(m->validations);
}

static int reply_verdict(sd_bus_message *request, const Verdict *v)
{
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        const Metadata *m = v->metadata;
        int r;

        r = sd_bus_message_new_method_return(request, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_append(reply, "b", m->n_errors == 0);
        if (r < 0)
                return r;
        r = metadata_append_problems(reply, m);
        if (r < 0)
                return r;
        r = metadata_append_values(reply, m);
        if (r < 0)
                return r;
        return sd_bus_message_send(reply);
}

static void on_validated(int r, Verdict *verdict, void *userdata)
{
        ValidateRequest *v = userdata;

        v->validation = NULL;
        if (r >= 0)
                r = reply_verdict(v->message, verdict);
        if (r < 0)
                (void) sd_bus_reply_method_errorf(
                        v->message, AGENT_ERROR_VALIDATION_FAILED,
                        "The script could not be checked (%s); see whether systemd-analyze and bash work, and try again.",
                        strerror(-r));
        validate_request_free(v);
}

static int check_validations(const Manager *m, uid_t uid, sd_bus_error *error)
{
        unsigned all = 0, same_user = 0;
        const ValidateRequest *i;

        DL_FOREACH(m->validations, i) {
                all++;
                same_user += i->uid == uid;
        }
        if (uid != 0 && same_user >= VALIDATIONS_PER_USER_MAX)
                return sd_bus_error_set(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                        "Too many validations of yours are under way; try again in a moment.");
        if (all >= VALIDATIONS_MAX)
                return sd_bus_error_set(error, SD_BUS_ERROR_LIMITS_EXCEEDED,
                                        "Too many validations are under way; try again in a moment.");
        return 0;
}

int manager_method_validate_script(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        _cleanup_(script_done) Script s = {};
        Manager *m = userdata;
        ValidateRequest *v;
        uid_t uid;
        int r;

        r = polkit_sender_uid(m->agent.polkit, message, &uid);
        if (r >= 0)
                r = check_validations(m, uid, error);
        if (r >= 0)
                r = read_script(message, false, &s, error);
        if (r < 0)
                return r;
        v = calloc(1, sizeof(*v));
        if (!v)
                return -ENOMEM;
        v->manager = m;
        v->uid = uid;
        v->message = sd_bus_message_ref(message);
        DL_APPEND(m->validations, v);
        r = validation_start(m->agent.helpers, uid, TAKE_PTR(s.metadata), s.content, strlen(s.content), false,
                             on_validated, v, &v->validation);
        if (r < 0) {
                validate_request_free(v);
                return r;
        }
        return 1;
}

/* ---- AddService, TestScript ---- */

int manager_method_add_service(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        _cleanup_(script_done) Script s = {};
        Manager *m = userdata;
        int r;

        r = read_and_authorize(m, message, false, &s, error);
        if (r < 0)
                return r;
        if (r == 0)
                return 1;
        if (!s.metadata->slug) {
                /* Without a name there is no slug to queue by; the header's problems explain this. */
                _cleanup_free_ char *problems = metadata_format_problems(s.metadata, s.filename);

                return sd_bus_error_setf(error, AGENT_ERROR_INVALID_SCRIPT, "%s", strempty(problems));
        }
        r = operation_add(&m->agent, message, s.filename, s.content, TAKE_PTR(s.metadata), &s.options, error);
        return r < 0 ? r : 1;
}

int manager_method_test_script(sd_bus_message *message, void *userdata, sd_bus_error *error)
{
        _cleanup_(script_done) Script s = {};
        Manager *m = userdata;
        int r;

        r = read_and_authorize(m, message, true, &s, error);
        if (r < 0)
                return r;
        if (r == 0)
                return 1;
        r = test_run_start(&m->agent, message, s.filename, s.content, TAKE_PTR(s.metadata), s.options.privileged,
                           error);
        return r < 0 ? r : 1;
}
