"""Running containers in the foreground, at every level."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from pydock_engine import errors
from pydock_engine.container.options import RunOptions
from pydock_engine.container.run import raise_for_status
from pydock_engine.engine import Engine

from tests.container.conftest import Run

pytestmark = [pytest.mark.root, pytest.mark.userns, pytest.mark.network]


def test_the_result_has_both_streams_and_the_exit_code(sh: Run) -> None:
    result = sh("echo out; echo err >&2; exit 3")
    assert (result.exit_code, result.stdout, result.stderr) == (3, "out\n", "err\n")
    assert not result.truncated
    assert result.duration_s > 0


def test_output_is_passed_on_while_the_program_runs(sh: Run) -> None:
    """The program waits for a line that only an answer to its output brings."""
    read, write = os.pipe()
    seen = []

    def answer(stream: str, data: bytes) -> None:
        seen.append((stream, data))
        os.write(write, b"go\n")

    try:
        result = sh("printf prompt; read line; echo $line", stdin=read, on_output=answer)
    finally:
        os.close(read)
        os.close(write)
    assert seen[0] == ("stdout", b"prompt")
    assert result.stdout == "promptgo\n"


def test_death_by_a_signal_is_128_and_its_number(sh: Run) -> None:
    assert sh("sh -c 'kill -KILL $$'; exit $?").exit_code == 137
    assert sh("trap - TERM; exec sh -c 'exit 7'").exit_code == 7


def test_a_cell_body_without_a_command_is_the_program(busybox: Engine, options: Callable) -> None:
    body = b'echo "$0 $HOME {x} $(echo nested)"\n'
    result = busybox.containers.run(options(), body=body)
    assert result.stdout == "sh /root {x} nested\n"


def test_a_shebang_names_the_interpreter(busybox: Engine, options: Callable) -> None:
    result = busybox.containers.run(options(), body=b"#!/bin/cat -n\nhello\n")
    assert result.stdout.splitlines()[1].split() == ["2", "hello"]


def test_the_interpreter_can_be_given(busybox: Engine, options: Callable) -> None:
    result = busybox.containers.run(options(), body=b"ab\n", interpreter="tr a-z A-Z")
    assert result.stdout == "AB\n"


def test_with_a_command_the_body_is_its_input(sh: Run) -> None:
    assert sh("read x; echo $x", body=b"data\n").stdout == "data\n"


def test_a_program_without_input_sees_its_end(sh: Run) -> None:
    assert sh("cat; echo done").stdout == "done\n"


def test_rm_leaves_no_trace(busybox: Engine, sh: Run) -> None:
    result = sh("true", rm=True)
    own = busybox.paths.container(result.container_id)
    assert busybox.containers.list(all=True) == []
    assert not own.base.exists()
    assert not own.run.exists()


def test_without_rm_it_stays_with_its_log(busybox: Engine, sh: Run) -> None:
    result = sh("echo kept", name="keeper")
    container = busybox.containers.get("keeper")
    assert container.id == result.container_id
    assert container.status == "exited"
    assert container.logs() == b"kept\n"
    assert not container.paths.run.exists()


@pytest.mark.parametrize("rm", [True, False])
def test_a_missing_command_is_127(busybox: Engine, options: Callable, rm: bool) -> None:
    wanted = options(command=("no-such-program",), rm=rm)
    with pytest.raises(errors.CommandNotFound, match="no-such-program") as caught:
        busybox.containers.run(wanted)
    assert caught.value.exit_status == 127
    left = busybox.containers.list(all=True)
    assert len(left) == (0 if rm else 1)
    if left:
        assert left[0].status == "created"
        assert "no-such-program" in left[0].state.error


def test_a_file_that_is_no_program_is_126(busybox: Engine, options: Callable) -> None:
    with pytest.raises(errors.CommandNotExecutable) as caught:
        busybox.containers.run(options(command=("/etc/passwd",), rm=True))
    assert caught.value.exit_status == 126


def test_a_taken_name_is_a_conflict_that_names_the_holder(sh: Run) -> None:
    first = sh("true", name="twice")
    with pytest.raises(errors.Conflict, match=first.container_id[:12]):
        sh("true", name="twice")


def test_a_timeout_ends_the_program_and_says_so(busybox: Engine, sh: Run) -> None:
    result = sh("echo before; sleep 60", timeout_s=0.2)
    assert result.timed_out
    assert result.stdout == "before\n"
    assert result.duration_s < 3
    assert busybox.containers.get(result.container_id).state.timed_out
    with pytest.raises(errors.ContainerTimeout) as caught:
        raise_for_status(result)
    assert caught.value.result is result


def test_a_timeout_lets_the_program_clean_up(sh: Run) -> None:
    result = sh("trap 'echo bye; exit 4' INT; while :; do sleep 0.05; done", timeout_s=0.3)
    assert (result.timed_out, result.exit_code, result.stdout) == (True, 4, "bye\n")


def test_a_bad_exit_code_can_be_raised(sh: Run) -> None:
    assert raise_for_status(sh("true")).exit_code == 0
    with pytest.raises(errors.ContainerError, match="exit code 9") as caught:
        raise_for_status(sh("exit 9"))
    assert caught.value.result.exit_code == 9


def test_captured_output_is_bounded_and_the_log_is_not(busybox: Engine, sh: Run) -> None:
    result = sh("head -c 300000 /dev/zero | tr '\\0' x", capture_bytes=1000)
    assert result.truncated
    assert result.stdout == "x" * 1000
    assert busybox.containers.get(result.container_id).logs() == b"x" * 300_000


def test_an_unknown_image_is_looked_for_and_reported(busybox: Engine, options: Callable) -> None:
    reference = options().image.rpartition("/")[0] + "/nothing:1"
    with pytest.raises(errors.ImageNotFound, match="nothing"):
        busybox.containers.run(options("true", image=reference))
    assert busybox.containers.list(all=True) == []


def test_a_missing_image_is_pulled(engine: Engine, options: Callable[..., RunOptions]) -> None:
    seen = []
    result = engine.containers.run(options("echo pulled"), on_progress=seen.append)
    assert result.stdout == "pulled\n"
    assert seen


def test_the_program_gets_its_signals_as_they_were(sh: Run) -> None:
    """Python ignores SIGPIPE and the spawner SIGINT; a program must inherit neither.

    (32 and 33 are glibc's own; its posix_spawn leaves them ignored.)
    """
    words = sh("exec grep -E 'SigIgn|SigBlk' /proc/self/status").stdout.split()
    ignored, blocked = int(words[3], 16), int(words[1], 16)
    assert (ignored & ~(0b11 << 31), blocked) == (0, 0)


def test_the_program_inherits_three_descriptors(sh: Run) -> None:
    """Counted by a program that opens one itself, for the folder."""
    assert sh("exec ls /proc/self/fd").stdout.split() == ["0", "1", "2", "3"]
