-- SPDX-License-Identifier: LGPL-2.1-or-later

-- name: rates
SELECT u.public_id, quota(u.id, 'results'), quota_burst(u.id, 'results') FROM teams u WHERE u.public_id = ANY (:users::text[])
