"""Names the step of making a container in which the kernel said no."""

from __future__ import annotations

from types import TracebackType

from .. import errors


class step:
    """`with step("mount", "/proc"):` turns an OSError inside into a SyscallError of that name."""

    __slots__ = ("_call", "_detail")

    def __init__(self, call: str, detail: str = "") -> None:
        self._call = call
        self._detail = detail

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if isinstance(value, OSError):
            raise errors.SyscallError.from_os_error(self._call, value, self._detail) from value
