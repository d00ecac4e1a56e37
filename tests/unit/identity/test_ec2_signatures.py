"""Signatures of EC2 and S3 requests, against what other implementations make, and the times they are good at.

The vectors are what keystoneclient's Ec2Signer made; that of version 4 is also the one in Amazon's documentation. Drawn
requests are signed by botocore.
"""

from __future__ import annotations

import base64
import copy
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from botocore.auth import HmacV1Auth, S3SigV4Auth, SigV2Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from stackyard.core.errors import Unauthorized
from stackyard.services.identity.ec2 import signatures, times
from stackyard.services.identity.ec2.request import ec2_request, s3_request

SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
QUARTER, WEEK = timedelta(minutes=15), timedelta(days=7)
EC2 = {"host": "ec2.example:8773", "verb": "GET", "path": "/services/Cloud/", "headers": {}, "body_hash": ""}
SCOPE = "AK/20110909/us-east-1/iam/aws4_request"
VECTORS: dict[str, dict[str, Any]] = {
    "1": {
        **EC2,
        "params": {
            "SignatureVersion": "1",
            "Action": "Describe",
            "b": "ü 1",
            "Timestamp": "2026-01-31T12:00:00Z",
            "AWSAccessKeyId": "AK",
            "Number": 5,
        },
        "signature": "KrQsDAu4jkhN73pHIuIKQOnHss4=",
    },
    "2": {
        **EC2,
        "params": {
            "SignatureVersion": "2",
            "SignatureMethod": "HmacSHA256",
            "Action": "Describe",
            "b": "ü ~-_.*/1",
            "Timestamp": "2026-01-31T12:00:00Z",
            "AWSAccessKeyId": "AK",
            "Flag": True,
            "Number": 5,
        },
        "signature": "Q3oy/cCkOyX/aiixszaQ+Iv99qOmrze0Gdo9E2ZW0U4=",
    },
    "4": {
        **EC2,
        "verb": "POST",
        "path": "/",
        "params": {"Action": "Ignored"},
        "headers": {
            "Host": "iam.amazonaws.com ",
            "X-Amz-Date": "20110909T233600Z",
            "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
            "Authorization": f"AWS4-HMAC-SHA256 Credential={SCOPE}, SignedHeaders=content-type;host;x-amz-date, "
            "Signature=x",
        },
        "body_hash": "b6359072c78d70ebee1e81adcbab4f01bf2c23245fa365ef83fe8f1f955085e2",
        "signature": "ced6826de92d2bdeed8f846f0bf508e8559e98e4b0199114b84c54174deb456c",
    },
    "4 in the query, by an old client": {
        **EC2,
        "params": {
            "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
            "X-Amz-Credential": SCOPE,
            "X-Amz-Date": "20110909T233600Z",
            "X-Amz-SignedHeaders": "host",
            "Action": "ListUsers",
            "b": "x y",
        },
        "headers": {"Host": "iam.amazonaws.com:80", "User-Agent": "Boto/2.9.2 (linux2)"},
        "signature": "cd62715b360d7d2075bd7e4f3c297d8c5f0643beb7002c2a30ca4d004426dce4",
    },
}


@pytest.mark.parametrize("name", VECTORS)
def test_what_others_made(name: str) -> None:
    right = VECTORS[name]
    signatures.check_ec2(ec2_request(right), SECRET)
    for secret in (SECRET[:-1], ""):
        with pytest.raises(Unauthorized):
            signatures.check_ec2(ec2_request(right), secret)
    for change in ({"signature": right["signature"][:-1]}, {"signature": None}, {"signature": "ü"}):
        with pytest.raises(Unauthorized):
            signatures.check_ec2(ec2_request({**right, **change}), SECRET)


