-- SPDX-License-Identifier: LGPL-2.1-or-later
-- include model/fragments.sql

-- What is announced now.
-- fragment: announced
(SELECT * FROM announcements WHERE ends_at > now()) a

-- fragment: nobody
(SELECT NULL::text AS public_id, NULL::text AS email) u

-- Those that have ended go. Of two that add the last one at the same time, both may.
-- name: announcement_add
WITH old AS (DELETE FROM announcements WHERE ends_at <= now()),
 a AS (INSERT INTO announcements (public_id, text, ends_at) SELECT :id, :text, now() + make_interval(secs => :lifetime::float8)
  WHERE (SELECT count(*) FROM @announced) < @ANNOUNCEMENTS_MAX RETURNING *),
 audited AS (@audit(announcement.made, a.public_id, a.text, a, @nobody))
 SELECT a.public_id, @time(a.ends_at), @usec(a.ends_at), @audited FROM a

-- name: announcement_remove
WITH a AS (DELETE FROM announcements a WHERE a.public_id = :id AND a.ends_at > now() RETURNING *),
 audited AS (@audit(announcement.withdrawn, a.public_id, a.text, a, @nobody))
 SELECT 1, @audited FROM a
