-- SPDX-License-Identifier: LGPL-2.1-or-later
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

-- A session is a family of refresh tokens: each use replaces the token, and the use of a replaced one ends the session.
CREATE TABLE login_sessions (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
        created_at timestamptz NOT NULL DEFAULT now(),
        revoked_at timestamptz
);
CREATE INDEX login_sessions_user ON login_sessions (user_id);

CREATE TABLE refresh_tokens (
        token_hash bytea PRIMARY KEY,
        session_id bigint NOT NULL REFERENCES login_sessions ON DELETE CASCADE,
        expires_at timestamptz NOT NULL,
        used_at timestamptz
);
CREATE INDEX refresh_tokens_session ON refresh_tokens (session_id);

-- session_epoch counts the connections of the agent: only the newest may commit. resume_cursor is the journal cursor
-- of the last entry committed. Fillfactor as for services.
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
        hostname text
) WITH (fillfactor = 70);
CREATE INDEX servers_user ON servers (user_id);

CREATE TABLE claim_tokens (
        token_hash bytea PRIMARY KEY,
        server_id bigint NOT NULL REFERENCES servers ON DELETE CASCADE,
        expires_at timestamptz NOT NULL,
        used_at timestamptz
);
CREATE INDEX claim_tokens_server ON claim_tokens (server_id);

-- The current state. Room on each page keeps the updates off the index (heap-only tuples).
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
        PRIMARY KEY (server_id, name)
) WITH (fillfactor = 70);

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

-- Makes the partitions of today and the days to come that are missing. Returns how many it made.
CREATE FUNCTION events_make_partitions(days int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
        today date := (now() AT TIME ZONE 'UTC')::date;
        day date;
        name text;
        made int := 0;
BEGIN
        PERFORM pg_advisory_xact_lock(5461834);
        FOR i IN 0 .. days LOOP
                day := today + i;
                name := 'events_' || to_char(day, 'YYYYMMDD');
                CONTINUE WHEN to_regclass(quote_ident(name)) IS NOT NULL;
                EXECUTE format('CREATE TABLE %I PARTITION OF events FOR VALUES FROM (%L) TO (%L)',
                               name, day || ' 00:00:00+00', (day + 1) || ' 00:00:00+00');
                made := made + 1;
        END LOOP;
        RETURN made;
END
$$;
