// tests/journeys/json-host for k6: one value out of a document of some 10 KB.
import http from 'k6/http';
import { check } from 'k6';

const url = __ENV.BASE_URL;

export default function () {
  const response = http.get(url);
  check(response, { 'has the field': (r) => r.json('items.41.owner.name') === 'user 42' });
}
