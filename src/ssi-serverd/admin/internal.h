/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Shared by the files of admin/: a method call in progress, and its authorization. */

#include "admin/admin.h"
#include "shared/bus-turns.h"
#include "shared/bus-util.h"
#include "shared/polkit.h"
#include "core/backend.h"
#include "model/check.h"
#include "model/sign-up.h"

#define ADMIN_ACTION "org.ssi.server1.administer"

typedef struct AdminCall AdminCall;
typedef struct AdminJob AdminJob;

/* The last figures from the database. */
typedef struct AdminStats {
        uint64_t users, servers, services, sessions, schema_version;
        uint64_t inserted, inserted_at; /* rows of the history so far, and time of the count (monotonic
                                         * usec) */
        double events_per_second;
        SignUp sign_up; /* in force */
} AdminStats;

struct Admin {
        Backend *backend;
        sd_bus *bus; /* NULL while there is none */
        PolkitRegistry *polkit;
        BusTurns *turns;
        sd_event_source *retry_timer, *stats_timer;
        char *ca_file, *cert_file, *url;
        char *joined; /* the address of the first host; NULL if this one has not joined */
        bool signs;   /* certificates for hosts that join, with the helper */
        bool joining;
        void (*restart)(void *userdata);
        void *restart_userdata;
        AdminStats stats;
        bool sampling;
        AdminCall *calls;
        Check *check;            /* under way */
        AdminJob *job;           /* the backup or restore under way */
        char *failed_restore_by; /* an actor: recorded when the database is back */
};

/* A method call that is answered later. */
struct AdminCall {
        Admin *admin;
        sd_bus_message *m;
        char *text[2]; /* for the method's own use, freed with it */
        char *actor;   /* of audit_actor_text(): who calls */
        void (*done)(AdminCall *c, PGresult *res, int error);
        AdminCall *prev, *next;
};

/* Asks polkit. 0: go on. Otherwise the handler returns the result at once; if the call was refused, error is set. */
int admin_authorize(Admin *a, sd_bus_message *m, sd_bus_error *error);
/* Begins a method's handler: asks polkit, checks that the database is available, and reads arguments as sd_bus_message_read(3) does (types:
 * "" for none). 0: go on. Otherwise the handler returns the result at once; if the call was refused, error is set. */
int admin_method_begin(Admin *a, sd_bus_message *m, sd_bus_error *error, const char *types, ...);
/* The same without a database. */
int admin_method_begin_offline(Admin *a, sd_bus_message *m, sd_bus_error *error, const char *types, ...);
/* For methods without any options yet. */
int admin_read_no_options(sd_bus_message *m, sd_bus_error *error);
/* All of this, for a method that is answered later: *ret is set when the result is 0. */
int admin_call_begin(Admin *a, sd_bus_message *m, AdminCall **ret, sd_bus_error *error, const char *types, ...);

int admin_call_new(Admin *a, sd_bus_message *m, AdminCall **ret);
AdminCall *admin_call_free(AdminCall *c);
DEFINE_CLEANUP(AdminCall *, admin_call_free);

/* Runs a statement, then done, which answers; then frees the call. Takes ownership of c in any case. */
void admin_query(AdminCall *c_taken, const char *sql, unsigned n_params, const char *const *params,
                 void (*done)(AdminCall *c, PGresult *res, int error));
/* All of a method that has no arguments, and whose answer is what a statement gives. */
int admin_method_list(Admin *a, sd_bus_message *m, sd_bus_error *error, const char *sql, unsigned n_params,
                      const char *const *params, void (*done)(AdminCall *c, PGresult *res, int error));

/* All of a method whose one argument names what an operation of model/ is done to. */
typedef int (*admin_operation_t)(Backend *b, const char *name, const char *actor, db_callback_t done, void *userdata);
int admin_method_act(Admin *a, sd_bus_message *m, sd_bus_error *error, admin_operation_t operation,
                     void (*done)(AdminCall *c, PGresult *res, int error));

/* The same as admin_query() for an operation of model/: admin_act_done is its callback, with the call as userdata. r: the
 * operation's return value. */
void admin_act_begin(AdminCall *c, void (*done)(AdminCall *c, PGresult *res, int error));
void admin_act_done(PGresult *res, int error, void *userdata);
void admin_act_begun(AdminCall *c_taken, int r);

/* Answers with an error: name is the last part of org.ssi.Server1.Error.<name>. */
void admin_reply_error(AdminCall *c, const char *name, const char *format, ...) _printf_(3, 4);
/* Answers that there is no such user. */
void admin_reply_no_user(AdminCall *c);
/* Answers with the database's error. */
void admin_reply_failure(AdminCall *c, PGresult *res, int error);
/* Answers with values; empty if types is "". */
void admin_reply(AdminCall *c, const char *types, ...);
/* Answers with an array of this element type, one element per row; or with the error. what: "users". */
void admin_reply_list(AdminCall *c, PGresult *res, int error, const char *type,
                      int (*append)(sd_bus_message *reply, PGresult *res, int row), const char *what);

