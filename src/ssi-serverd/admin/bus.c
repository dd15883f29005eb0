/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "admin/internal.h"
#include "core/figures.h"
#include "core/replica.h"
#include "shared/log.h"

static int get_version(sd_bus *bus, const char *path, const char *interface, const char *property,
                       sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        return sd_bus_message_append(reply, "s", SSI_VERSION);
}

static int get_string(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
                      void *userdata, sd_bus_error *error)
{
        Admin *a = userdata;

        return sd_bus_message_append(reply, "s",
                                     strempty(streq(property, "URL")    ? a->url :
                                              streq(property, "Joined") ? a->joined :
                                                                          a->ca_file));
}

static int get_ready(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
                     void *userdata, sd_bus_error *error)
{
        Admin *a = userdata;

        return sd_bus_message_append(reply, "b", backend_is_ready(a->backend));
}

static int get_figure(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
                      void *userdata, sd_bus_error *error)
{
        const AdminStats *s = &((Admin *) userdata)->stats;
        uint64_t v = streq(property, "Users")    ? s->users :
                     streq(property, "Servers")  ? s->servers :
                     streq(property, "Services") ? s->services :
                     streq(property, "Sessions") ? s->sessions :
                                                   s->schema_version;

        return sd_bus_message_append(reply, "t", v);
}

static int get_rate(sd_bus *bus, const char *path, const char *interface, const char *property, sd_bus_message *reply,
                    void *userdata, sd_bus_error *error)
{
        Admin *a = userdata;

        return sd_bus_message_append(reply, "d", a->stats.events_per_second);
}

static int get_sign_up(sd_bus *bus, const char *path, const char *interface, const char *property,
                       sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        Admin *a = userdata;

        return sd_bus_message_append(reply, "s", sign_up_to_string(a->stats.sign_up));
}

static uint64_t sum(const DatabaseFigures *d, size_t member)
{
        uint64_t n = 0, value;

        for (size_t i = 0; i < d->n_tables; i++) {
                memcpy(&value, (const char *) &d->tables[i] + member, sizeof(value));
                n += value;
        }
        return n;
}

static int get_database_figure(sd_bus *bus, const char *path, const char *interface, const char *property,
                               sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        const DatabaseFigures *d = figures_get(((Admin *) userdata)->backend->figures);
        const TableFigures *history = figures_table(d, "events");
        uint64_t v = streq(property, "DatabaseBytes")  ? d->bytes :
                     streq(property, "HistoryBytes")   ? (history ? history->table_bytes + history->index_bytes : 0) :
                     streq(property, "DiskFreeBytes")  ? (d->known ? d->free_bytes : FIGURE_UNKNOWN) :
                     streq(property, "DeadRows")       ? sum(d, offsetof(TableFigures, dead)) :
                     streq(property, "TransactionAge") ? d->age :
                                                         sum(d, offsetof(TableFigures, waiting));

        return sd_bus_message_append(reply, "t", v);
}

static int get_replica(sd_bus *bus, const char *path, const char *interface, const char *property,
                       sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
        Replica *r = ((Admin *) userdata)->backend->replica;

        return sd_bus_message_append(reply, "s", r ? replica_state_name(replica_stats(r)->state) : "");
}

#define CONST SD_BUS_VTABLE_PROPERTY_CONST
#define EMITS SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE
#define ASKS  SD_BUS_VTABLE_UNPRIVILEGED /* polkit decides */

