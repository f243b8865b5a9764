"""The registry of the tests serves what was pushed, with each kind of door."""

from __future__ import annotations

from pathlib import Path

import pytest
import urllib3

from tests.support.images import OCI_INDEX, entry, make_image, make_index, tar
from tests.support.registry import PASSWORD, USER, Registry, serve_registry

pytestmark = pytest.mark.network
IMAGE = make_image([tar([entry("hello", data=b"hello\n")])])


def get_index(registry: Registry, password: str) -> urllib3.BaseHTTPResponse:
    headers = {"Accept": OCI_INDEX}
    if password:
        headers |= urllib3.make_headers(basic_auth=f"{USER}:{password}")
    certificate = str(registry.certificate) if registry.certificate else None
    url = f"{registry.scheme}://{registry.host}/v2/team/hello/manifests/1"
    with urllib3.PoolManager(retries=False, ca_certs=certificate) as pool:
        return pool.request("GET", url, headers=headers)


@pytest.mark.parametrize("htpasswd", [False, True], ids=["anonymous", "basic"])
@pytest.mark.parametrize("tls", [False, True], ids=["http", "https"])
def test_what_is_pushed_is_served(tmp_path: Path, htpasswd: bool, tls: bool) -> None:
    index = make_index(IMAGE)
    with serve_registry(tmp_path, htpasswd=htpasswd, tls=tls) as registry:
        registry.push(index, "team/hello:1")
        served = get_index(registry, registry.password)
        assert served.data == index.manifest.data
        layer = IMAGE.layers[0]
        assert registry.blob_file(layer.digest).read_bytes() == layer.data


def test_a_wrong_password_is_refused(tmp_path: Path) -> None:
    with serve_registry(tmp_path, htpasswd=True) as registry:
        registry.push(IMAGE, "team/hello:1")
        assert get_index(registry, PASSWORD + "!").status == 401
        assert get_index(registry, "").status == 401