/* bus.c */
int admin_add_object(Admin *a);
void admin_emit_changed(Admin *a);

/* admin.c: refreshes the figures, so that changes show at once. */
void admin_sample(Admin *a);

/* user.c, server.c */
int admin_method_list_users(sd_bus_message *m, void *userdata, sd_bus_error *error);
int admin_method_add_user(sd_bus_message *m, void *userdata, sd_bus_error *error);
int admin_method_set_password(sd_bus_message *m, void *userdata, sd_bus_error *error);
int admin_method_set_email(sd_bus_message *m, void *userdata, sd_bus_error *error);
int admin_method_remove_user(sd_bus_message *m, void *userdata, sd_bus_error *error);
int admin_method_list_servers(sd_bus_message *m, void *userdata, sd_bus_error *error);
int admin_method_add_server(sd_bus_message *m, void *userdata, sd_bus_error *error);
int admin_method_create_claim_token(sd_bus_message *m, void *userdata, sd_bus_error *error);
int admin_method_remove_server(sd_bus_message *m, void *userdata, sd_bus_error *error);
int admin_method_list_duplicates(sd_bus_message *m, void *userdata, sd_bus_error *error);
int admin_method_keep_host(sd_bus_message *m, void *userdata, sd_bus_error *error);

/* administrator.c */
int admin_method_grant_administration(sd_bus_message *m, void *userdata, sd_bus_error *error);
int admin_method_revoke_administration(sd_bus_message *m, void *userdata, sd_bus_error *error);
int admin_method_lock_user(sd_bus_message *m, void *userdata, sd_bus_error *error);
int admin_method_unlock_user(sd_bus_message *m, void *userdata, sd_bus_error *error);
int admin_method_mail_password_reset(sd_bus_message *m, void *userdata, sd_bus_error *error);

/* announcement.c */
int admin_method_list_announcements(sd_bus_message *m, void *userdata, sd_bus_error *error);
int admin_method_announce(sd_bus_message *m, void *userdata, sd_bus_error *error);
int admin_method_withdraw_announcement(sd_bus_message *m, void *userdata, sd_bus_error *error);

/* sign-up.c */
int admin_method_set_sign_up(sd_bus_message *m, void *userdata, sd_bus_error *error);
int admin_method_create_invitation(sd_bus_message *m, void *userdata, sd_bus_error *error);
int admin_method_list_invitations(sd_bus_message *m, void *userdata, sd_bus_error *error);
int admin_method_remove_invitation(sd_bus_message *m, void *userdata, sd_bus_error *error);
/* quota.c */
int admin_method_list_quotas(sd_bus_message *m, void *userdata, sd_bus_error *error);
int admin_method_set_quota(sd_bus_message *m, void *userdata, sd_bus_error *error);

/* check.c */
int admin_method_check(sd_bus_message *m, void *userdata, sd_bus_error *error);

/* audit.c */
int admin_method_list_audit(sd_bus_message *m, void *userdata, sd_bus_error *error);
/* Records what concerns no account; at best. */
void admin_audit(Admin *a, const char *event, const char *outcome, const char *actor);
/* The same before the act begins: done begins it, unless there is an error. Takes ownership of the call. */
void admin_audit_before(AdminCall *c_taken, const char *event, void (*done)(AdminCall *c, PGresult *res, int error));
/* Counts a call that polkit has refused, if that is the error. */
void admin_audit_refused(Admin *a, sd_bus_message *m, const sd_bus_error *error);

/* instance.c */
int admin_method_list_instances(sd_bus_message *m, void *userdata, sd_bus_error *error);
int admin_method_remove_host(sd_bus_message *m, void *userdata, sd_bus_error *error);
int admin_method_create_join_token(sd_bus_message *m, void *userdata, sd_bus_error *error);
int admin_method_list_join_tokens(sd_bus_message *m, void *userdata, sd_bus_error *error);
int admin_method_remove_join_token(sd_bus_message *m, void *userdata, sd_bus_error *error);

/* join.c */
int admin_method_join(sd_bus_message *m, void *userdata, sd_bus_error *error);
int admin_method_leave(sd_bus_message *m, void *userdata, sd_bus_error *error);

/* backup.c */
int admin_method_backup(sd_bus_message *m, void *userdata, sd_bus_error *error);
int admin_method_restore(sd_bus_message *m, void *userdata, sd_bus_error *error);
AdminJob *admin_job_free(AdminJob *j);
/* The server became ready or stopped being so: a restore may be complete. j: may be NULL. */
void admin_job_ready_changed(AdminJob *j);
/* The bus has gone, and with it the caller waiting for the job. */
void admin_job_abandon(AdminJob *j);
