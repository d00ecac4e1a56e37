"""A little OpenID Connect issuer on loopback: discovery, keys, and a token endpoint for the grants that clients use."""

from __future__ import annotations

import json
import threading
import time
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

AUDIENCE = "stackyard"


@cache
def rsa_key(name: str = "k1", bits: int = 2048) -> rsa.RSAPrivateKey:
    """The RSA key of that name: making one takes long, so the same is used again."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


class Issuer:
    """Serves until it is closed. `documents` are what it answers by path; `asked` the paths that were asked for."""

    def __init__(self) -> None:
        self.keys: dict[str, tuple[str, Any]] = {"k1": ("RS256", rsa_key())}
        self.asked: list[str] = []
        self.grants: list[dict[str, str]] = []
        self.broken = False
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/realm"
        self.documents: dict[str, Any] = {}
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def __enter__(self) -> Issuer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def document(self, path: str) -> Any:
        """What is at a path, or None."""
        if path in self.documents:
            return self.documents[path]
        if path == "/realm/.well-known/openid-configuration":
            return {"issuer": self.url, "jwks_uri": f"{self.url}/keys", "token_endpoint": f"{self.url}/token"}
        if path == "/realm/keys":
            return {"keys": [public(kid, algorithm, key) for kid, (algorithm, key) in self.keys.items()]}
        return None

    def claims(self, **more: Any) -> dict[str, Any]:
        """The claims of a token that is good; None takes one away."""
        now = int(time.time())
        claims = {"iss": self.url, "aud": AUDIENCE, "sub": "jo", "iat": now, "exp": now + 300, **more}
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, kid: str = "k1", headers: dict[str, Any] | None = None, **claims: Any) -> str:
        """A token signed with one of the keys."""
        algorithm, key = self.keys[kid]
        return jwt.encode(self.claims(**claims), key, algorithm, {"kid": kid, **(headers or {})})

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked.append(self.path)
                found = None if issuer.broken else issuer.document(self.path)
                if isinstance(found, str):
                    self.send_response(302)
                    self.send_header("Location", found)
                    self.end_headers()
                    return
                self._answer(404 if found is None else 200, found)

            def do_POST(self) -> None:
                sent = self.rfile.read(int(self.headers["Content-Length"])).decode()
                form = {name: values[0] for name, values in parse_qs(sent).items()}
                issuer.grants.append(form)
                if form.get("grant_type") == "password" and form.get("password") != "right":
                    self._answer(401, {"error": "invalid_grant"})
                    return
                name = form.get("username", "robot")
                token = issuer.token(sub=name, name=name, groups=["staff"])
                self._answer(200, {"access_token": token, "token_type": "Bearer", "id_token": token})

            def _answer(self, status: int, document: Any) -> None:
                data = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class's name)
                """Keep quiet."""

        return Handler


def public(kid: str, algorithm: str, key: Any) -> dict[str, Any]:
    """The public half of a key, as a key set has it."""
    kind = {
        rsa.RSAPrivateKey: jwt.algorithms.RSAAlgorithm,
        ec.EllipticCurvePrivateKey: jwt.algorithms.ECAlgorithm,
        ed25519.Ed25519PrivateKey: jwt.algorithms.OKPAlgorithm,
    }
    to_jwk = next(found.to_jwk for base, found in kind.items() if isinstance(key, base))
    return {**json.loads(to_jwk(key.public_key())), "kid": kid, "alg": algorithm, "use": "sig"}
