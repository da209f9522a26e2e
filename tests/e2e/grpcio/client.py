"""Calls squall.practice.v1.Echo as Python's grpcio does: a client that is not ours.

    client.py --proto DIR --address HOST:PORT

Prints one object of JSON: what came of each call.
"""

import argparse
import json
import os
import sys
import tempfile

import grpc
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from grpc_tools import protoc

parser = argparse.ArgumentParser()
parser.add_argument("--proto", required=True)
parser.add_argument("--address", required=True)
options = parser.parse_args()
out = tempfile.mkdtemp()
echo = os.path.join(options.proto, "echo.proto")
if protoc.main(["protoc", f"-I{options.proto}", f"--python_out={out}", f"--grpc_python_out={out}", echo]) != 0:
    sys.exit("echo.proto does not compile")
sys.path.insert(0, out)
import echo_pb2
import echo_pb2_grpc

channel = grpc.insecure_channel(options.address)
stub = echo_pb2_grpc.EchoStub(channel)
told = {}

reply, call = stub.Say.with_call(
    echo_pb2.SayRequest(text="hello", data=b"\x00\xff"),
    metadata=[("x-who", "ann"), ("x-key-bin", b"\x01\x02")],
    timeout=10,
)
told["say"] = {
    "text": reply.text,
    "data": reply.data.hex(),
    "metadata": dict(reply.metadata),
    "headers": {key: str(value) for key, value in call.initial_metadata()},
    "trailers": {key: str(value) for key, value in call.trailing_metadata()},
}
try:
    ending = echo_pb2.Ending(code=8, message="50 % voll, ärgerlich", details=b"\x08\x08")
    stub.Say(echo_pb2.SayRequest(ending=ending), timeout=10)
except grpc.RpcError as error:
    details = dict(error.trailing_metadata())["grpc-status-details-bin"].hex()
    told["ending"] = {"code": error.code().value[0], "message": error.details(), "details": details}
try:
    stub.Say(echo_pb2.SayRequest(delay_ms=60_000), timeout=0.1)
except grpc.RpcError as error:
    told["late"] = error.code().value[0]
told["count"] = [reply.number for reply in stub.Count(echo_pb2.CountRequest(to=5), timeout=10)]
sent = (echo_pb2.SumRequest(value=value) for value in range(1000))
total = stub.Sum(sent, timeout=10)
told["sum"] = [total.sum, total.count]
texts = (echo_pb2.ChatMessage(text=str(number)) for number in range(100))
told["chat"] = [reply.text for reply in stub.Chat(texts, timeout=10)]
database = ProtoReflectionDescriptorDatabase(channel)
service = DescriptorPool(database).FindServiceByName("squall.practice.v1.Echo")
told["services"] = sorted(database.get_services())
told["methods"] = sorted(method.name for method in service.methods)
try:
    channel.unary_unary("/squall.practice.v1.Echo/Shout")(b"", timeout=10)
except grpc.RpcError as error:
    told["unknown"] = error.code().value[0]
print(json.dumps(told))