@pytest.mark.parametrize("name", [name for name in VECTORS if name != "1"])
def test_what_was_changed_after_signing(name: str) -> None:
    right = VECTORS[name]
    for change in ({"verb": "PUT"}, {"path": "/other"}, {"host": "other"}):
        if "host" in change and name != "2":
            continue  # of version 4 the header counts
        with pytest.raises(Unauthorized):
            signatures.check_ec2(ec2_request({**right, **change}), SECRET)
    if name != "4":
        with pytest.raises(Unauthorized):
            signatures.check_ec2(ec2_request({**right, "params": {**right["params"], "Action": "Delete"}}), SECRET)
    if name == "4":
        with pytest.raises(Unauthorized):
            signatures.check_ec2(ec2_request({**right, "body_hash": "0" * 64}), SECRET)
        moved = copy.deepcopy(right)
        moved["headers"]["X-Amz-Date"] = "20110910T233600Z"
        with pytest.raises(Unauthorized, match="date mismatch"):
            signatures.check_ec2(ec2_request(moved), SECRET)


@pytest.mark.parametrize("version", ["0", "3", "", "4"])
def test_versions_that_there_are_not(version: str) -> None:
    right = VECTORS["2"]
    params = {**right["params"], "SignatureVersion": version}
    with pytest.raises(Unauthorized, match="Unknown signature version"):
        signatures.check_ec2(ec2_request({**right, "params": params}), SECRET)
    with pytest.raises(Unauthorized, match="Unexpected signature format"):
        signatures.check_ec2(ec2_request({**right, "params": {"Timestamp": "2026-01-31T12:00:00Z"}}), SECRET)


def test_a_port_may_be_left_out_of_what_is_signed() -> None:
    right = {**VECTORS["2"], "host": "ec2.example"}
    credentials = Credentials("AK", SECRET)
    params = {name: str(value) for name, value in right["params"].items()}
    _, signature = SigV2Auth(credentials).calc_signature(
        AWSRequest(method="GET", url="http://ec2.example/services/Cloud/"), params
    )
    for host in ("ec2.example", "ec2.example:8773"):
        signatures.check_ec2(ec2_request({**right, "params": params, "host": host, "signature": signature}), SECRET)
    with pytest.raises(Unauthorized):
        signatures.check_ec2(ec2_request({**right, "params": params, "host": "[::bad", "signature": signature}), SECRET)


_WORDS = st.text(st.characters(min_codepoint=32, max_codepoint=0x24F, exclude_characters="\x7f"), max_size=20)
_NAMES = st.text("abcdefXYZ.0123456789-_", min_size=1, max_size=12)


@given(st.dictionaries(_NAMES, _WORDS, max_size=6), st.text(min_size=1, max_size=40).filter(lambda s: s.isprintable()))
def test_version_2_of_drawn_requests(parameters: dict[str, str], secret: str) -> None:
    params = {
        **parameters,
        "SignatureVersion": "2",
        "SignatureMethod": "HmacSHA256",
        "Timestamp": "2026-01-31T12:00:00Z",
    }
    request = AWSRequest(method="POST", url="https://cloud.example/services/Cloud")
    _, signature = SigV2Auth(Credentials("AK", secret)).calc_signature(request, params)
    described = {"host": "cloud.example", "verb": "POST", "path": "/services/Cloud", "params": params}
    signatures.check_ec2(ec2_request({**described, "signature": signature}), secret)


@given(st.dictionaries(_NAMES, _WORDS, max_size=6), st.binary(max_size=50))
def test_version_4_of_drawn_requests(parameters: dict[str, str], body: bytes) -> None:
    request = AWSRequest(method="GET", url="https://cloud.example/services/Cloud", params=parameters, data=body)
    signer = SigV4Auth(Credentials("AK", SECRET), "ec2", "RegionOne")
    signer.add_auth(request)
    header = request.headers["Authorization"]
    described = {
        "host": "cloud.example",
        "verb": "GET",
        "path": "/services/Cloud",
        "params": parameters,
        "headers": {**dict(request.headers.items()), "Host": "cloud.example"},
        "body_hash": signer.payload(request),
        "signature": header.rpartition("Signature=")[2],
    }
    signatures.check_ec2(ec2_request(described), SECRET)


