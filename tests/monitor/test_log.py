"""The log: docker's format, nothing lost, whatever the chunks."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydock_engine.monitor.log import MAX_LINE_BYTES, LogWriter, split_lines
from pydock_engine.monitor.logreader import BLOCK_BYTES, read_block, read_entries, tail_offset

STREAMS = ("stdout", "stderr")


@pytest.fixture
def log(tmp_path: Path) -> Iterator[LogWriter]:
    writer = LogWriter(tmp_path / "container.log")
    yield writer
    writer.close()


def lines_of(log: LogWriter) -> list[dict[str, str]]:
    data = os.pread(log.fd, log.size, 0)
    return [json.loads(line) for line in data.splitlines()]


def test_a_line_is_an_entry_of_dockers(log: LogWriter) -> None:
    log.write("stdout", b"one\ntwo\n")
    first, second = lines_of(log)
    assert list(first) == ["log", "stream", "time"]
    assert (first["log"], first["stream"], second["log"]) == ("one\n", "stdout", "two\n")


def test_an_unfinished_line_waits_for_its_end(log: LogWriter) -> None:
    log.write("stdout", b"ha")
    log.write("stderr", b"other\n")
    assert (log.held("stdout"), [e["log"] for e in lines_of(log)]) == (b"ha", ["other\n"])
    log.write("stdout", b"lf\nrest")
    log.finish()
    assert [e["log"] for e in lines_of(log)] == ["other\n", "half\n", "rest"]


@pytest.mark.parametrize(
    "text", ['quote " and \\ and \\n', "\x00\x01\x1f\x7f\t\r", "ä€😀", "\\", "tab\\\n\\\\\n"]
)
def test_text_survives_json(log: LogWriter, text: str) -> None:
    log.write("stdout", text.encode() + b"\n")
    assert "".join(entry["log"] for entry in lines_of(log)) == text + "\n"


def test_bytes_that_are_no_text_are_kept_beside_it(log: LogWriter) -> None:
    log.write("stdout", b"ok\n\xff\xfe\n")
    good, bad = lines_of(log)
    assert "raw" not in good
    assert bad["log"] == "\ufffd\ufffd\n"
    assert [entry.data for entry in read_entries(log.fd)] == [b"ok\n", b"\xff\xfe\n"]


def test_a_long_line_is_cut_but_no_character_is(log: LogWriter) -> None:
    line = "€".encode() * 20_000
    log.write("stdout", line + b"\n")
    entries = lines_of(log)
    assert all("raw" not in entry for entry in entries)
    sizes = [len(entry["log"].encode()) for entry in entries]
    assert max(sizes) <= MAX_LINE_BYTES
    assert sizes[0] > MAX_LINE_BYTES - 4
    assert "".join(entry["log"] for entry in entries) == line.decode() + "\n"


chunks = st.lists(
    st.tuples(
        st.sampled_from(STREAMS),
        st.one_of(
            st.binary(max_size=300),
            st.text(max_size=100).map(str.encode),
            st.integers(1, 40_000).map(lambda n: b"x" * n),
            st.integers(1, 9_000).map(lambda n: b"ab\n" * n),
            st.integers(1, 9_000).map(lambda n: "€\\".encode() * n),
            st.integers(1, 30_000).map(lambda n: random.Random(n).randbytes(n)),
        ),
    ),
    max_size=12,
)


@given(chunks)
def test_whatever_is_written_can_be_read_again(
    tmp_path_factory: pytest.TempPathFactory, written: list[tuple[str, bytes]]
) -> None:
    log = LogWriter(tmp_path_factory.mktemp("log") / "container.log")
    expected = dict.fromkeys(STREAMS, b"")
    for stream, data in written:
        log.write(stream, data)
        expected[stream] += data
        assert len(log.held(stream)) <= MAX_LINE_BYTES
    log.finish()
    found = dict.fromkeys(STREAMS, b"")
    entries = list(read_entries(log.fd))
    for entry in entries:
        found[entry.stream] += entry.data
    assert found == expected
    assert log.size == os.fstat(log.fd).st_size
    ends = [n for n, entry in enumerate(entries[:-1]) if entry.log.endswith("\n")]
    for lines in (1, 2, 7):
        begin = ends[-lines] + 1 if lines <= len(ends) else 0
        assert list(read_entries(log.fd, tail_offset(log.fd, lines))) == entries[begin:]
    log.close()


def test_a_restart_appends(tmp_path: Path, log: LogWriter) -> None:
    log.write("stdout", b"first\n")
    again = LogWriter(tmp_path / "container.log")
    again.write("stdout", b"second\n")
    assert [entry.log for entry in read_entries(again.fd)] == ["first\n", "second\n"]
    again.close()


def test_an_entry_cut_short_by_a_kill_spoils_no_other(tmp_path: Path, log: LogWriter) -> None:
    log.write("stdout", b"first\n")
    os.write(log.fd, b'{"log":"ha')
    again = LogWriter(tmp_path / "container.log")
    again.write("stdout", b"second\n")
    assert [entry.log for entry in read_entries(again.fd)] == ["first\n", "second\n"]
    assert again.size == os.fstat(again.fd).st_size
    again.close()


def test_a_full_disk_loses_output_but_never_the_file(
    log: LogWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.write("stdout", b"before\n")
    real, room = os.write, [10, 0]

    def write(fd: int, data: bytes) -> int:
        if not room:
            return real(fd, data)
        if left := room.pop(0):
            return real(fd, data[:left])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", write)
    log.write("stdout", b"lost\n")
    log.write("stdout", b"after\n")
    monkeypatch.undo()
    assert log.failed == "No space left on device"
    assert [entry.log for entry in read_entries(log.fd)] == ["before\n", "after\n"]


def test_damaged_lines_are_left_out(tmp_path: Path, log: LogWriter) -> None:
    log.write("stdout", b"one\n")
    with open(tmp_path / "container.log", "ab") as file:
        file.write(b'{"log":\n' + b"z" * (BLOCK_BYTES + 5) + b"\nnull\n")
    again = LogWriter(tmp_path / "container.log")
    again.write("stdout", b"two\n")
    assert [entry.log for entry in read_entries(again.fd)] == ["one\n", "two\n"]
    again.close()


def test_a_block_ends_where_it_is_told(log: LogWriter) -> None:
    log.write("stdout", b"one\n")
    end = log.size
    log.write("stdout", b"two\n")
    entries, offset = read_block(log.fd, 0, end)
    assert ([entry.log for entry in entries], offset) == (["one\n"], end)


def test_lines_end_at_newlines_only() -> None:
    assert split_lines(b"a\rb\r\nc\x0b\x85d\n\ne") == [b"a\rb\r\n", b"c\x0b\x85d\n", b"\n", b"e"]
    assert split_lines(b"") == []
