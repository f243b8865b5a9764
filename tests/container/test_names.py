"""Names and signals, as docker takes them."""

from __future__ import annotations

import signal

import pytest
from pydock_engine.container.names import ADJECTIVES, SURNAMES, check_name, random_name
from pydock_engine.container.options import RunOptions
from pydock_engine.container.signals import signal_number, stop_signal
from pydock_engine.errors import UsageError
from pydock_engine.oci.image import ContainerConfig


def test_the_words_are_lowercase_and_unlike() -> None:
    for words in (ADJECTIVES, SURNAMES):
        assert len(set(words)) == len(words) > 100
        assert all(word.isascii() and word.islower() and word.isalpha() for word in words)


def test_a_random_name_is_two_words_and_later_a_number() -> None:
    first, second = random_name().split("_")
    assert first in ADJECTIVES
    assert second in SURNAMES
    assert random_name(8)[-1].isdigit()


@pytest.mark.parametrize("name", ["web", "/web", "a.b-c_d", "0x", "A" * 200])
def test_docker_takes_these_names(name: str) -> None:
    assert check_name(name) == name.removeprefix("/")


@pytest.mark.parametrize("name", ["", "a", "-x", "_x", "a b", "a/b", "ä1", "a\n", "//x", "A" * 201])
def test_docker_takes_no_such_names(name: str) -> None:
    with pytest.raises(UsageError, match="invalid container name"):
        check_name(name)


@pytest.mark.parametrize(
    ("text", "number"),
    [("KILL", 9), ("SIGKILL", 9), ("sigint", 2), ("9", 9), (15, 15), ("RTMIN+3", 37)],
)
def test_signals_by_name_and_number(text: str | int, number: int) -> None:
    assert signal_number(text) == number


@pytest.mark.parametrize("text", ["", "0", "-1", "65", "99999999999", "NOPE", "RTMIN+99", "SIG"])
def test_what_is_no_signal(text: str) -> None:
    with pytest.raises(UsageError, match="invalid signal"):
        signal_number(text)


def test_the_stop_signal_is_the_options_the_images_or_term() -> None:
    image = ContainerConfig(stop_signal="SIGQUIT")
    assert stop_signal(RunOptions(image="i", stop_signal="INT"), image) == signal.SIGINT
    assert stop_signal(RunOptions(image="i"), image) == signal.SIGQUIT
    assert stop_signal(RunOptions(image="i"), ContainerConfig()) == signal.SIGTERM
