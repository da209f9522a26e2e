// examples/login-flow for k6, step by step the same: setup logs in once, then 30 % create and read back, 50 % list,
// 20 % run a workflow from the list. `THINK` scales the pauses: 0 for none.
import http from 'k6/http';
import { check, sleep } from 'k6';

const base = __ENV.BASE_URL;
const think = Number(__ENV.THINK === undefined ? 1 : __ENV.THINK);

export const options = {
  vus: 20,
  duration: '10s',
  thresholds: {
    http_req_duration: ['p(95)<500'],
    http_req_failed: ['rate<0.01'],
    checks: ['rate>0.99'],
  },
};

function pause() {
  if (think > 0) {
    sleep((0.5 + Math.random()) * think);
  }
}

function params(session, name) {
  const headers = { authorization: `Bearer ${session.token}` };
  return name ? { headers, tags: { name } } : { headers };
}

export function setup() {
  const credentials = JSON.stringify({ username: 'ada', password: 'correct horse' });
  const answer = http.post(`${base}/auth/login`, credentials, { headers: { 'content-type': 'application/json' } });
  if (answer.status !== 200) {
    throw new Error(`the login answered ${answer.status}`);
  }
  return { token: answer.json('token') };
}

export default function (session) {
  const draw = Math.random() * 100;
  if (draw < 30) {
    create(session);
  } else if (draw < 80) {
    list(session);
  } else {
    run(session);
  }
  pause();
}

function create(session) {
  const sent = params(session);
  sent.headers['content-type'] = 'application/json';
  const body = JSON.stringify({ name: `workflow ${__ITER} of user ${__VU}` });
  const created = http.post(`${base}/workflows`, body, sent);
  if (!check(created, { 'workflow was created': (r) => r.status === 201 })) {
    return;
  }
  const id = created.json().id;
  pause();
  const read = http.get(`${base}/workflows/${id}`, params(session, '/workflows/{id}'));
  check(read, { 'workflow can be read': (r) => r.status === 200 });
}

function list(session) {
  const page = 1 + Math.floor(Math.random() * 3);
  const answer = http.get(`${base}/workflows?page=${page}&limit=20`, params(session, '/workflows?page={page}'));
  if (!check(answer, { 'workflows are listed': (r) => r.status === 200 })) {
    return { items: [] };
  }
  return answer.json();
}

function run(session) {
  const { items } = list(session);
  pause();
  if (items.length === 0) {
    const dashboard = http.get(`${base}/analytics/dashboard`, params(session));
    check(dashboard, { 'dashboard answers': (r) => r.status === 200 });
    return;
  }
  const { id } = items[Math.floor(Math.random() * items.length)];
  const started = http.post(`${base}/workflows/${id}/execute`, null, params(session, '/workflows/{id}/execute'));
  check(started, { 'workflow was started': (r) => r.status >= 200 && r.status < 300 });
}

export function teardown(session) {
  const profile = http.get(`${base}/auth/profile`, params(session));
  check(profile, { 'session is still valid': (r) => r.status === 200 });
  http.get(`${base}/health`);
}