static const sd_bus_vtable server_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Version", "s", get_version, 0, CONST),
        SD_BUS_PROPERTY("URL", "s", get_string, 0, CONST),
        SD_BUS_PROPERTY("CAFile", "s", get_string, 0, CONST),
        SD_BUS_PROPERTY("Joined", "s", get_string, 0, CONST),
        SD_BUS_PROPERTY("DatabaseReady", "b", get_ready, 0, EMITS),
        SD_BUS_PROPERTY("SchemaVersion", "t", get_figure, 0, EMITS),
        SD_BUS_PROPERTY("Users", "t", get_figure, 0, EMITS),
        SD_BUS_PROPERTY("Servers", "t", get_figure, 0, EMITS),
        SD_BUS_PROPERTY("Services", "t", get_figure, 0, EMITS),
        SD_BUS_PROPERTY("Sessions", "t", get_figure, 0, EMITS),
        SD_BUS_PROPERTY("EventsPerSecond", "d", get_rate, 0, EMITS),
        SD_BUS_PROPERTY("SignUp", "s", get_sign_up, 0, EMITS),
        SD_BUS_PROPERTY("DatabaseBytes", "t", get_database_figure, 0, EMITS),
        SD_BUS_PROPERTY("HistoryBytes", "t", get_database_figure, 0, EMITS),
        SD_BUS_PROPERTY("DiskFreeBytes", "t", get_database_figure, 0, EMITS),
        SD_BUS_PROPERTY("DeadRows", "t", get_database_figure, 0, EMITS),
        SD_BUS_PROPERTY("VacuumWaiting", "t", get_database_figure, 0, EMITS),
        SD_BUS_PROPERTY("TransactionAge", "t", get_database_figure, 0, EMITS),
        SD_BUS_PROPERTY("ReadReplica", "s", get_replica, 0, EMITS),
        SD_BUS_METHOD_WITH_ARGS("ListUsers", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("aa{sv}", users),
                                admin_method_list_users, ASKS),
        SD_BUS_METHOD_WITH_ARGS("AddUser", SD_BUS_ARGS("s", email, "s", password, "a{sv}", options),
                                SD_BUS_RESULT("s", user), admin_method_add_user, ASKS | SD_BUS_VTABLE_SENSITIVE),
        SD_BUS_METHOD_WITH_ARGS("SetPassword", SD_BUS_ARGS("s", user, "s", password, "a{sv}", options),
                                SD_BUS_NO_RESULT, admin_method_set_password, ASKS | SD_BUS_VTABLE_SENSITIVE),
        SD_BUS_METHOD_WITH_ARGS("SetEmail", SD_BUS_ARGS("s", user, "s", email, "a{sv}", options), SD_BUS_NO_RESULT,
                                admin_method_set_email, ASKS),
        SD_BUS_METHOD_WITH_ARGS("RemoveUser", SD_BUS_ARGS("s", user, "a{sv}", options), SD_BUS_NO_RESULT,
                                admin_method_remove_user, ASKS),
        SD_BUS_METHOD_WITH_ARGS("GrantAdministration", SD_BUS_ARGS("s", user, "a{sv}", options), SD_BUS_NO_RESULT,
                                admin_method_grant_administration, ASKS),
        SD_BUS_METHOD_WITH_ARGS("RevokeAdministration", SD_BUS_ARGS("s", user, "a{sv}", options), SD_BUS_NO_RESULT,
                                admin_method_revoke_administration, ASKS),
        SD_BUS_METHOD_WITH_ARGS("LockUser", SD_BUS_ARGS("s", user, "a{sv}", options), SD_BUS_NO_RESULT,
                                admin_method_lock_user, ASKS),
        SD_BUS_METHOD_WITH_ARGS("UnlockUser", SD_BUS_ARGS("s", user, "a{sv}", options), SD_BUS_NO_RESULT,
                                admin_method_unlock_user, ASKS),
        SD_BUS_METHOD_WITH_ARGS("MailPasswordReset", SD_BUS_ARGS("s", user, "a{sv}", options), SD_BUS_NO_RESULT,
                                admin_method_mail_password_reset, ASKS),
        SD_BUS_METHOD_WITH_ARGS("Announce", SD_BUS_ARGS("s", text, "a{sv}", options),
                                SD_BUS_RESULT("s", announcement, "t", ends_usec), admin_method_announce, ASKS),
        SD_BUS_METHOD_WITH_ARGS("ListAnnouncements", SD_BUS_ARGS("a{sv}", options),
                                SD_BUS_RESULT("a(sstt)", announcements), admin_method_list_announcements, ASKS),
        SD_BUS_METHOD_WITH_ARGS("WithdrawAnnouncement", SD_BUS_ARGS("s", announcement, "a{sv}", options),
                                SD_BUS_NO_RESULT, admin_method_withdraw_announcement, ASKS),
        SD_BUS_METHOD_WITH_ARGS("SetSignUp", SD_BUS_ARGS("s", sign_up, "a{sv}", options), SD_BUS_NO_RESULT,
                                admin_method_set_sign_up, ASKS),
        SD_BUS_METHOD_WITH_ARGS("CreateInvitation", SD_BUS_ARGS("s", email, "a{sv}", options),
                                SD_BUS_RESULT("s", invitation, "s", token, "t", expires_usec, "b", mailed),
                                admin_method_create_invitation, ASKS | SD_BUS_VTABLE_SENSITIVE),
        SD_BUS_METHOD_WITH_ARGS("ListInvitations", SD_BUS_ARGS("a{sv}", options),
                                SD_BUS_RESULT("a(ssstt)", invitations), admin_method_list_invitations, ASKS),
        SD_BUS_METHOD_WITH_ARGS("RemoveInvitation", SD_BUS_ARGS("s", invitation, "a{sv}", options), SD_BUS_NO_RESULT,
                                admin_method_remove_invitation, ASKS),
        SD_BUS_METHOD_WITH_ARGS("ListQuotas", SD_BUS_ARGS("s", user, "a{sv}", options),
                                SD_BUS_RESULT("a(stttbt)", quotas), admin_method_list_quotas, ASKS),
        SD_BUS_METHOD_WITH_ARGS("SetQuota", SD_BUS_ARGS("s", user, "s", name, "s", value, "a{sv}", options),
                                SD_BUS_NO_RESULT, admin_method_set_quota, ASKS),
        SD_BUS_METHOD_WITH_ARGS("ListServers", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("a(sssstuassb)", servers),
                                admin_method_list_servers, ASKS),
        SD_BUS_METHOD_WITH_ARGS("AddServer", SD_BUS_ARGS("s", name, "s", user, "a{sv}", options),
                                SD_BUS_RESULT("s", server, "s", claim_token, "t", expires_usec),
                                admin_method_add_server, ASKS | SD_BUS_VTABLE_SENSITIVE),
        SD_BUS_METHOD_WITH_ARGS("CreateClaimToken", SD_BUS_ARGS("s", server, "a{sv}", options),
                                SD_BUS_RESULT("s", claim_token, "t", expires_usec), admin_method_create_claim_token,
                                ASKS | SD_BUS_VTABLE_SENSITIVE),
        SD_BUS_METHOD_WITH_ARGS("RemoveServer", SD_BUS_ARGS("s", server, "a{sv}", options), SD_BUS_NO_RESULT,
                                admin_method_remove_server, ASKS),
        SD_BUS_METHOD_WITH_ARGS("ListDuplicates", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("a(ssstss)", duplicates),
                                admin_method_list_duplicates, ASKS),
        SD_BUS_METHOD_WITH_ARGS("KeepHost", SD_BUS_ARGS("s", server, "s", keep, "a{sv}", options), SD_BUS_NO_RESULT,
                                admin_method_keep_host, ASKS),
        SD_BUS_METHOD_WITH_ARGS("ListInstances", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("a(ssstttsb)", instances),
                                admin_method_list_instances, ASKS),
        SD_BUS_METHOD_WITH_ARGS(
                "CreateJoinToken", SD_BUS_ARGS("a{sv}", options),
                SD_BUS_RESULT("s", id, "s", token, "t", expires_usec, "s", address, "s", pin, "b", signs),
                admin_method_create_join_token, ASKS | SD_BUS_VTABLE_SENSITIVE),
        SD_BUS_METHOD_WITH_ARGS("ListJoinTokens", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("a(stt)", tokens),
                                admin_method_list_join_tokens, ASKS),
        SD_BUS_METHOD_WITH_ARGS("RemoveJoinToken", SD_BUS_ARGS("s", id, "a{sv}", options), SD_BUS_NO_RESULT,
                                admin_method_remove_join_token, ASKS),
        SD_BUS_METHOD_WITH_ARGS("Join", SD_BUS_ARGS("s", address, "s", token, "s", pin, "a{sv}", options),
                                SD_BUS_RESULT("as", credentials), admin_method_join, ASKS | SD_BUS_VTABLE_SENSITIVE),
        SD_BUS_METHOD_WITH_ARGS("Leave", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT, admin_method_leave, ASKS),
        SD_BUS_METHOD_WITH_ARGS("RemoveHost", SD_BUS_ARGS("s", host, "a{sv}", options), SD_BUS_NO_RESULT,
                                admin_method_remove_host, ASKS),
        SD_BUS_METHOD_WITH_ARGS("ListAudit", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("aa{sv}", entries, "t", next),
                                admin_method_list_audit, ASKS),
        SD_BUS_METHOD_WITH_ARGS("Check", SD_BUS_ARGS("a{sv}", options), SD_BUS_RESULT("a(ssss)", lines),
                                admin_method_check, ASKS),
        SD_BUS_METHOD_WITH_ARGS("Backup", SD_BUS_ARGS("h", file, "a{sv}", options), SD_BUS_NO_RESULT,
                                admin_method_backup, ASKS),
        SD_BUS_METHOD_WITH_ARGS("Restore", SD_BUS_ARGS("h", file, "a{sv}", options), SD_BUS_NO_RESULT,
                                admin_method_restore, ASKS),
        SD_BUS_SIGNAL_WITH_ARGS("Progress", SD_BUS_ARGS("s", operation, "s", step), 0),
        SD_BUS_VTABLE_END,
};

int admin_add_object(Admin *a)
{
        return sd_bus_add_object_vtable(a->bus, NULL, SERVER_PATH, SERVER_INTERFACE, server_vtable, a);
}

void admin_emit_changed(Admin *a)
{
        int r;

        if (!a->bus || sd_bus_is_ready(a->bus) <= 0)
                return;
        r = sd_bus_emit_properties_changed(a->bus, SERVER_PATH, SERVER_INTERFACE, "DatabaseReady", "SchemaVersion",
                                           "Users", "Servers", "Services", "Sessions", "EventsPerSecond", "SignUp",
                                           "DatabaseBytes", "HistoryBytes", "DiskFreeBytes", "DeadRows",
                                           "VacuumWaiting", "TransactionAge", "ReadReplica", NULL);
        if (r < 0)
                log_debug_errno(r, "Cannot announce changed properties");
}
