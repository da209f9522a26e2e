"""A server of HTTP/3 on aioquic, for tests. Prints its port and serves until it is killed."""

import asyncio
import sys

from aioquic.asyncio import QuicConnectionProtocol, serve
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration

connections = 0


class Server(QuicConnectionProtocol):
    def __init__(self, *args, **kwargs):
        global connections
        super().__init__(*args, **kwargs)
        connections += 1
        self.number = connections
        self.http = H3Connection(self._quic)
        self.requests = {}

    def quic_event_received(self, event):
        for event in self.http.handle_event(event):
            if isinstance(event, HeadersReceived):
                self.requests.setdefault(event.stream_id, [dict(event.headers), b""])
            elif isinstance(event, DataReceived):
                self.requests[event.stream_id][1] += event.data
            else:
                continue
            if event.stream_ended:
                self.answer(event.stream_id, *self.requests.pop(event.stream_id))

    def answer(self, stream, headers, body):
        path = headers[b":path"].decode()
        if path.startswith("/bytes/"):
            body = b"x" * int(path.removeprefix("/bytes/"))
        elif path != "/echo":
            sent = headers.get(b"x-sent", b"").decode()
            body = f"{headers[b':method'].decode()} {path} {sent} {self.number}".encode()
        self.http.send_headers(stream, [(b":status", b"200"), (b"content-length", str(len(body)).encode())])
        self.http.send_data(stream, body, end_stream=True)
        self.transmit()


async def main(certificate, key):
    configuration = QuicConfiguration(alpn_protocols=H3_ALPN, is_client=False)
    configuration.load_cert_chain(certificate, key)
    server = await serve("::", 0, configuration=configuration, create_protocol=Server)
    print(server._transport.get_extra_info("sockname")[1], flush=True)
    await asyncio.Future()


asyncio.run(main(*sys.argv[1:]))
