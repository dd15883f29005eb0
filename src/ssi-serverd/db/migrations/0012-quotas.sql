-- SPDX-License-Identifier: LGPL-2.1-or-later
-- What an account may use: see docs/adr/0045. All that asks for a quota asks quota() in functions/50-quotas.sql, so that a
-- quota can belong to more than an account later. A null value is no limit.

-- Each instance writes its settings here when it connects.
CREATE TABLE quota_defaults (
        name text PRIMARY KEY,
        value bigint,
        burst bigint
);

-- What an administrator has set for one account.
CREATE TABLE account_quotas (
        user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
        name text NOT NULL,
        value bigint,
        burst bigint,
        PRIMARY KEY (user_id, name)
);

-- When a quota last stopped something. since: the begin of an uninterrupted hour and more of that.
CREATE TABLE quota_reached (
        user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
        name text NOT NULL,
        since timestamptz NOT NULL DEFAULT now(),
        last_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (user_id, name)
);

-- What was sent in the hour or day that began at since. who is an account's key, or the hash of an address: that count
-- must outlive the account, or removing it would start another one.
CREATE TABLE quota_counts (
        what text NOT NULL,
        who text NOT NULL,
        since timestamptz NOT NULL,
        n bigint NOT NULL DEFAULT 1,
        PRIMARY KEY (what, who, since)
);

-- The bytes of history, as measured or estimated, by server and day of arrival. Days that are over are measured once.
CREATE TABLE history_usage (
        server_id bigint NOT NULL REFERENCES servers ON DELETE CASCADE,
        day date NOT NULL,
        bytes bigint NOT NULL,
        PRIMARY KEY (server_id, day)
);
CREATE TABLE history_measured (
        day date PRIMARY KEY
);
