-- SPDX-License-Identifier: LGPL-2.1-or-later
-- The schema. A database that is to be upgraded has this version at least: the seven before it were never released.
-- Functions and triggers are in functions/.
--
-- Inside, rows are named by bigint keys; what the outside sees are the opaque ids (usr-…, srv-…, agt-…).
-- Secrets are here only as hashes: passwords as argon2id, tokens and keys (256 random bits) as BLAKE2b.

CREATE TYPE service_status AS ENUM ('OK', 'UPDATE', 'WARNING', 'FAILURE');

CREATE TABLE users (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        public_id text NOT NULL UNIQUE,
        email text NOT NULL,
        password_hash text NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX users_email ON users (lower(email));

-- A session is a family of refresh tokens: each use replaces the token, and the use of a replaced one ends the session. It is
-- alive until it is revoked or expires. Its refresh token that was replaced last is known, with its successor encrypted by a
-- key that only this token gives: see docs/adr/0011. A login code, which a second device logs in with, is used once, and ends
-- with the session that made it.
CREATE TABLE login_sessions (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
        created_at timestamptz NOT NULL DEFAULT now(),
        revoked_at timestamptz,
        public_id text NOT NULL UNIQUE,
        user_agent text,
        address text,
        last_used_at timestamptz NOT NULL DEFAULT now(),
        expires_at timestamptz NOT NULL,
        replaced_hash bytea,
        replaced_at timestamptz,
        successor bytea,
        login_code_hash bytea UNIQUE,
        login_code_expires_at timestamptz
);
CREATE INDEX login_sessions_user ON login_sessions (user_id, id);

CREATE TABLE refresh_tokens (
        token_hash bytea PRIMARY KEY,
        session_id bigint NOT NULL REFERENCES login_sessions ON DELETE CASCADE,
        expires_at timestamptz NOT NULL,
        used_at timestamptz
);
CREATE INDEX refresh_tokens_session ON refresh_tokens (session_id);
CREATE INDEX refresh_tokens_expiry ON refresh_tokens (expires_at);

-- Tokens for programs. 256 random bits, kept as BLAKE2b.
CREATE TABLE api_tokens (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        public_id text NOT NULL UNIQUE,
        user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
        token_hash bytea NOT NULL UNIQUE,
        name text NOT NULL,
        scopes text[] NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        expires_at timestamptz,
        last_used_at timestamptz
);
CREATE INDEX api_tokens_user ON api_tokens (user_id, id);

-- The public halves of the keys that access tokens are signed with, one per instance. The private ones are never here.
CREATE TABLE access_token_keys (
        id text PRIMARY KEY,
        public_key text NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        expires_at timestamptz NOT NULL
);

-- Addresses that their owners have confirmed, and the tokens of the mails that ask for it or reset a password. Tokens
-- are kept as hashes: the mail that carries one is made when it is sent, so that no row holds it.
CREATE TABLE verified_emails (
        user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
        email text NOT NULL,
        verified_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (user_id, email)
);
CREATE TABLE email_tokens (
        token_hash bytea PRIMARY KEY,
        user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
        purpose text NOT NULL,
        email text NOT NULL,
        expires_at timestamptz NOT NULL
);
CREATE INDEX email_tokens_user ON email_tokens (user_id);

-- session_epoch counts the connections of the agent: only the newest may commit. resume_cursor is the journal cursor
-- of the last entry committed; gap_told: that entries after it are lost is in the history already. instance holds the
-- agent's session. public_token is the address of the public page: nobody can guess it, but everybody may be told.
-- Fillfactor as for services.
CREATE TABLE servers (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        public_id text NOT NULL UNIQUE,
        agent_id text NOT NULL UNIQUE,
        user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
        name text NOT NULL,
        labels text[] NOT NULL DEFAULT '{}',
        created_at timestamptz NOT NULL DEFAULT now(),
        claimed_at timestamptz,
        api_key_hash bytea,
        session_epoch bigint NOT NULL DEFAULT 0,
        resume_cursor text,
        connected boolean NOT NULL DEFAULT false,
        last_seen timestamptz,
        agent_version text,
        hostname text,
        instance text,
        gap_told boolean NOT NULL DEFAULT false,
        rebooting_until timestamptz,
        public_token text UNIQUE
) WITH (fillfactor = 70);
CREATE INDEX servers_user ON servers (user_id, lower(name), public_id);
CREATE INDEX servers_instance ON servers (instance) WHERE connected;
CREATE INDEX servers_rebooting ON servers (rebooting_until) WHERE rebooting_until IS NOT NULL;

-- Each instance of the backend says here that it lives; the agents that it holds are as alive as it is. An idle agent
-- so costs no writing.
CREATE TABLE instances (
        id text PRIMARY KEY,
        seen_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 50);

CREATE TABLE claim_tokens (
        token_hash bytea PRIMARY KEY,
        server_id bigint NOT NULL REFERENCES servers ON DELETE CASCADE,
        expires_at timestamptz NOT NULL,
        used_at timestamptz
);
CREATE INDEX claim_tokens_server ON claim_tokens (server_id);

-- The current state. Room on each page keeps the updates off the index (heap-only tuples).
--
-- told_status and told_error are what transitions ended with last: status and error_kind, except while an agent sends
-- again what it could not send before. due_at is when a result has to be there, null while nothing is expected.
-- watches: the units that the script is about. depends_on: the other services that it depends on, also by way of others,
-- without cycles: who writes it takes care of that.
CREATE TABLE services (
        server_id bigint NOT NULL REFERENCES servers ON DELETE CASCADE,
        name text NOT NULL,
        title text,
        description text,
        version text,
        schedule text,
        timeout_ms bigint,
        enabled boolean,
        next_run timestamptz,
        status service_status,
        message text,
        status_at timestamptz,
        changed_at timestamptz,
        received_at timestamptz,
        duration_ms bigint,
        invocation_id text,
        error_kind text,
        error_detail text,
        error_at timestamptz,
        told_status service_status,
        told_error text,
        due_at timestamptz,
        stale_since timestamptz,
        watches text[] NOT NULL DEFAULT '{}',
        depends_on text[] NOT NULL DEFAULT '{}',
        PRIMARY KEY (server_id, name)
) WITH (fillfactor = 70);
CREATE INDEX services_due ON services (due_at) WHERE due_at IS NOT NULL AND stale_since IS NULL;

-- History: a row per result, execution error and gap (service is null for a gap). By the day of arrival, because
-- replayed entries carry their own times. No foreign key: it would cost each row a look-up, and partitions are
-- dropped by age.
CREATE TABLE events (
        id bigint GENERATED ALWAYS AS IDENTITY,
        received_at timestamptz NOT NULL DEFAULT now(),
        server_id bigint NOT NULL,
        service text,
        kind text NOT NULL,
        at timestamptz NOT NULL,
        status service_status,
        message text,
        error_kind text,
        error_detail text,
        duration_ms bigint,
        invocation_id text,
        gap_from timestamptz
) PARTITION BY RANGE (received_at);
CREATE INDEX events_service ON events (server_id, service, id);
CREATE TABLE events_default PARTITION OF events DEFAULT;

CREATE TABLE settings (
        key text PRIMARY KEY,
        value bytea NOT NULL
);

-- What changed, written by the transaction that changed it, for whoever tells people of it.
--
-- what     service   before and after
-- status   its name  statuses; before is null for the first result
-- error    its name  kinds of execution errors; null: none
-- stale    its name  'stale' or null
-- removed  its name  the last status, and null
-- state    null      'online', 'offline', 'rebooting'
--
-- Only what somebody may be told of is written. What was taken stays for a day, for whoever wonders why it was told or not.
CREATE TABLE transitions (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        recorded_at timestamptz NOT NULL DEFAULT now(),
        server_id bigint NOT NULL,
        service text,
        what text NOT NULL,
        before text,
        after text,
        since timestamptz,
        message text,
        taken boolean NOT NULL DEFAULT false
);
CREATE INDEX transitions_new ON transitions (id) WHERE NOT taken;

CREATE TABLE notification_settings (
        user_id bigint PRIMARY KEY REFERENCES users ON DELETE CASCADE,
        quiet_from time,
        quiet_to time,
        timezone text NOT NULL DEFAULT 'UTC',
        damping int NOT NULL DEFAULT 1
);

-- config: what the type needs (address, url, token, …). Empty filters let everything pass. damping null: the user's.
-- verified is false for an e-mail address until its owner has confirmed it.
CREATE TABLE notification_channels (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        public_id text NOT NULL UNIQUE,
        user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
        type text NOT NULL,
        name text NOT NULL,
        enabled boolean NOT NULL DEFAULT true,
        verified boolean NOT NULL DEFAULT true,
        config jsonb NOT NULL DEFAULT '{}',
        min_severity service_status NOT NULL DEFAULT 'UPDATE',
        kinds text[] NOT NULL DEFAULT '{status,error,stale,state}',
        servers text[] NOT NULL DEFAULT '{}',
        labels text[] NOT NULL DEFAULT '{}',
        damping int,
        created_at timestamptz NOT NULL DEFAULT now(),
        tested_at timestamptz,
        last_success_at timestamptz,
        failing_since timestamptz,
        last_error text
);
CREATE INDEX notification_channels_user ON notification_channels (user_id);

-- The application server keys (VAPID) of the instances. Private halves are in files of theirs, never here.
CREATE TABLE push_keys (
        public_key text PRIMARY KEY,
        seen_at timestamptz NOT NULL DEFAULT now()
);

-- A browser subscribes with one key, and only messages that are signed with it reach it: public_key says with which.
CREATE TABLE push_subscriptions (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        public_id text NOT NULL UNIQUE,
        user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
        endpoint text NOT NULL UNIQUE,
        p256dh text NOT NULL,
        auth text NOT NULL,
        public_key text NOT NULL,
        label text,
        created_at timestamptz NOT NULL DEFAULT now(),
        last_success_at timestamptz,
        failing_since timestamptz,
        last_error text
);
CREATE INDEX push_subscriptions_user ON push_subscriptions (user_id);

-- What is null is not looked at; ends_at may be 'infinity'.
CREATE TABLE silences (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        public_id text NOT NULL UNIQUE,
        user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
        server_id bigint REFERENCES servers ON DELETE CASCADE,
        service text,
        label text,
        reason text NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        ends_at timestamptz NOT NULL
);
CREATE INDEX silences_user ON silences (user_id);
CREATE INDEX silences_end ON silences (ends_at);

-- severity: how bad it was. What is worse is told in spite of it; the recovery ends it.
CREATE TABLE acknowledgements (
        server_id bigint NOT NULL,
        service text NOT NULL,
        reason text NOT NULL,
        severity int NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (server_id, service),
        FOREIGN KEY (server_id, service) REFERENCES services ON DELETE CASCADE
);

-- What a channel was told last of each subject (service '': the server itself), as far as it is not what goes without
-- saying, and what is being held back from it: until when, why, and after how many changes.
CREATE TABLE notification_states (
        channel_id bigint NOT NULL REFERENCES notification_channels ON DELETE CASCADE,
        server_id bigint NOT NULL REFERENCES servers ON DELETE CASCADE,
        service text NOT NULL,
        kind text NOT NULL,
        told text NOT NULL,
        held_until timestamptz,
        held_reason text,
        held_changes int NOT NULL DEFAULT 0,
        PRIMARY KEY (channel_id, server_id, service, kind)
);
CREATE INDEX notification_states_held ON notification_states (held_until) WHERE held_until IS NOT NULL;
CREATE INDEX notification_states_service ON notification_states (server_id, service);

-- queue: what keeps its order: a channel, a subscription, or the mails of an account. due_at is also the lease of the
-- instance that has claimed the row: when it dies, the row is due again.
CREATE TABLE notification_outbox (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        public_id text NOT NULL UNIQUE,
        queue text NOT NULL,
        user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
        channel_id bigint REFERENCES notification_channels ON DELETE CASCADE,
        subscription_id bigint REFERENCES push_subscriptions ON DELETE CASCADE,
        subject text NOT NULL DEFAULT '',
        payload jsonb NOT NULL,
        state text NOT NULL DEFAULT 'queued',
        created_at timestamptz NOT NULL DEFAULT now(),
        due_at timestamptz NOT NULL DEFAULT now(),
        attempts int NOT NULL DEFAULT 0,
        done_at timestamptz,
        error text
);
CREATE INDEX notification_outbox_queue ON notification_outbox (queue, id) WHERE state = 'queued';
CREATE INDEX notification_outbox_user ON notification_outbox (user_id, id);
CREATE INDEX notification_outbox_channel ON notification_outbox (channel_id);
CREATE INDEX notification_outbox_subscription ON notification_outbox (subscription_id);
