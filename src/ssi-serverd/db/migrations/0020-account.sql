-- SPDX-License-Identifier: LGPL-2.1-or-later
-- An account's new address, until it is confirmed there: see docs/adr/0059. The mails' tokens are in email_tokens: "change" for the
-- new address, "undo" for the one that the account had when it was asked for.
CREATE TABLE email_changes (
        user_id bigint PRIMARY KEY REFERENCES users ON DELETE CASCADE,
        public_id text NOT NULL UNIQUE,
        email text NOT NULL,
        requested_at timestamptz NOT NULL DEFAULT now(),
        expires_at timestamptz NOT NULL
);

-- The mails that were sent to an address on behalf of accounts of other addresses are counted.
CREATE INDEX notification_outbox_changes ON notification_outbox (lower((payload ->> 'email') COLLATE "C"), created_at)
 WHERE payload ->> 'kind' = 'change';

-- How the account's owner reads times, in the dashboard and in messages. time_zone: null: that of the browser, and UTC in messages.
-- language: the texts are English; its country decides the order of dates. clock: 24 or 12 hours.
ALTER TABLE users ADD COLUMN time_zone text,
        ADD COLUMN language text NOT NULL DEFAULT 'en',
        ADD COLUMN clock int NOT NULL DEFAULT 24;

-- When the account's owner last had all of its data.
ALTER TABLE users ADD COLUMN exported_at timestamptz;
