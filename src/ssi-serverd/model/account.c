/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "auth/token.h"
#include "model/account.h"
#include "model/sql.h"

#define ACCOUNT_IS(param) "(u.public_id = " param " OR lower(u.email) = lower(" param "))"

/* Sessions end on each instance: streams that are open are closed. */
static void publish_account(Backend *b, PGresult *res)
{
        backend_publish_one(b, CHANGE_ACCOUNT, PQgetvalue(res, 0, 0), "-", NULL);
}

int account_add(Backend *b, const char *email, const char *hash, bool verify, db_callback_t done, void *userdata)
{
        char id[ID_MAX];

        id_new("usr", id);

        const char *params[] = { id, email, hash, verify ? "t" : "f" };

        /* The address is asked after at once. Whether the mail arrives is nothing to the account. */
        return act_query(b,
                         "WITH u AS (INSERT INTO users (public_id, email, password_hash) VALUES ($1, $2, $3)"
                         "  ON CONFLICT DO NOTHING RETURNING *),"
                         " asked AS (" SQL_ACCOUNT_MAIL("verify", "u WHERE $4::bool") ")"
                         " SELECT public_id, email FROM u",
                         4, params, NULL, done, userdata);
}

int account_set_password(Backend *b, const char *account, const char *keep_session, const char *hash, db_callback_t done,
                         void *userdata)
{
        const char *params[] = { account, keep_session, hash };

        return act_query(b,
                         "WITH u AS (UPDATE users u SET password_hash = $3 WHERE " ACCOUNT_IS("$1") " RETURNING u.id, u.public_id),"
                         " ended AS (UPDATE login_sessions l SET revoked_at = now() FROM u WHERE l.user_id = u.id"
                         "  AND l.revoked_at IS NULL AND l.public_id IS DISTINCT FROM $2::text),"
                         " links AS (DELETE FROM email_tokens t USING u WHERE t.user_id = u.id AND t.purpose = 'reset')"
                         " SELECT public_id FROM u",
                         3, params, publish_account, done, userdata);
}

int account_reset_password(Backend *b, const char *token_hash, const char *hash, db_callback_t done, void *userdata)
{
        const char *params[] = { token_hash, hash };

        /* All of the account's tokens of this purpose go: of several mails one is enough. */
        return act_query(b,
                         "WITH t AS (DELETE FROM email_tokens WHERE token_hash = $1::bytea AND purpose = 'reset'"
                         "   AND expires_at > now() RETURNING user_id, lower(email) AS email),"
                         " others AS (DELETE FROM email_tokens o USING t WHERE o.user_id = t.user_id"
                         "  AND o.purpose = 'reset' AND o.token_hash <> $1::bytea),"
                         " ended AS (UPDATE login_sessions l SET revoked_at = now() FROM t WHERE l.user_id = t.user_id"
                         "  AND l.revoked_at IS NULL),"
                         " v AS (INSERT INTO verified_emails (user_id, email) SELECT user_id, email FROM t"
                         "  ON CONFLICT DO NOTHING)"
                         " UPDATE users u SET password_hash = $2 FROM t WHERE u.id = t.user_id AND lower(u.email) = t.email"
                         " RETURNING u.public_id",
                         2, params, publish_account, done, userdata);
}

static void publish_removed(Backend *b, PGresult *res)
{
        for (int i = 0; i < PQntuples(res); i++)
                if (!PQgetisnull(res, i, 1))
                        backend_publish_one(b, CHANGE_SERVER_REMOVED, PQgetvalue(res, i, 0), PQgetvalue(res, i, 1), NULL);
        publish_account(b, res);
        /* That the services have gone is recorded by the deletion itself, for nobody now. */
        (void) backend_query(b, "DELETE FROM transitions t WHERE NOT EXISTS (SELECT FROM servers s WHERE s.id = t.server_id)", 0,
                             NULL, NULL, NULL);
}

int account_remove(Backend *b, const char *account, db_callback_t done, void *userdata)
{
        const char *params[] = { account };

        /* What has a foreign key goes with the user. */
        return act_query(b,
                         "WITH s AS (SELECT s.id, s.public_id FROM servers s JOIN users u ON u.id = s.user_id"
                         "  WHERE " ACCOUNT_IS("$1") "),"
                         " history AS (DELETE FROM events e USING s WHERE e.server_id = s.id),"
                         " told AS (DELETE FROM transitions t USING s WHERE t.server_id = s.id),"
                         " gone AS (DELETE FROM users u WHERE " ACCOUNT_IS("$1") " RETURNING u.public_id)"
                         " SELECT gone.public_id, s.public_id FROM gone LEFT JOIN s ON true",
                         1, params, publish_removed, done, userdata);
}
