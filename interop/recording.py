"""A small server that answers the official client and keeps what both said."""

from __future__ import annotations

import base64
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable
from urllib.parse import parse_qsl, urlsplit

PROTOBUF = "application/x-protobuf"
HEADERS = (
    "accept",
    "content-type",
    "content-encoding",
    "x-sdk-method",
    "x-tinker-request-iteration",
    "x-tinker-request-type",
    "x-tinker-sampling-backpressure",
)

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
# what telemetry says of the run itself
_VOLATILE = {
    "timestamp": "2026-01-02T03:04:05.678901Z",
    "duration": "0:00:01.234567",
    "elapsed_time": 0.5,
    "exception_stack": "",
    "traceback": "",
}


def steady(value: Any, telemetry: bool = False) -> Any:
    """The value without what differs from run to run."""
    if isinstance(value, str):
        return _UUID.sub("00000000-0000-4000-8000-000000000000", value)
    if isinstance(value, list):
        return [steady(item, telemetry) for item in value]
    if isinstance(value, dict):
        return {
            key: _VOLATILE[key] if telemetry and key in _VOLATILE else steady(item, telemetry)
            for key, item in value.items()
        }
    return value


def _body(raw: bytes, content_type: str, path: str) -> dict[str, Any]:
    if not raw:
        return {}
    if "json" in content_type:
        return {"json": steady(json.loads(raw), path == "/telemetry")}
    return {"base64": base64.b64encode(raw).decode()}


class Answer:
    def __init__(self, body: Any = None, status: int = 200, headers: dict[str, str] | None = None):
        self.status = status
        self.headers = dict(headers or {})
        if isinstance(body, bytes):
            self.raw, self.type = body, PROTOBUF
        elif body is None:
            self.raw, self.type = b"", ""
        else:
            self.raw, self.type = json.dumps(body).encode(), "application/json"


class Request:
    def __init__(self, method: str, path: str, query: dict[str, str], headers: dict[str, str], raw: bytes):
        self.method, self.path, self.query, self.headers, self.raw = method, path, query, headers, raw

    @property
    def json(self) -> Any:
        return json.loads(self.raw)


class Recording:
    """Routes are tried in order; a route is `METHOD /path` with `*` for anything."""

    def __init__(self, routes: dict[str, Callable[[Request], Any]]):
        self.routes = routes
        self.exchanges: list[dict[str, Any]] = []
        self._lock = threading.Lock()
        recording = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _handle(self) -> None:
                split = urlsplit(self.path)
                length = int(self.headers.get("content-length") or 0)
                request = Request(
                    self.command,
                    split.path.removeprefix("/api/v1"),
                    dict(parse_qsl(split.query)),
                    {name.lower(): value for name, value in self.headers.items()},
                    self.rfile.read(length),
                )
                answer = recording.answer(request)
                self.send_response(answer.status)
                if answer.type:
                    self.send_header("content-type", answer.type)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(answer.raw)))
                self.end_headers()
                self.wfile.write(answer.raw)

            do_GET = do_POST = do_PUT = do_DELETE = _handle

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, request: Request) -> Answer:
        key = f"{request.method} {request.path}"
        for pattern, route in self.routes.items():
            if re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), key):
                found = route(request)
                answer = found if isinstance(found, Answer) else Answer(found)
                break
        else:
            answer = Answer({"detail": "Not Found"}, 404)
        exchange = {
            "request": {
                "method": request.method,
                "path": request.path,
                **({"query": request.query} if request.query else {}),
                "headers": {name: request.headers[name] for name in HEADERS if name in request.headers},
                **_body(request.raw, request.headers.get("content-type", ""), request.path),
            },
            "response": {
                "status": answer.status,
                **({"headers": answer.headers} if answer.headers else {}),
                **_body(answer.raw, answer.type, request.path),
            },
        }
        with self._lock:
            self.exchanges.append(exchange)
        return answer

    def last(self, path: str) -> dict[str, Any]:
        """The latest exchange on a path."""
        with self._lock:
            for exchange in reversed(self.exchanges):
                if exchange["request"]["path"] == path:
                    return exchange
        raise LookupError(f"nothing was sent to {path}")

    def all(self, path: str) -> list[dict[str, Any]]:
        with self._lock:
            return [exchange for exchange in self.exchanges if exchange["request"]["path"] == path]

    def close(self) -> None:
        self._server.shutdown()
