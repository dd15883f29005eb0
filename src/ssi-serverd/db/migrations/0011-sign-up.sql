-- SPDX-License-Identifier: LGPL-2.1-or-later
-- Who may make an account is kept as the setting "sign_up": closed, invite or open. No value: the backend is not set up yet.
-- Where there are accounts, it is: see docs/adr/0044.
INSERT INTO settings (key, value) SELECT 'sign_up', 'closed'::bytea WHERE EXISTS (SELECT FROM users) ON CONFLICT DO NOTHING;

-- invited_by null: by an administrator. email null: for whoever has the link.
CREATE TABLE invitations (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        public_id text NOT NULL UNIQUE,
        email text,
        invited_by bigint REFERENCES users ON DELETE CASCADE,
        created_at timestamptz NOT NULL DEFAULT now(),
        expires_at timestamptz NOT NULL,
        used_at timestamptz
);
CREATE INDEX invitations_user ON invitations (invited_by, id);

-- The links of an invitation: one is shown to the inviter, others are in mails. Who has one of a mail can read what is
-- sent to the address.
CREATE TABLE invitation_tokens (
        token_hash bytea PRIMARY KEY,
        invitation_id bigint NOT NULL REFERENCES invitations ON DELETE CASCADE,
        mailed boolean NOT NULL
);
CREATE INDEX invitation_tokens_invitation ON invitation_tokens (invitation_id);

-- A mail with an invitation belongs to no account.
ALTER TABLE notification_outbox ALTER COLUMN user_id DROP NOT NULL;
CREATE INDEX notification_outbox_invitations ON notification_outbox (lower((payload ->> 'email') COLLATE "C"), created_at)
 WHERE payload ->> 'kind' = 'invitation';
