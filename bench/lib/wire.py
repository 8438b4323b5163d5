"""Many connections at once that one process holds: all statements go out before the first answer is read,
each connection's backend is known, and one that dies under a statement is an answer, not an error."""
import selectors, socket, struct, time

from server import PORT


class Wire:
    """One connection over the server's socket, by the simple protocol."""

    def __init__(self, server, db="bench"):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.connect(str(server.run / f".s.PGSQL.{PORT}"))
        words = ("user", server.env["PGUSER"], "database", db, "")
        body = struct.pack("!i", 196608) + b"".join(word.encode() + b"\0" for word in words)
        self.socket.sendall(struct.pack("!i", len(body) + 4) + body)
        self.buffer, self.pid = b"", None
        if self.answer() is None:
            raise ConnectionError("the server did not take the connection")

    def send(self, sql):
        """A statement; one that meets a dead connection has no answer later."""
        body = sql.encode() + b"\0"
        try:
            self.socket.sendall(b"Q" + struct.pack("!i", len(body) + 4) + body)
        except OSError:
            pass

    def _message(self):
        """Kind and body of the next message, or None when the connection is gone."""
        while True:
            if len(self.buffer) >= 5:
                length = struct.unpack("!i", self.buffer[1:5])[0] + 1
                if len(self.buffer) >= length:
                    message, self.buffer = self.buffer[:length], self.buffer[length:]
                    return message[:1], message[5:]
            try:
                more = self.socket.recv(65536)
            except OSError:
                return None
            if not more:
                return None
            self.buffer += more

    def answer(self):
        """The rows of the statement, each a list of texts, or None when the connection died under it."""
        rows, error = [], None
        while message := self._message():
            kind, body = message
            if kind == b"D":
                rows.append(row(body))
            elif kind == b"E":
                error = body
            elif kind == b"K":
                self.pid = struct.unpack("!i", body[:4])[0]
            elif kind == b"Z":
                if error:
                    raise RuntimeError("the server said: " + error.replace(b"\0", b" ").decode())
                return rows
        return None

    def close(self):
        self.socket.close()


def row(body):
    values, at = [], 2
    for _ in range(struct.unpack("!h", body[:2])[0]):
        size, = struct.unpack("!i", body[at:at + 4])
        at += 4
        values.append(None if size < 0 else body[at:at + size].decode())
        at += max(size, 0)
    return values


def connect(server, count, db="bench", within=60):
    """So many connections, waiting for a server that is recovering."""
    until = time.monotonic() + within
    wires = []
    while len(wires) < count:
        try:
            wires.append(Wire(server, db))
        except (OSError, RuntimeError):
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
    return wires


def volley(wires, statement):
    """Sends statement(number) on every connection, then yields (number, rows) in the order of the answers."""
    for number, wire in enumerate(wires):
        wire.send(statement(number))
    waiting = selectors.DefaultSelector()
    for number, wire in enumerate(wires):
        waiting.register(wire.socket, selectors.EVENT_READ, number)
    while waiting.get_map():
        for key, _ in waiting.select():
            waiting.unregister(key.fileobj)
            yield key.data, wires[key.data].answer()
    waiting.close()
