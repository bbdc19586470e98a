"""Addresses with passwords in them, as people write them."""

import pytest
from factories import a_camera

from facewatch.domain.urls import redact, split_credentials
from facewatch.errors import InvalidRequest
from facewatch.stream.sources import open_source

ADDRESSES = [
    "rtsp://admin:s3/cret@10.0.0.7/main",
    "rtsp://admin:s3#cret@10.0.0.7/main",
    "rtsp://admin:s3?cret@10.0.0.7:554/main",
    "rtsp://admin:s3[cret@10.0.0.7/main",
]
"""What urlsplit takes for a path, a query or an IPv6 address."""


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_password_that_would_be_taken_for_a_path_is_refused_and_not_shown(address: str) -> None:
    with pytest.raises(InvalidRequest, match="%2F") as refused:
        split_credentials(address)
    assert "cret" not in str(refused.value)
    assert "cret" not in redact(f"{address} failed")


@pytest.mark.parametrize(
    "address",
    ["rtsp://10.0.0.7:554/a@b", "rtsp://[fe80::1]:554/a@b", "rtsp://host/a@b", "videos/a@b.mp4"],
)
def test_an_at_in_the_path_is_no_password(address: str) -> None:
    assert split_credentials(address) == (address, None)


def test_a_password_among_the_words_of_the_path_is_not_shown() -> None:
    shown = repr(a_camera(url="rtsp://10.0.0.7/user=admin&password=s3cret&channel=1"))
    assert "s3cret" not in shown
    assert "channel=1" in shown


@pytest.mark.parametrize(
    "address", ["rtsp://", "rtsp:///main", "rtsp://host:99999/", "rtsp://h:x/"]
)
def test_an_address_without_a_host_is_refused(address: str) -> None:
    with pytest.raises(InvalidRequest, match="names no host"):
        open_source(a_camera(url=address), looks_per_s=5)
