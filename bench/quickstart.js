// examples/quickstart for k6: one GET, two checks, and a sleep where asked for.
import http from 'k6/http';
import { check, sleep } from 'k6';

const url = __ENV.BASE_URL;
const pause = Number(__ENV.SLEEP || 0);

export default function () {
  const response = http.get(url);
  check(response, {
    'status is 200': (r) => r.status === 200,
    'has a body': (r) => r.body.length > 0,
  });
  if (pause > 0) {
    sleep(pause);
  }
}
