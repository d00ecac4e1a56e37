"""When a signed request was signed, and whether it is still good.

An EC2 request is good for a while around its own time, and once (see credentials/used.py). An S3 request carries what
an address signed in advance carries, and clients repeat the same one on purpose: a download asked for again, an address
signed once and handed out. So it is not refused for having been seen, but for its date alone, and that may be as old as
the oldest address signed in advance (a week, by S3's rules); how long a single one is good the service that serves it
sees. That service must itself be the cloud's administrator or have the role of a service to ask.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from stackyard.core.errors import Unauthorized
from stackyard.services.identity.ec2 import signatures
from stackyard.services.identity.ec2.request import Ec2Request, S3Request
from stackyard.services.identity.ec2.signatures import invalid


def ec2_end(request: Ec2Request, now: datetime, lifetime: timedelta) -> datetime:
    """Until when an EC2 request is good. Raises Unauthorized for one that is over, of the future, or without a time.

    The time is the one that the signature covers; others that a request may hold besides say nothing.
    """
    if request.parameter("SignatureVersion") is None and signatures.is_v4(request):
        signed_at = moment(signatures.v4_date(request))
        seconds = request.parameter("X-Amz-Expires")
        own = int(seconds) if seconds is not None and seconds.isdigit() and len(seconds) < 9 else None
        end = signed_at + (lifetime if own is None else min(lifetime, timedelta(seconds=own)))
    elif (stamp := request.parameter("Timestamp")) is not None:
        signed_at = moment(stamp)
        end = signed_at + lifetime
    elif (stamp := request.parameter("Expires")) is not None:
        end = moment(stamp)
        signed_at = end - lifetime
    else:
        raise invalid("The signed request does not say when it was signed, so that it would be good for ever.")
    _check(signed_at, end, now, lifetime)
    return end


def check_s3(request: S3Request, lines: list[str], now: datetime, lifetime: timedelta, presigned: timedelta) -> None:
    """Raise Unauthorized for an S3 request that is over or of the future, by what it signed and by what it says."""
    if lines[0].startswith("AWS4"):
        signed_at = moment(lines[1])
        _check(signed_at, signed_at + presigned, now, lifetime)
    else:
        _check_s3_version_1(lines, now, lifetime, presigned)
    said = request.headers.get("X-Amz-Date") or request.params.get("Timestamp") or request.params.get("X-Amz-Date")
    if said:
        _check(moment(str(said)), moment(str(said)) + lifetime, now, lifetime)


def _check_s3_version_1(lines: list[str], now: datetime, lifetime: timedelta, presigned: timedelta) -> None:
    """What version 1 signs: method, digest, type, then its date or, if signed in advance, the second that it ends."""
    date = lines[3] if len(lines) > 3 else ""
    if date.isdigit() and len(date) < 12:
        end = datetime.fromtimestamp(int(date), UTC)
        _check(end - presigned, end, now, lifetime)
        return
    own = [line.partition(":")[2] for line in lines[4:] if line.lower().startswith("x-amz-date:")]
    text = own[0].strip() if own else date
    try:
        signed_at = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        signed_at = moment(text)
    signed_at = signed_at if signed_at.tzinfo else signed_at.replace(tzinfo=UTC)
    _check(signed_at, signed_at + lifetime, now, lifetime)


def moment(text: str) -> datetime:
    """A time in ISO 8601, UTC where it names no zone; raises Unauthorized for what is none."""
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise invalid("Credential timestamp is invalid") from None


def _check(signed_at: datetime, end: datetime, now: datetime, lifetime: timedelta) -> None:
    if now > end:
        raise Unauthorized("Credential is expired")
    if signed_at > now + lifetime:
        raise Unauthorized("Credential timestamp is in the future")
