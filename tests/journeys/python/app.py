"""The contract from Python: the same tiny journey as in `../c` and `../js`, on the raw WIT, without an SDK."""

import json
from typing import Callable, List, Optional, Tuple

import wit_world
from componentize_py_types import Err
from wit_world.imports import check, env, group, http, log, metric, vu


def request(url: str) -> http.Request:
    return http.Request(
        method="GET",
        url=url,
        headers=[],
        body=None,
        timeout=None,
        name=None,
        tags=[http.Pair("language", "python")],
        redirects=None,
        expected_statuses=[],
    )


def error_of(call: Callable[[], object]) -> object:
    """An `err` of a WIT result is raised as `Err`, whose `value` is the error."""
    try:
        call()
    except Err as e:
        return e.value
    return None


def expect(ok: bool, what: str) -> None:
    # An uncaught exception other than `Err` would be a trap.
    if not ok:
        raise Err(f"python: unexpected {what}")


class WitWorld(wit_world.WitWorld):
    # No import may be called while the component is being built, so ids are declared at first use.
    healthy: Optional[int] = None
    requests: Optional[int] = None

    def options(self) -> str:
        return json.dumps({"vus": 1, "iterations": 3})

    def setup(self) -> bytes:
        base = env.get("BASE_URL")
        if base is None:
            raise Err("python: BASE_URL is not set")
        expect(("BASE_URL", base) in env.all(), "list of variables")
        return base.encode()

    def iterate(self, scenario: str, data: bytes) -> None:
        if self.healthy is None:
            self.healthy = check.declare("health answers 200")
        if self.requests is None:
            self.requests = metric.declare("python_requests", metric.Kind.COUNTER, metric.Unit.NONE)
        group.begin("health")
        response = http.send(request(f"{data.decode()}/health"))
        group.end()
        check.report(self.healthy, response.status == 200)
        metric.add(self.requests, 1.0, [metric.Tag("scenario_name", scenario)])
        expect(http.header(response.id, "X-No-Such-Header") is None, "header")
        expect(len(http.body(response.id)) == response.body_length, "body length")
        stale = error_of(lambda: http.body(0))
        expect(stale == http.LookupError_Stale(0), f"look-up error `{stale}`")
        refused = error_of(lambda: http.send(request("http://127.0.0.1:1/")))
        expect(isinstance(refused, http.Error_Refused), f"request error `{refused}`")
        before = vu.now()
        vu.sleep(1.0)
        expect(vu.now() >= before + 1.0, "clock after a sleep")
        log.write(log.Level.DEBUG, f"python: VU {vu.id()} is done")

    def teardown(self, data: bytes) -> None:
        expect(data.startswith(b"http"), "setup data")

    def handle_summary(self, summary: str) -> List[Tuple[str, str]]:
        json.loads(summary)
        return []
