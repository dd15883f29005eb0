-- SPDX-License-Identifier: LGPL-2.1-or-later

-- Proves that notifications arrive.
-- name: prove_hearing
SELECT pg_notify(:channel, :payload)

-- Notifies the other instances. Those of earlier versions do not say whether they have viewers (null). viewed: of changes that only viewers need; its snapshot is younger than their commit, so
-- whoever is not found to have viewers reads them later than that.
-- name: publish_changes
SELECT (SELECT count(pg_notify(:channel, p)) FROM unnest(:always::text[]) p),
 (SELECT count(pg_notify(:channel, p)) FROM unnest(:viewed::text[]) p
  WHERE EXISTS (SELECT FROM instances WHERE (viewed_until IS NULL OR viewed_until > now()) AND id <> :instance))
