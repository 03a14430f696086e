"""Libprocess messages and protobuf bytes over plain sockets, with the standard library only.

Nothing of mesos-rs is used here: what these few lines send is what the wire facts say.
"""

import socket
import struct
import threading


def varint(number):
    out = bytearray()
    while True:
        byte, number = number & 0x7F, number >> 7
        out.append(byte | (0x80 if number else 0))
        if not number:
            return bytes(out)


def encode(fields):
    """Protobuf bytes of (number, value) pairs: int and bool as varint, float as double, bytes and str by length."""
    out = b""
    for number, value in fields:
        if isinstance(value, (bool, int)):
            out += varint(number << 3) + varint(int(value))
        elif isinstance(value, float):
            out += varint(number << 3 | 1) + struct.pack("<d", value)
        else:
            data = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(data)) + data
    return out


def decode(data):
    """Field number to list of values; nested messages and texts stay bytes."""
    fields, at = {}, 0

    def read():
        nonlocal at
        shift = value = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return value

    while at < len(data):
        key = read()
        number, kind = key >> 3, key & 7
        if kind == 0:
            value = read()
        elif kind == 1:
            value = struct.unpack("<d", data[at:at + 8])[0]
            at += 8
        elif kind == 2:
            length = read()
            value = data[at:at + length]
            at += length
        else:
            raise ValueError("wire type %d" % kind)
        fields.setdefault(number, []).append(value)
    return fields


def ident(text):
    """A message that holds one text with number 1: every id of Mesos."""
    return encode([(1, text)])


def text_of(message):
    return decode(message)[1][0].decode()


def scalar(name, value, role=None):
    fields = [(1, name), (2, 0), (3, encode([(1, float(value))]))]
    if role:
        fields.append((6, role))
    return encode(fields)


class Node:
    """One listening socket and one process behind it."""

    def __init__(self, process_id, handler):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.upid = "%s@127.0.0.1:%d" % (process_id, self.listener.getsockname()[1])
        self.handler = handler
        self.connections = {}
        self.lock = threading.Lock()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        stream = connection.makefile("rb")
        while True:
            line = stream.readline()
            if not line:
                return
            method, path, _ = line.decode().split()
            headers = {}
            while True:
                header = stream.readline().strip()
                if not header:
                    break
                key, value = header.decode().split(":", 1)
                headers[key.strip().lower()] = value.strip()
            body = b""
            if headers.get("transfer-encoding") == "chunked":
                while True:
                    size = int(stream.readline(), 16)
                    body += stream.read(size)
                    stream.readline()
                    if size == 0:
                        break
            elif "content-length" in headers:
                body = stream.read(int(headers["content-length"]))
            assert method == "POST", line
            assert headers.get("user-agent", "").startswith("libprocess/"), headers
            connection.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
            name = path.split("/", 2)[2]
            self.handler(headers["libprocess-from"], name, body)

    def send(self, to, name, body):
        process_id, address = to.split("@")
        request = "POST /%s/%s HTTP/1.1\r\nUser-Agent: libprocess/%s\r\nLibprocess-From: %s\r\nConnection: Keep-Alive\r\nHost: %s\r\n" % (
            process_id, name, self.upid, self.upid, address)
        data = request.encode()
        if body:
            data += b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(body) + body + b"\r\n0\r\n\r\n"
        else:
            data += b"\r\n"
        with self.lock:
            if address not in self.connections:
                host, port = address.split(":")
                connection = socket.create_connection((host, int(port)))
                self.connections[address] = connection
                threading.Thread(target=self.drain, args=(address, connection), daemon=True).start()
            self.connections[address].sendall(data)

    def drain(self, address, connection):
        """Reads answers until the peer is gone; the next message then goes over a new connection."""
        try:
            while connection.recv(65536):
                pass
        except OSError:
            pass
        with self.lock:
            if self.connections.get(address) is connection:
                del self.connections[address]

    def close(self):
        self.listener.close()
        with self.lock:
            for connection in self.connections.values():
                connection.close()
            self.connections.clear()
