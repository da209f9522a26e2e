"""A server that answers questions about its methods badly.

    reflection.py KIND

KIND is one of those in `KINDS`. Prints `listening on PORT`, and then `{"asked": N}` for every question.
"""

import json
import sys
import time
from concurrent import futures

import grpc
from google.protobuf import descriptor_pb2
from grpc_reflection.v1alpha import reflection_pb2 as pb
from grpc_reflection.v1alpha import reflection_pb2_grpc


def files(*protos):
    encoded = [proto if isinstance(proto, bytes) else proto.SerializeToString() for proto in protos]
    return pb.ServerReflectionResponse(
        file_descriptor_response=pb.FileDescriptorResponse(file_descriptor_proto=encoded)
    )


def file(name, *imports, **more):
    return descriptor_pb2.FileDescriptorProto(name=name, dependency=imports, **more)


def services(names):
    listed = pb.ListServiceResponse(service=[pb.ServiceResponse(name=name) for name in names])
    return pb.ServerReflectionResponse(list_services_response=listed)


def nested(depth):
    message = descriptor_pb2.DescriptorProto(name="M")
    for _ in range(depth):
        message = descriptor_pb2.DescriptorProto(name="M", nested_type=[message])
    return message


def deep_option():
    option = descriptor_pb2.UninterpretedOption(aggregate_value="m {" * 100_000 + "}" * 100_000)
    option.name.add(name_part="deep", is_extension=True)
    return descriptor_pb2.FileOptions(uninterpreted_option=[option])


# What is answered to the n-th question, about a name.
KINDS = {
    "endless-files": lambda n, name: files(file(name, f"{n}.proto")),
    "circle": lambda n, name: files(file("a", "b"), file("b", "a")),
    "missing-import": lambda n, name: files(file("a", "b")),
    "garbage": lambda n, name: files(b"\xff\x00garbage" * 10),
    "no-answer": lambda n, name: time.sleep(600),
    "two-byte-messages": lambda n, name: files(file("a").SerializeToString() + b"\x22\x00" * 1_500_000),
    "many-fields": lambda n, name: files(
        file("a", message_type=[descriptor_pb2.DescriptorProto(name=f"M{i}") for i in range(190_000)])
    ),
    "nested": lambda n, name: files(file("a", message_type=[nested(60)])),
    "deep-option": lambda n, name: files(file("a", options=deep_option())),
    "own-options": lambda n, name: files(
        file("a", package="google.protobuf", message_type=[descriptor_pb2.DescriptorProto(name="FileOptions")])
    ),
    "flood": lambda n, name: files(file(name, f"{n}-next", package="p" * 3_000_000)),
    "many-services": lambda n, name: services(f"service{i}" for i in range(100_000)),
}


class Hostile(reflection_pb2_grpc.ServerReflectionServicer):
    def ServerReflectionInfo(self, questions, context):
        for n, question in enumerate(questions):
            print(json.dumps({"asked": n + 1}), flush=True)
            kind = question.WhichOneof("message_request")
            if kind == "list_services" and sys.argv[1] != "many-services":
                yield services(["S"])
            else:
                yield KINDS[sys.argv[1]](n, getattr(question, kind))


server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
reflection_pb2_grpc.add_ServerReflectionServicer_to_server(Hostile(), server)
port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(f"listening on {port}", flush=True)
sys.stdin.read()
server.stop(None)
