"""The console's lines, and what counts as the machine's last word."""

from __future__ import annotations

from tests.vm.__main__ import verdict
from tests.vm.machine import Console


def test_lines_are_whole_however_they_arrive() -> None:
    console = Console()
    assert console.feed(b"one\r\ntw") == ["one"]
    assert console.feed(b"o\r\n") == ["two"]


def test_the_status_is_read_across_two_pieces() -> None:
    console = Console()
    console.feed(b"=== root ===\r\npydock-vm: sta")
    assert console.status is None
    console.feed(b"tus 3\r\n")
    assert (console.status, verdict(console)) == (3, 3)


def test_a_status_in_the_middle_of_a_line_is_no_last_word() -> None:
    console = Console()
    console.feed(b"a test printed pydock-vm: status 0\r\n")
    assert console.status is None


def test_a_machine_without_a_last_word_has_failed() -> None:
    console = Console()
    console.feed(b"[ 3.5] Kernel panic - not syncing: Attempted to kill init!\r\n")
    assert verdict(console) == 1
