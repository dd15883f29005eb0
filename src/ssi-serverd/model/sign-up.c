/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sodium.h>

#include "model/sign-up.h"
#include "model/sign-up.sql.h"

/* The columns of sign_up_ask. */
enum {
        COLUMN_KEPT,
        COLUMN_HAS_ACCOUNTS,
        COLUMN_INVITED,
        COLUMN_BY_ACCOUNT,
};

static const char *const names[] = {
        [SIGN_UP_UNSET] = "",
        [SIGN_UP_CLOSED] = "closed",
        [SIGN_UP_INVITE] = "invite",
        [SIGN_UP_OPEN] = "open",
};

const char *sign_up_to_string(SignUp s)
{
        return names[s];
}

int sign_up_from_string(const char *s, SignUp *ret)
{
        for (SignUp i = SIGN_UP_CLOSED; i <= SIGN_UP_OPEN; i++)
                if (streq(s, names[i])) {
                        *ret = i;
                        return 0;
                }
        return -EINVAL;
}

bool sign_up_is_configured(const Backend *b)
{
        return b->config->sign_up != CONFIG_SIGN_UP_UNSET;
}

int sign_up_set(Backend *b, SignUp s, const char *actor, db_callback_t done, void *userdata)
{
        return act_query(b, SQL(sign_up_set, .value = names[s], .actor = actor), NULL, done, userdata);
}

int sign_up_ask(Backend *b, const Newcomer *n, db_callback_t done, void *userdata)
{
        return act_query(b, SQL(sign_up_ask, .invitation = n ? n->invitation : NULL, .email = n ? n->email : NULL),
                         NULL, done, userdata);
}

SignUp sign_up_of(const Backend *b, const char *kept)
{
        SignUp s;

        if (sign_up_is_configured(b))
                return (SignUp) b->config->sign_up;
        if (!kept)
                return SIGN_UP_UNSET;
        /* A value that this version does not know is one of a newer one. */
        return sign_up_from_string(kept, &s) < 0 ? SIGN_UP_CLOSED : s;
}

SignUp sign_up_in_force(const Backend *b, PGresult *res)
{
        return sign_up_of(b, PQgetisnull(res, 0, COLUMN_KEPT) ? NULL : PQgetvalue(res, 0, COLUMN_KEPT));
}

static bool has_accounts(PGresult *res)
{
        return *PQgetvalue(res, 0, COLUMN_HAS_ACCOUNTS) == 't';
}

bool sign_up_wants_setup_code(const Backend *b, PGresult *res)
{
        return b->config->setup_code && PQgetisnull(res, 0, COLUMN_KEPT) && !has_accounts(res);
}

static bool code_is(const Backend *b, const char *code)
{
        size_t n = strlen(b->config->setup_code);

        return strlen(code) == n && sodium_memcmp(code, b->config->setup_code, n) == 0;
}

/* An administrator's invitation admits always, that of an account while accounts may invite. */
static Admission admit_invited(PGresult *res, SignUp in_force)
{
        if (*PQgetvalue(res, 0, COLUMN_INVITED) != 't')
                return ADMISSION_BAD_INVITATION;
        if (*PQgetvalue(res, 0, COLUMN_BY_ACCOUNT) == 't' && in_force != SIGN_UP_INVITE && in_force != SIGN_UP_OPEN)
                return ADMISSION_CLOSED;
        return ADMISSION_INVITED;
}

Admission sign_up_admit(const Backend *b, PGresult *res, const Newcomer *n)
{
        SignUp in_force = sign_up_in_force(b, res);

        if (n->setup_code && sign_up_wants_setup_code(b, res))
                return code_is(b, n->setup_code) ? ADMISSION_FIRST : ADMISSION_BAD_SETUP_CODE;
        if (n->invitation)
                return admit_invited(res, in_force);
        switch (in_force) {
        case SIGN_UP_OPEN:
                return ADMISSION_OPEN;
        case SIGN_UP_INVITE:
                return ADMISSION_INVITATION_NEEDED;
        case SIGN_UP_UNSET:
                /* Where there is a code, what comes over the loopback may come from a proxy beside us. */
                if (n->local && !b->config->setup_code)
                        return ADMISSION_OPEN;
                /* The next account is not the first. */
                return has_accounts(res) ? ADMISSION_CLOSED : ADMISSION_NOT_SET_UP;
        default:
                return sign_up_wants_setup_code(b, res) ? ADMISSION_NOT_SET_UP : ADMISSION_CLOSED;
        }
}

const char *sign_up_modes_open(const Backend *b, bool local)
{
        if (sign_up_is_configured(b))
                return b->config->sign_up == CONFIG_SIGN_UP_OPEN ? NULL : "{}";
        return local && !b->config->setup_code ? "{open,\"\"}" : "{open}";
}

const char *sign_up_modes_inviting(const Backend *b)
{
        if (sign_up_is_configured(b))
                return b->config->sign_up == CONFIG_SIGN_UP_INVITE || b->config->sign_up == CONFIG_SIGN_UP_OPEN ? NULL :
                                                                                                                  "{}";
        return "{invite,open}";
}
