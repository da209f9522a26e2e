"""squall.practice.v1.Echo as Python's grpcio serves it: a server that is not ours.

    server.py --proto DIR [--reflection] [--tls CERT KEY] [--client-ca FILE] [--set FILE]

Compiles `echo.proto` in DIR with grpcio's own protoc, prints `listening on PORT`, and then one line of JSON for every
call: its method, its metadata, and whether it had a deadline. `--set` writes a set of descriptors and ends.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from concurrent import futures

import grpc
from grpc_tools import protoc


def compiled(folder, descriptor_set):
    out = tempfile.mkdtemp()
    arguments = ["protoc", f"-I{folder}", f"--python_out={out}", f"--grpc_python_out={out}"]
    arguments += [f"--descriptor_set_out={descriptor_set}", "--include_imports"] if descriptor_set else []
    if protoc.main(arguments + [os.path.join(folder, "echo.proto")]) != 0:
        sys.exit("echo.proto does not compile")
    sys.path.insert(0, out)
    import echo_pb2
    import echo_pb2_grpc

    return echo_pb2, echo_pb2_grpc


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--proto", required=True)
    parser.add_argument("--reflection", action="store_true")
    parser.add_argument("--tls", nargs=2)
    parser.add_argument("--client-ca")
    parser.add_argument("--set")
    options = parser.parse_args()
    echo_pb2, echo_pb2_grpc = compiled(options.proto, options.set)
    if options.set:
        return

    def seen(method, context, **more):
        metadata = {
            key: value if isinstance(value, str) else value.hex() for key, value in context.invocation_metadata()
        }
        # Without a deadline so much time is left as there ever will be.
        has_deadline = (context.time_remaining() or 1e9) < 1e6
        call = {"method": method, "metadata": metadata, "has_deadline": has_deadline}
        print(json.dumps(call | more), flush=True)
        back = [(key, value) for key, value in context.invocation_metadata() if key.startswith("x-")]
        context.send_initial_metadata(back)
        context.set_trailing_metadata(back)

    def end(context, ending):
        if ending.code:
            more = tuple(context.trailing_metadata() or ())
            if ending.details:
                more += (("grpc-status-details-bin", ending.details),)
            context.set_trailing_metadata(more)
            code = next(code for code in grpc.StatusCode if code.value[0] == ending.code)
            context.abort(code, ending.message)

    class Echo(echo_pb2_grpc.EchoServicer):
        def Say(self, request, context):
            seen("Say", context)
            time.sleep(request.delay_ms / 1000)
            end(context, request.ending)
            metadata = {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
            return echo_pb2.SayReply(text=request.text, data=request.data, metadata=metadata)

        def Count(self, request, context):
            seen("Count", context)
            for number in range(1, request.to + 1):
                time.sleep(request.interval_ms / 1000)
                yield echo_pb2.CountReply(number=number, padding=b"." * request.padding)
            end(context, request.ending)

        def Sum(self, requests, context):
            values = [request.value for request in requests]
            seen("Sum", context, received=len(values))
            return echo_pb2.SumReply(sum=sum(values), count=len(values))

        def Chat(self, messages, context):
            seen("Chat", context)
            for message in messages:
                time.sleep(message.delay_ms / 1000)
                if message.HasField("ending"):
                    end(context, message.ending)
                    return
                yield echo_pb2.ChatMessage(text=message.text)

    server = grpc.server(futures.ThreadPoolExecutor(max_workers=32))
    echo_pb2_grpc.add_EchoServicer_to_server(Echo(), server)
    if options.reflection:
        from grpc_reflection.v1alpha import reflection

        names = (echo_pb2.DESCRIPTOR.services_by_name["Echo"].full_name, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, server)
    if options.tls:
        certificate, key = (open(path, "rb").read() for path in options.tls)
        authority = open(options.client_ca, "rb").read() if options.client_ca else None
        credentials = grpc.ssl_server_credentials([(key, certificate)], authority, authority is not None)
        port = server.add_secure_port("127.0.0.1:0", credentials)
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    print(f"listening on {port}", flush=True)
    # Whoever started it closes its standard input to end it.
    sys.stdin.read()
    server.stop(None)


main()
