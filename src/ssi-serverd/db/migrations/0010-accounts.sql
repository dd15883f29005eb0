-- SPDX-License-Identifier: LGPL-2.1-or-later
-- E-mail addresses are compared with ASCII letters folded, and no others, as the program does it, whatever the locale of
-- the database: see docs/adr/0040. Addresses that differed before differ now, too.
DROP INDEX users_email;
CREATE UNIQUE INDEX users_email ON users (lower(email COLLATE "C"));

-- Where mail is configured, a new account works once its address is confirmed.
ALTER TABLE users ADD COLUMN confirmed boolean NOT NULL DEFAULT true;

-- From where accounts have logged in: guesses made elsewhere do not lock them out there.
CREATE TABLE account_networks (
        user_id bigint NOT NULL REFERENCES users ON DELETE CASCADE,
        network cidr NOT NULL,
        seen_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (user_id, network)
);
INSERT INTO account_networks (user_id, network, seen_at)
 SELECT l.user_id, network(set_masklen(l.a, CASE family(l.a) WHEN 4 THEN 32 ELSE 64 END)), max(l.last_used_at)
 FROM (SELECT user_id, last_used_at, regexp_replace(regexp_replace(lower(address), '^::ffff:(?=.*\.)', ''), '^::1$', '127.0.0.1')::inet AS a
  FROM login_sessions WHERE address ~ '^([0-9a-fA-F]*:[0-9a-fA-F:.]*|[0-9]+(\.[0-9]+){3})$') l
 GROUP BY 1, 2;
