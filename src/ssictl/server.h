/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* "ssictl server …": the commands for the backend's administration, org.ssi.Server1. */

#include "ctl.h"

/* Like verbs: return an exit code, negative if the error has been printed. */
int server_users(Ctl *c, int argc, char *argv[]);
int server_add_user(Ctl *c, int argc, char *argv[]);
int server_remove_user(Ctl *c, int argc, char *argv[]);
int server_grant_admin(Ctl *c, int argc, char *argv[]);
int server_revoke_admin(Ctl *c, int argc, char *argv[]);
int server_lock(Ctl *c, int argc, char *argv[]);
int server_unlock(Ctl *c, int argc, char *argv[]);
int server_reset_password(Ctl *c, int argc, char *argv[]);
int server_quota(Ctl *c, int argc, char *argv[]);
int server_set_email(Ctl *c, int argc, char *argv[]);
int server_passwd(Ctl *c, int argc, char *argv[]);
int server_list(Ctl *c, int argc, char *argv[]);
int server_add_server(Ctl *c, int argc, char *argv[]);
int server_token(Ctl *c, int argc, char *argv[]);
int server_remove_server(Ctl *c, int argc, char *argv[]);
int server_duplicates(Ctl *c, int argc, char *argv[]);
int server_keep_host(Ctl *c, int argc, char *argv[]);
int server_check(Ctl *c, int argc, char *argv[]);
int server_stats(Ctl *c, int argc, char *argv[]);
int server_announce(Ctl *c, int argc, char *argv[]);
int server_announcements(Ctl *c, int argc, char *argv[]);
int server_withdraw_announcement(Ctl *c, int argc, char *argv[]);
int server_audit(Ctl *c, int argc, char *argv[]);
int server_backup(Ctl *c, int argc, char *argv[]);
int server_restore(Ctl *c, int argc, char *argv[]);
int server_setup(Ctl *c, int argc, char *argv[]);
int server_sign_up(Ctl *c, int argc, char *argv[]);
int server_invite(Ctl *c, int argc, char *argv[]);
int server_invitations(Ctl *c, int argc, char *argv[]);
int server_withdraw_invitation(Ctl *c, int argc, char *argv[]);
int server_instances(Ctl *c, int argc, char *argv[]);
int server_join_token(Ctl *c, int argc, char *argv[]);
int server_join_tokens(Ctl *c, int argc, char *argv[]);
int server_withdraw_join_token(Ctl *c, int argc, char *argv[]);
int server_join(Ctl *c, int argc, char *argv[]);
int server_leave(Ctl *c, int argc, char *argv[]);

/* Of --expires: "30min", "12h", "7d" or "2w". */
int server_parse_lifetime(const char *s, uint64_t *ret);

/* Whether there is an account with this ID or address, any at all, and an administrator among them. */
typedef struct UserFound {
        bool any, found, any_administrator;
} UserFound;
int server_find_user(Ctl *c, const char *user, UserFound *ret);
/* The accounts, as objects; search: part of the address, or an ID; NULL for all. Prints the error. */
int server_read_users(Ctl *c, const char *search, json_object **ret);
/* Creates the account and asks for its password. */
int server_make_user(Ctl *c, const char *email, char **ret_id);

/* Whether it is a mode of sign-up; prints the error if not. */
int server_check_sign_up(const char *mode);
int server_set_sign_up(Ctl *c, const char *mode);
/* Asks on the terminal. Returns the mode; line: what to free, perhaps. */
const char *server_ask_sign_up(char **line);
