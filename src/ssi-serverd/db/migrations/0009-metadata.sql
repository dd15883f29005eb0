-- SPDX-License-Identifier: LGPL-2.1-or-later
-- What a script's header says only for display (description, version, …) is one object, so that a new key needs no
-- column.
ALTER TABLE services ADD COLUMN metadata jsonb NOT NULL DEFAULT '{}';
UPDATE services SET metadata = jsonb_strip_nulls(jsonb_build_object('description', description, 'version', version));
ALTER TABLE services DROP COLUMN description, DROP COLUMN version;

-- From schema version 1, unused for long.
DROP FUNCTION IF EXISTS events_make_partitions(int);
