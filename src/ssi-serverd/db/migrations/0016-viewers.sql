-- SPDX-License-Identifier: LGPL-2.1-or-later
-- Until when an instance has somebody who looks: the others notify only then of changes on servers and services. Null for
-- instances of earlier versions, which do not say.
ALTER TABLE instances ADD COLUMN viewed_until timestamptz;
