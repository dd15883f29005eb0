-- SPDX-License-Identifier: LGPL-2.1-or-later
-- What a script's header says that is only shown (description, version, …) is one object: a key that is added costs no column.
ALTER TABLE services ADD COLUMN metadata jsonb NOT NULL DEFAULT '{}';
UPDATE services SET metadata = jsonb_strip_nulls(jsonb_build_object('description', description, 'version', version));
ALTER TABLE services DROP COLUMN description, DROP COLUMN version;

-- Of version 1, and long without use.
DROP FUNCTION IF EXISTS events_make_partitions(int);
