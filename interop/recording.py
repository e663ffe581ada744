"""A small server that responds to the official client and records the requests and responses."""

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
# what differs from run to run in telemetry
_VOLATILE = {
    "timestamp": "2026-01-02T03:04:05.678901Z",
    "duration": "0:00:01.234567",
    "elapsed_time": 0.5,
    "exception_stack": "",
    "traceback": "",
}


def steady(value: Any, telemetry: bool = False) -> Any:
    """The value with everything replaced that differs from run to run."""
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


class Response:
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
                response = recording.respond(request)
                self.send_response(response.status)
                if response.type:
                    self.send_header("content-type", response.type)
                for name, value in response.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(response.raw)))
                self.end_headers()
                self.wfile.write(response.raw)

            do_GET = do_POST = do_PUT = do_DELETE = _handle

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def respond(self, request: Request) -> Response:
        key = f"{request.method} {request.path}"
        for pattern, route in self.routes.items():
            if re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), key):
                found = route(request)
                response = found if isinstance(found, Response) else Response(found)
                break
        else:
            response = Response({"detail": "Not Found"}, 404)
        exchange = {
            "request": {
                "method": request.method,
                "path": request.path,
                **({"query": request.query} if request.query else {}),
                "headers": {name: request.headers[name] for name in HEADERS if name in request.headers},
                **_body(request.raw, request.headers.get("content-type", ""), request.path),
            },
            "response": {
                "status": response.status,
                **({"headers": response.headers} if response.headers else {}),
                **_body(response.raw, response.type, request.path),
            },
        }
        with self._lock:
            self.exchanges.append(exchange)
        return response

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
