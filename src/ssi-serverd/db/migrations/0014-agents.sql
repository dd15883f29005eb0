-- SPDX-License-Identifier: LGPL-2.1-or-later
-- Changing an agent's key, and two hosts with one identity: see docs/adr/0047.
--
-- next_key_hash: the key that the agent was given last and has not used yet; until it does, both keys are valid.
--
-- boot_id: of the host whose sessions are accepted; null until it sends one. past_boots: those it took over from, newest first.
-- boot_changes: when, in the last five minutes. contested_until: inventories remove nothing before. refused_boots: hosts that the
-- owner has decided against. duplicate_…: since when the owner has to choose, and which host is refused until then.
ALTER TABLE servers ADD COLUMN next_key_hash bytea,
        ADD COLUMN boot_id text,
        ADD COLUMN past_boots text[] NOT NULL DEFAULT '{}',
        ADD COLUMN boot_changes timestamptz[] NOT NULL DEFAULT '{}',
        ADD COLUMN contested_until timestamptz,
        ADD COLUMN refused_boots text[] NOT NULL DEFAULT '{}',
        ADD COLUMN duplicate_since timestamptz,
        ADD COLUMN duplicate_boot_id text,
        ADD COLUMN duplicate_hostname text;
