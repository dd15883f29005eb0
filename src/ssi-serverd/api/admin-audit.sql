-- SPDX-License-Identifier: LGPL-2.1-or-later
-- include model/fragments.sql

-- fragment: entry
json_build_object('id', l.id::text, 'at', @time(l.at), 'last_at', @time(l.last_at), 'count', l.count,
 'event', l.event, 'outcome', l.outcome, 'account', l.account, 'email', l.email, 'actor', l.actor, 'address', l.address, 'method', l.method,
 'credential', l.credential, 'object', l.object, 'name', l.name)

-- name: list_all_audit
SELECT coalesce(json_agg(@entry ORDER BY l.id DESC), '[]'), count(*), json_build_array(min(l.id)::text) FROM @audit_entries(@audit_of_all)

-- A cell of a CSV file. What a spreadsheet would take for a formula begins with an apostrophe: names are their owners' free text.
-- fragment: cell(x)
('"' || replace(regexp_replace(coalesce((@x)::text, ''), '^(?=[-=+@[:cntrl:]])', chr(39)), '"', '""') || '"')

-- The number of an entry, and the entry in the format of the file.
-- name: export_audit
SELECT l.id, CASE WHEN :csv::bool THEN concat_ws(',', @cell(l.id), @cell(@time(l.at)), @cell(@time(l.last_at)), @cell(l.count), @cell(l.event),
  @cell(l.outcome), @cell(l.account), @cell(l.email), @cell(l.actor), @cell(l.address), @cell(l.method), @cell(l.credential), @cell(l.object),
  @cell(l.name)) ELSE @entry::text END
 FROM @audit_entries(@audit_of_all) ORDER BY l.id DESC