def test_s3_of_both_versions() -> None:
    signer = S3SigV4Auth(Credentials("AK", SECRET), "s3", "RegionOne")
    request = AWSRequest(method="GET", url="https://s3.example/bucket/key", headers={"X-Amz-Date": "20260131T120000Z"})
    request.context["timestamp"] = "20260131T120000Z"
    signed = signer.string_to_sign(request, "whatever the service makes of the request")
    token = base64.urlsafe_b64encode(signed.encode()).decode()
    signature = signer.signature(signed, request)
    lines = signatures.check_s3(s3_request({"token": token, "signature": signature}), SECRET)
    assert lines[1] == "20260131T120000Z"
    old = HmacV1Auth(Credentials("AK", SECRET))
    text = "GET\n\n\nSat, 31 Jan 2026 12:00:00 GMT\n/bucket/key"
    given_old = {"token": base64.urlsafe_b64encode(text.encode()).decode(), "signature": old.sign_string(text)}
    assert signatures.check_s3(s3_request(given_old), SECRET)[0] == "GET"
    for change in ({"signature": "x"}, {"token": token[:-8]}, {"token": ""}, {"token": "%%%"}, {"token": "_w=="}):
        with pytest.raises(Unauthorized):
            signatures.check_s3(s3_request({"token": token, "signature": signature, **change}), SECRET)


@pytest.mark.parametrize(
    "text",
    [
        "AWS4-HMAC-SHA256\n20260131T120000Z\n20260131/r/s3/aws4_request",
        "AWS4-HMAC-SHA1\n20260131T120000Z\n20260131/r/s3/aws4_request\nx",
        "AWS4-HMAC-SHA256\n20260131T120000Z\n20260131/r/ec2/aws4_request\nx",
        "AWS4-HMAC-SHA256\n20260131T120000Z\n20260131/r/s3/other\nx",
        "AWS4-HMAC-SHA256\n20260201T120000Z\n20260131/r/s3/aws4_request\nx",
    ],
)
def test_what_is_no_s3_request(text: str) -> None:
    token = base64.urlsafe_b64encode(text.encode()).decode()
    with pytest.raises(Unauthorized):
        signatures.check_s3(s3_request({"token": token, "signature": "x"}), SECRET)


def _at(stamp: str, **more: Any) -> dict[str, Any]:
    return {"params": {"SignatureVersion": "2", "Timestamp": stamp}, **more}


@pytest.mark.parametrize(
    ("given_request", "good"),
    [
        (_at("2026-01-31T12:00:00Z"), True),
        (_at("2026-01-31T12:00:00"), True),
        (_at("2026-01-31T11:45:00Z"), True),
        (_at("2026-01-31T11:44:59Z"), False),
        (_at("2026-01-31T12:15:00Z"), True),
        (_at("2026-01-31T12:15:01Z"), False),
        (_at("2026-01-31T13:00:00+01:00"), True),
        (_at("yesterday"), False),
        (_at(""), False),
        (_at("9999-12-31T23:59:59-23:59"), False),
        ({"params": {"SignatureVersion": "2"}}, False),
        ({"params": {"SignatureVersion": "2", "Expires": "2026-01-31T12:10:00Z"}}, True),
        ({"params": {"SignatureVersion": "2", "Expires": "2026-01-31T11:59:00Z"}}, False),
        ({"params": {"SignatureVersion": "2", "Expires": "2026-02-28T12:00:00Z"}}, False),
    ],
)
def test_when_a_request_is_good(given_request: dict[str, Any], good: bool) -> None:
    if good:
        assert times.ec2_end(ec2_request(given_request), NOW, QUARTER) >= NOW
        return
    with pytest.raises(Unauthorized):
        times.ec2_end(ec2_request(given_request), NOW, QUARTER)


