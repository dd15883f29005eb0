-- SPDX-License-Identifier: LGPL-2.1-or-later
-- A time in a message, as its account wants to read it: in its time zone, order of the date and clock. Null without a zone, or with one that
-- the database does not know any more: a message must not fail for that.
CREATE OR REPLACE FUNCTION account_time(p_at text, p_zone text, p_language text, p_clock int) RETURNS text LANGUAGE plpgsql STABLE AS $$
BEGIN
        IF p_at IS NULL OR p_zone IS NULL THEN
                RETURN NULL;
        END IF;
        RETURN to_char(p_at::timestamptz AT TIME ZONE p_zone,
                CASE p_language WHEN 'en-GB' THEN 'DD/MM/YYYY' WHEN 'en-US' THEN 'MM/DD/YYYY' ELSE 'YYYY-MM-DD' END
                || CASE p_clock WHEN 12 THEN ' HH12:MI:SS AM' ELSE ' HH24:MI:SS' END) || ' (' || p_zone || ')';
EXCEPTION WHEN data_exception THEN
        RETURN NULL;
END
$$;
