// tests/journeys/grpc-unary for k6: one unary call and a check.
import grpc from 'k6/net/grpc';
import { check } from 'k6';

const client = new grpc.Client();
client.load([__ENV.PROTO_FOLDER], 'echo.proto');
let isConnected = false;

export default function () {
  if (!isConnected) {
    client.connect(__ENV.BASE_URL.replace('http://', ''), { plaintext: true });
    isConnected = true;
  }
  const response = client.invoke('squall.practice.v1.Echo/Say', { text: 'hello' });
  check(response, { 'status is OK': (r) => r && r.status === grpc.StatusOK });
}
