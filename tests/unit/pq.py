# SPDX-License-Identifier: LGPL-2.1-or-later
"""Statements through libpq itself: a psql for each would cost more than the statement."""
import ctypes
import threading

COMMAND_OK, TUPLES_OK = 1, 2


def load():
    pq = ctypes.CDLL("libpq.so.5")
    handle, number, text = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
    for name, result, *arguments in (
            ("PQconnectdb", handle, text), ("PQfinish", None, handle), ("PQerrorMessage", text, handle),
            ("PQsendQuery", number, handle, text), ("PQgetResult", handle, handle), ("PQclear", None, handle),
            ("PQresultStatus", number, handle), ("PQresultErrorMessage", text, handle), ("PQntuples", number, handle),
            ("PQnfields", number, handle), ("PQgetvalue", text, handle, number, number)):
        function = getattr(pq, name)
        function.restype, function.argtypes = result, arguments
    return pq


class Connection:
    """Connects when it has to. Threads take turns."""

    def __init__(self, conninfo):
        self.pq, self.conninfo, self.handle, self.lock = load(), conninfo.encode(), None, threading.Lock()

    def close(self):
        with self.lock:
            self.drop()

    def drop(self):
        self.pq.PQfinish(self.handle)
        self.handle = None

    def rows(self, statements):
        """The rows of all the statements as lists of text, "" for null."""
        with self.lock:
            self.handle = self.handle or self.pq.PQconnectdb(self.conninfo)
            error, rows = None, []
            if not self.pq.PQsendQuery(self.handle, statements.encode()):
                error = self.pq.PQerrorMessage(self.handle)
            while not error and (result := self.pq.PQgetResult(self.handle)):
                if self.pq.PQresultStatus(result) not in (COMMAND_OK, TUPLES_OK):
                    error = self.pq.PQresultErrorMessage(result)
                rows += [[self.pq.PQgetvalue(result, row, column).decode() for column in range(self.pq.PQnfields(result))]
                         for row in range(self.pq.PQntuples(result))]
                self.pq.PQclear(result)
            if error:
                # Nothing of it is left for the next: neither a transaction nor a dead connection.
                self.drop()
                raise RuntimeError(f"{statements[:200]}: {error.decode()}")
            return rows
