"""Whose word on who a user is gets believed: what the settings may say."""

from __future__ import annotations

from pathlib import Path

import pytest

from stackyard.core import config
from stackyard.core.config_federation import ALGORITHMS, IssuerSetting, is_safe_url, issuer_setting
from stackyard.services.identity.federation.assertion import normal_name
from stackyard.services.identity.federation.oidc import keys


def loaded(tmp_path: Path, text: str) -> config.Settings:
    path = tmp_path / "settings.toml"
    path.write_text(f"[federation]\n{text}\n")
    return config.load(path, {})


def test_an_issuer() -> None:
    assert issuer_setting("https://a audience=x") == IssuerSetting("https://a", ("x",), "", ALGORITHMS)
    full = "https://a audience=x+y jwks_uri=https://b/keys algorithms=RS256+ES256"
    assert issuer_setting(full) == IssuerSetting("https://a", ("x", "y"), "https://b/keys", ("RS256", "ES256"))
    assert not [name for name in ALGORITHMS if name.startswith("HS") or name == "none"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a audience=x",
        "http://a.example.org audience=x",
        "https://a",
        "https://a audience=",
        "https://a audience=x more=y",
        "https://a audience=x algorithms=HS256",
        "https://a audience=x algorithms=none",
        "https://a audience=x algorithms=",
        "https://a audience=x jwks_uri=http://192.0.2.1/",
        "https://a audience=x jwks_uri=file:///etc/passwd",
    ],
)
def test_what_is_no_issuer(tmp_path: Path, text: str) -> None:
    with pytest.raises(ValueError, match=r"https|audience|known|algorithms"):
        issuer_setting(text)
    with pytest.raises(config.ConfigError, match="oidc_issuers"):
        loaded(tmp_path, f'oidc_issuers = ["{text}"]')


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://a/keys", True),
        ("http://127.0.0.1:5/keys", True),
        ("http://[::1]/keys", True),
        ("http://localhost/keys", True),
        ("http://localhost.example.org/keys", False),
        ("http://127.0.0.1.example.org/keys", False),
        ("http://127.0.0.1@example.org/keys", False),
        ("http://192.0.2.1/keys", False),
        ("https:///keys", False),
        ("ftp://a", False),
        ("file:///etc/passwd", False),
        ("http://[::1", False),
        ("", False),
    ],
)
def test_urls_that_nobody_in_between_can_change(url: str, safe: bool) -> None:
    assert is_safe_url(url) is safe


def test_an_issuer_elsewhere_does_not_lead_to_this_machine() -> None:
    far, near = issuer_setting("https://a audience=x"), issuer_setting("http://127.0.0.1:1 audience=x")
    assert keys._may_lead_to(far, "https://b/keys")
    assert not keys._may_lead_to(far, "http://127.0.0.1/keys")
    assert keys._may_lead_to(near, "http://127.0.0.1/keys")
    assert not keys._may_lead_to(near, "http://192.0.2.1/keys")


@pytest.mark.parametrize(
    "text",
    [
        'trusted_proxies = ["not an address"]',
        'trusted_proxies = ["192.0.2.0/33"]',
        'trusted_proxies = "192.0.2.7"',
        'trusted_dashboard = ["javascript:alert(1)"]',
        'attribute_mapping_default_schema_version = "4.0"',
        "default_authorization_ttl = -1",
    ],
)
def test_settings_that_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(config.ConfigError, match=text.split(" ", 1)[0]):
        loaded(tmp_path, text)


def test_nobody_is_believed_by_default_and_the_secret_stays_one(tmp_path: Path) -> None:
    default = config.Settings().federation
    assert (default.trusted_proxies, default.proxy_secret, default.oidc_issuers) == ((), "", ())
    set_ = loaded(tmp_path, 'proxy_secret = "hush"\ntrusted_proxies = ["192.0.2.7", "10.0.0.0/8"]')
    assert set_.federation.trusted_proxies == ("192.0.2.7", "10.0.0.0/8")
    assert set_.shown()["federation.proxy_secret"] == "***"
    assert "hush" not in repr(set_)
    by_variable = config.load(None, {"STACKYARD_FEDERATION_TRUSTED_PROXIES": "192.0.2.7, 192.0.2.8"})
    assert by_variable.federation.trusted_proxies == ("192.0.2.7", "192.0.2.8")


def test_names_of_attributes() -> None:
    names = ("OIDC-sub", "oidc-sub", "HTTP_OIDC_SUB", "HTTP-OIDC-Sub", "OIDC_sub")
    assert {normal_name(name) for name in names} == {"OIDC_SUB"}
