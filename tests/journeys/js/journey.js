// The contract from JavaScript: the same tiny journey as in `../c` and `../python`, on the raw WIT, without an SDK.
import { send, header, body } from 'squall:journey/http@0.1.1';
import { declare as declareCheck, report } from 'squall:journey/check@0.1.1';
import { declare as declareMetric, add } from 'squall:journey/metric@0.1.1';
import { sleep, id, now } from 'squall:journey/vu@0.1.1';
import { begin, end } from 'squall:journey/group@0.1.1';
import { write } from 'squall:journey/log@0.1.1';
import { get, all } from 'squall:journey/env@0.1.1';

// QuickJS has no TextEncoder and no TextDecoder.
const encode = (text) => Uint8Array.from(unescape(encodeURIComponent(text)), (c) => c.charCodeAt(0));
const decode = (bytes) => decodeURIComponent(escape(String.fromCharCode(...bytes)));

// No import may be called while the component is being built, so ids are declared at first use.
let healthy;
let requests;

const request = (url) => ({ method: 'GET', url, headers: [], tags: [{ name: 'language', value: 'js' }], expectedStatuses: [] });

// An `err` of a WIT result is thrown as an object whose `payload` is the error.
function errorOf(call) {
  try {
    call();
  } catch (e) {
    return e.payload;
  }
  return { tag: 'none' };
}

function expect(ok, what) {
  if (!ok) throw `js: unexpected ${what}`;
}

export function options() {
  return JSON.stringify({ vus: 1, iterations: 3 });
}

export function setup() {
  const base = get('BASE_URL');
  if (base == null) throw 'js: BASE_URL is not set';
  expect(all().some(([name, value]) => name === 'BASE_URL' && value === base), 'list of variables');
  return encode(base);
}

export function iterate(scenario, data) {
  healthy ??= declareCheck('health answers 200');
  requests ??= declareMetric('js_requests', 'counter', 'none');
  begin('health');
  const response = send(request(`${decode(data)}/health`));
  end();
  report(healthy, response.status === 200);
  add(requests, 1, [{ name: 'scenario_name', value: scenario }]);
  expect(header(response.id, 'X-No-Such-Header') == null, 'header');
  expect(body(response.id).length === response.bodyLength, 'body length');
  const stale = errorOf(() => body(0));
  expect(stale.tag === 'stale' && stale.val === 0, `look-up error \`${stale.tag}\``);
  const refused = errorOf(() => send(request('http://127.0.0.1:1/')));
  expect(refused.tag === 'refused', `request error \`${refused.tag}\``);
  const before = now();
  sleep(1);
  expect(now() >= before + 1, 'clock after a sleep');
  write('debug', `js: VU ${id()} is done`);
}

export function teardown(data) {
  expect(decode(data).startsWith('http'), 'setup data');
}

export function handleSummary(summary) {
  JSON.parse(summary);
  return [];
}
