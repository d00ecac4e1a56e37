"""The way back of a browser that signed in here to the dashboard that sent it, which must be one that is trusted."""

from __future__ import annotations

import html
import logging
import secrets
import string
from pathlib import Path
from urllib.parse import unquote_plus, urlsplit

from starlette.responses import Response

from stackyard.core.call import Call
from stackyard.core.errors import BadRequest, ServiceUnavailable, Unauthorized

log = logging.getLogger("stackyard.identity")

_PAGE = """<!DOCTYPE html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <title>Signing in</title>
  </head>
  <body>
    <form id="sso" action="$host" method="post">
      <p>You are signed in, and on your way to the dashboard.</p>
      <input type="hidden" name="token" id="token" value="$token">
      <noscript><input type="submit" value="Continue"></noscript>
    </form>
    <script nonce="$nonce">document.getElementById("sso").submit();</script>
  </body>
</html>
"""


def origin(call: Call) -> str:
    """The dashboard that the query names; BadRequest without one, Unauthorized for one that is not trusted."""
    given = call.query.get("origin")
    if not given:
        raise BadRequest("Request must have an origin query parameter")
    # Dashboards quote it twice, as Keystone expects.
    host = unquote_plus(given)
    trusted = {_with_low_host(url) for url in call.runtime.settings.federation.trusted_dashboard}
    if _with_low_host(host) not in trusted:
        raise Unauthorized(f"{host[:255]} is not a trusted dashboard host")
    return host


def _with_low_host(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    return parts._replace(netloc=parts.netloc.lower()).geturl()


def page(template: str, host: str, token: str) -> Response:
    """A page that sends the browser there with the token; from the operator's file `template`, else our own.

    Raises ServiceUnavailable when that file cannot be read or filled in.
    """
    nonce = secrets.token_urlsafe(16)
    try:
        source = Path(template).read_text(encoding="utf-8") if template else _PAGE
        values = {"host": html.escape(host), "token": html.escape(token), "nonce": nonce}
        body = string.Template(source).substitute(values)
    except (OSError, ValueError, KeyError):
        raise ServiceUnavailable(
            "The page that leads back to the dashboard cannot be made; see the server's log."
        ) from None
    headers = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff"}
    if not template:
        policy = f"default-src 'none'; script-src 'nonce-{nonce}'; base-uri 'none'; frame-ancestors 'none'"
        headers["Content-Security-Policy"] = policy
    return Response(body, media_type="text/html; charset=utf-8", headers=headers)
