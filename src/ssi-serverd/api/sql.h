/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The objects of the API as SQL expressions, so that the lists, the single objects and the stream have one shape. */

#include "model/sql.h"

/* Of services v. */
#define SQL_SERVICE_JSON                                                                                        \
        "json_build_object('name', v.name, 'title', coalesce(v.title, v.name), 'description', v.description,"   \
        " 'version', v.version, 'schedule', v.schedule, 'timeout_ms', v.timeout_ms,"                            \
        " 'watches', to_json(v.watches), 'depends_on', to_json(v.depends_on),"                                  \
        " 'enabled', coalesce(v.enabled, true), 'next_run', " SQL_TIME("v.next_run") ","                        \
        " 'status', v.status, 'message', v.message, 'status_at', " SQL_TIME("v.status_at") ","                  \
        " 'changed_at', " SQL_TIME("v.changed_at") ", 'received_at', " SQL_TIME("v.received_at") ","            \
        " 'duration_ms', v.duration_ms, 'invocation_id', v.invocation_id,"                                      \
        " 'error', CASE WHEN v.error_kind IS NOT NULL THEN json_build_object('kind', v.error_kind,"             \
        "  'detail', v.error_detail, 'at', " SQL_TIME("v.error_at") ") END,"                                    \
        " 'stale', v.stale_since IS NOT NULL, 'stale_since', " SQL_TIME("v.stale_since") ","                    \
        /* The recovery clears it; the row goes a moment later. */                                              \
        " 'acknowledgement', CASE WHEN v.status <> 'OK' OR v.error_kind IS NOT NULL OR v.stale_since IS NOT NULL"\
        "  THEN (SELECT json_build_object('reason', a.reason, 'created_at', " SQL_TIME("a.created_at") ")"      \
        "  FROM acknowledgements a WHERE a.server_id = v.server_id AND a.service = v.name) END)"

/* While an agent is connected it is as alive as the instance that holds it. */
#define SQL_LAST_SEEN                                                                                           \
        "CASE WHEN s.connected THEN greatest(s.last_seen, (SELECT i.seen_at FROM instances i"                   \
        " WHERE i.id = s.instance)) ELSE s.last_seen END"

/* How bad services v or its like are for what depends on them. */
#define SQL_SEVERITY(v) "service_severity(" v ".status, " v ".error_kind, NULL)"

/* That services v is in trouble as what it depends on is, at least as badly. */
#define SQL_HAS_CAUSE                                                                                           \
        "(v.depends_on <> '{}' AND service_severity(v.status, v.error_kind, v.stale_since) > 0 AND EXISTS ("    \
        " SELECT FROM services t WHERE t.server_id = v.server_id AND t.name = ANY (v.depends_on)"               \
        " AND " SQL_SEVERITY("t") " >= service_severity(v.status, v.error_kind, v.stale_since)))"

/* How many services are in trouble because services v is. */
#define SQL_DEPENDANTS                                                                                          \
        "(SELECT count(*) FROM services d WHERE d.server_id = v.server_id AND v.name = ANY (d.depends_on)"      \
        " AND service_severity(d.status, d.error_kind, d.stale_since) BETWEEN 1 AND " SQL_SEVERITY("v") ")"

/* Of servers s: the service that needs attention most, which may be none. A root cause comes before its dependants. */
#define SQL_WORST_SERVICE                                                                                       \
        "(SELECT json_build_object('name', v.name, 'title', coalesce(v.title, v.name), 'status', v.status,"     \
        " 'message', left(v.message, 200), 'error', CASE WHEN v.error_kind IS NOT NULL THEN json_build_object(" \
        "  'kind', v.error_kind, 'detail', left(v.error_detail, 200), 'at', " SQL_TIME("v.error_at") ") END,"   \
        " 'stale', v.stale_since IS NOT NULL, 'dependants', " SQL_DEPENDANTS ")"                                \
        " FROM services v WHERE v.server_id = s.id"                                                             \
        " AND (v.status > 'OK' OR v.error_kind IS NOT NULL OR v.stale_since IS NOT NULL)"                       \
        " ORDER BY " SQL_HAS_CAUSE ", CASE WHEN v.status = 'FAILURE' THEN 0 WHEN v.error_kind IS NOT NULL OR v.stale_since IS NOT NULL THEN 1"\
        "  WHEN v.status = 'WARNING' THEN 2 ELSE 3 END, lower(coalesce(v.title, v.name)), v.name LIMIT 1)"

#define SQL_SERVER_STATE "server_state(s.claimed_at, s.connected, s.rebooting_until)"

/* Of servers s and SQL_SERVER_COUNTS. */
#define SQL_SERVER_JSON                                                                                         \
        "json_build_object('id', s.public_id, 'agent_id', s.agent_id, 'name', s.name,"                          \
        " 'labels', to_json(s.labels), 'public_page', '/public/' || s.public_token,"                            \
        " 'state', " SQL_SERVER_STATE ","                                                                       \
        " 'last_seen', " SQL_TIME(SQL_LAST_SEEN) ", 'created_at', " SQL_TIME("s.created_at") ","                \
        " 'worst_status', n.worst, 'worst_service', CASE WHEN n.worst > 'OK' OR n.errors > 0 OR n.stale > 0"    \
        "  THEN " SQL_WORST_SERVICE " END, 'counts', json_build_object('OK', n.ok, 'UPDATE', n.update,"                 \
        "  'WARNING', n.warning, 'FAILURE', n.failure), 'errors', n.errors, 'stale', n.stale, 'services', n.services)"

/* Joins servers s. */
#define SQL_SERVER_COUNTS                                                                                       \
        " CROSS JOIN LATERAL (SELECT max(v.status) AS worst,"                                                   \
        " count(*) FILTER (WHERE v.status = 'OK') AS ok, count(*) FILTER (WHERE v.status = 'UPDATE') AS update,"\
        " count(*) FILTER (WHERE v.status = 'WARNING') AS warning,"                                             \
        " count(*) FILTER (WHERE v.status = 'FAILURE') AS failure,"                                             \
        " count(v.error_kind) AS errors, count(v.stale_since) AS stale, count(*) AS services FROM services v WHERE v.server_id = s.id) n"

/* That servers s is the user's, named by a parameter. */
#define SQL_OWNED_BY(param) "s.user_id = (SELECT u.id FROM users u WHERE u.public_id = " param ")"
