-- SPDX-License-Identifier: LGPL-2.1-or-later
-- The schema. Upgrades start at this version: the seven before it were never released. Functions and triggers are in
-- functions/.
--
-- Tables refer to rows by bigint keys; the outside sees only the opaque ids (usr-…, srv-…, agt-…).
-- Secrets are stored only as hashes: passwords as argon2id, tokens and keys (256 random bits) as BLAKE2b.

CREATE TYPE service_status AS ENUM ('OK', 'UPDATE', 'WARNING', 'FAILURE');

CREATE TABLE users (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        public_id text NOT NULL UNIQUE,
        email text NOT NULL,
        password_hash text NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX users_email ON users (lower(email));

-- A session is a family of refresh tokens: each use replaces the token, and using a replaced one ends the session. It
-- lives until it is revoked or expires. Its last replaced refresh token is kept, with the successor encrypted by a key
-- that only this token yields: see docs/adr/0011. A login code, with which a second device logs in, can be used once,
-- and ends with the session that made it.
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

-- Tokens for programs: 256 random bits, stored as BLAKE2b.
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

-- The public halves of the keys that sign access tokens, one per instance. The private halves are never stored here.
CREATE TABLE access_token_keys (
        id text PRIMARY KEY,
        public_key text NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        expires_at timestamptz NOT NULL
);

-- Addresses that their owners have confirmed, and the tokens of mails for confirming an address or resetting a
-- password. Only hashes of tokens are stored: a mail is composed when it is sent, so no row holds its token.
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

-- session_epoch counts the agent's connections: only the newest may commit. resume_cursor is the journal cursor of the
-- last committed entry; gap_told: the history already records that entries after it are lost. instance holds the
-- agent's session. public_token is the address of the public page: not guessable, but no secret either. Fillfactor as
-- for services.
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

-- Each instance of the backend reports here that it is alive; the agents connected to it are as alive as it is. So an
-- idle agent causes no writes.
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

-- The current state. Free space on each page keeps updates off the index (heap-only tuples).
--
-- told_status and told_error are the values that the last transitions reported: status and error_kind, except while an
-- agent resends what it could not send before. due_at is when the next result is due, null while none is expected.
-- watches: the units that the script checks. depends_on: the other services it depends on, directly and indirectly,
-- without cycles: the writer ensures that.
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

-- History: a row per result, execution error and gap (service is null for a gap). Partitioned by the day of arrival,
-- because replayed entries carry their own times. No foreign key: it would cost a look-up per row, and partitions are
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

-- Changes, written by the transaction that makes them, from which notifications are made.
--
-- what     service   before and after
-- status   its name  statuses; before is null for the first result
-- error    its name  kinds of execution errors; null: none
-- stale    its name  'stale' or null
-- removed  its name  the last status, and null
-- state    null      'online', 'offline', 'rebooting'
--
-- Only changes that may cause a notification are written. Taken rows are kept for a day, to explain why a notification
-- was or was not sent.
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

-- config: what the type needs (address, url, token, …). Empty filters match everything. damping null: the user's.
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

-- The instances' application server keys (VAPID). The private halves are in files, never here.
CREATE TABLE push_keys (
        public_key text PRIMARY KEY,
        seen_at timestamptz NOT NULL DEFAULT now()
);

-- A browser subscribes with one key and accepts only messages signed with it: public_key.
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

-- Null columns match everything; ends_at may be 'infinity'.
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

-- severity: how bad it was. Anything worse is notified all the same; a recovery ends the acknowledgement.
CREATE TABLE acknowledgements (
        server_id bigint NOT NULL,
        service text NOT NULL,
        reason text NOT NULL,
        severity int NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (server_id, service),
        FOREIGN KEY (server_id, service) REFERENCES services ON DELETE CASCADE
);

-- The last value that each channel was notified of for each subject (service '': the server itself), unless that is the
-- baseline; and what is held back from it: until when, why, and after how many changes.
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

-- queue: messages in a queue keep their order: a channel's, a subscription's, or an account's mails. due_at is also the
-- lease of the instance that claimed the row: if the instance dies, the row is due again.
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
