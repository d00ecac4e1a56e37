"""Baking without packages: paths, what is left out, what apt says, recipes."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

import pytest

from stackyard.bake import bake, build_archive, recipe_digest, recipes
from stackyard.bake.images import RECIPES
from stackyard.bake.layer import image_path, is_dropped, write_layer
from stackyard.bake.packages import Package, parse_uris
from stackyard.bake.recipe import Recipe, User
from stackyard.host.errors import SpecError


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("./bin/sh", "usr/bin/sh"),
        ("./lib64/ld.so", "usr/lib64/ld.so"),
        ("./usr/bin/x", "usr/bin/x"),
        ("./library/x", "library/x"),
        ("./var/run/x", "run/x"),
        ("./var/running", "var/running"),
        ("./", ""),
        ("./etc/", "etc"),
    ],
)
def test_usr_is_merged(name: str, path: str) -> None:
    assert image_path(name) == path


def test_documentation_is_left_out_but_licences_stay() -> None:
    assert is_dropped("usr/share/doc/nginx/README")
    assert is_dropped("usr/share/man/man1/x.1.gz")
    assert is_dropped("etc/init.d/nginx")
    assert not is_dropped("usr/share/doc/nginx/copyright")
    assert not is_dropped("usr/lib/x.so")
    assert is_dropped("usr/lib/x/gconv/y.so", ["usr/lib/*/gconv/*"])


def test_what_apt_prints() -> None:
    text = (
        "Reading package lists...\nThe following NEW packages will be installed:\n"
        "'http://deb.example/pool/n/nginx_1.2-3_amd64.deb' nginx_1.2-3_amd64.deb 531468 SHA256:00\n"
        "'http://deb.example/z_1%253a1_amd64.deb' zlib1g_1%3a1.2_amd64.deb 86684 MD5Sum:11\n"
    )
    assert parse_uris(text) == [
        Package("nginx", "nginx_1.2-3_amd64.deb", 531468),
        Package("zlib1g", "zlib1g_1%3a1.2_amd64.deb", 86684),
    ]


def test_there_are_the_well_known_images() -> None:
    assert {"busybox", "cirros", "mysql", "nginx", "wordpress"} <= set(recipes())


def test_an_image_without_a_recipe_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="no recipe for the image 'emacs'"):
        bake(["emacs"], None, tmp_path, print)


def test_what_is_cached_is_not_built_again(tmp_path: Path) -> None:
    cached = tmp_path / f"busybox-{recipe_digest(RECIPES['busybox'])}.tar"
    cached.write_bytes(b"built before")
    said: list[str] = []
    assert build_archive("busybox", tmp_path, said.append) == cached
    assert said == []


def test_a_changed_recipe_is_another_image() -> None:
    digests = {recipe_digest(recipe) for recipe in RECIPES.values()}
    assert len(digests) == len(RECIPES)


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_a_recipes_scripts_are_shell(name: str, tmp_path: Path) -> None:
    scripts = [text for text in RECIPES[name].files.values() if text.startswith("#!/bin/sh")]
    for text in scripts:
        path = tmp_path / "script"
        path.write_text(text)
        assert subprocess.run(["sh", "-n", path]).returncode == 0


def test_a_layer_has_the_recipes_files_and_their_owners(tmp_path: Path) -> None:
    user = User("web", 33, "/srv")
    recipe = Recipe(
        name="x",
        packages=(),
        users=(user,),
        directories={"srv/data": user},
        files={"usr/bin/run": "#!/bin/sh\n", "etc/x.conf": "a\n"},
        links={"etc/link": "x.conf", "etc/found": "usr/bin/r*"},
    )
    first, second = tmp_path / "1.tar", tmp_path / "2.tar"
    write_layer(first, recipe, [])
    write_layer(second, recipe, [])
    assert first.read_bytes() == second.read_bytes()
    with tarfile.open(first) as layer:
        entries = {member.name: member for member in layer}
        assert (entries["bin"].linkname, entries["var/run"].linkname) == ("usr/bin", "/run")
        assert (entries["srv/data"].uid, entries["srv/data"].isdir()) == (33, True)
        assert (entries["usr/bin/run"].mode, entries["etc/x.conf"].mode) == (0o755, 0o644)
        assert (entries["etc/link"].linkname, entries["etc/found"].linkname) == ("x.conf", "/usr/bin/run")
        assert entries["tmp"].mode == 0o1777
        passwd = layer.extractfile("etc/passwd") or io.BytesIO()
        assert b"web:x:33:33::/srv:/usr/sbin/nologin\n" in passwd.read()
