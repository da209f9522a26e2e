// tests/journeys/body-read for k6: one GET whose body the script takes in.
import http from 'k6/http';
import { check } from 'k6';

const url = __ENV.BASE_URL;

export default function () {
  const response = http.get(url);
  check(response, { 'has all of the body': (r) => r.body.length === 10240 });
}