def test_version_4_goes_by_the_time_that_it_signed() -> None:
    header = {"Authorization": "AWS4-HMAC-SHA256 Credential=x", "X-Amz-Date": "20260131T100000Z"}
    old = {"headers": header, "params": {"Timestamp": "2026-01-31T12:00:00Z", "Expires": "2026-01-31T12:01:00Z"}}
    with pytest.raises(Unauthorized, match="expired"):
        times.ec2_end(ec2_request(old), NOW, QUARTER)
    with pytest.raises(Unauthorized):
        times.ec2_end(ec2_request({"headers": {"Authorization": "AWS4-HMAC-SHA256 x"}}), NOW, QUARTER)
    query = {"X-Amz-Algorithm": "AWS4-HMAC-SHA256", "X-Amz-Date": "20260131T115900Z"}
    for seconds, good in (("30", False), ("90", True), ("600000", True)):
        asked = ec2_request({"params": {**query, "X-Amz-Expires": seconds}})
        if good:
            assert times.ec2_end(asked, NOW, QUARTER) <= NOW + QUARTER
        else:
            with pytest.raises(Unauthorized, match="expired"):
                times.ec2_end(asked, NOW, QUARTER)


@pytest.mark.parametrize(
    ("lines", "good"),
    [
        (["AWS4-HMAC-SHA256", "20260131T120000Z", "s", "h"], True),
        (["AWS4-HMAC-SHA256", "20260126T120000Z", "s", "h"], True),
        (["AWS4-HMAC-SHA256", "20260124T115959Z", "s", "h"], False),
        (["AWS4-HMAC-SHA256", "20260131T121501Z", "s", "h"], False),
        (["AWS4-HMAC-SHA256", "today", "s", "h"], False),
        (["GET", "", "", "Sat, 31 Jan 2026 12:00:00 GMT", "/b"], True),
        (["GET", "", "", "Sat, 31 Jan 2026 11:40:00 GMT", "/b"], False),
        (["GET", "", "", "Sat, 31 Jan 2026 12:20:00 GMT", "/b"], False),
        (["GET", "", "", "", "x-amz-date:Sat, 31 Jan 2026 12:00:00 GMT", "/b"], True),
        (["GET", "", "", "", "x-amz-date:Sat, 31 Jan 2026 10:00:00 GMT", "/b"], False),
        (["GET", "", "", str(int(NOW.timestamp()) + 60), "/b"], True),
        (["GET", "", "", str(int(NOW.timestamp()) - 60), "/b"], False),
        (["GET", "", "", str(int(NOW.timestamp()) + 8 * 86400), "/b"], False),
        (["GET", "", "", "99999999999", "/b"], False),
        (["GET", "", "", "", "/b"], False),
        (["GET"], False),
        ([""], False),
    ],
)
def test_when_an_s3_request_is_good(lines: list[str], good: bool) -> None:
    if good:
        times.check_s3(s3_request({}), lines, NOW, QUARTER, WEEK)
        return
    with pytest.raises(Unauthorized):
        times.check_s3(s3_request({}), lines, NOW, QUARTER, WEEK)


def test_an_s3_request_that_says_its_time_is_held_to_it() -> None:
    lines = ["AWS4-HMAC-SHA256", "20260131T120000Z", "s", "h"]
    for said in ({"headers": {"X-Amz-Date": "20260131T110000Z"}}, {"params": {"Timestamp": "2026-01-31T11:00:00Z"}}):
        with pytest.raises(Unauthorized, match="expired"):
            times.check_s3(s3_request(said), lines, NOW, QUARTER, WEEK)


def test_addresses_are_what_they_seem() -> None:
    # What the test above takes for granted of the library it signs with.
    request = AWSRequest(method="GET", url="https://cloud.example/services/Cloud?a=1")
    assert dict(parse_qsl(urlsplit(request.url).query)) == {"a": "1"}
