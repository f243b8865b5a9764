"""The magics: thin doors to commands/. Importing this loads neither the engine nor pandas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from IPython.core.magic import Magics, line_cell_magic, line_magic, magics_class, no_var_expand
from traitlets import Bool, TraitError, Unicode, observe, validate

if TYPE_CHECKING:
    from pydock_engine.engine import Engine

    from .streaming import Allowance


@magics_class
class Pydock(Magics):
    """Containers in notebook cells; `%config Pydock` shows the options below."""

    root = Unicode(
        "", help="Where images and containers are kept; empty: $PYDOCK_ROOT, else the usual place."
    ).tag(config=True)
    default_image = Unicode(
        "", help="The image of a cell that names none; empty: made from this machine's Python."
    ).tag(config=True)
    raise_error = Bool(
        True, help="Whether a cell fails when its program ends with a non-zero status."
    ).tag(config=True)
    short_errors = Bool(
        True, help="Show errors as two lines (what, and what to do) instead of a traceback."
    ).tag(config=True)
    max_output = Unicode(
        "1m", help="How much of a program's output a cell shows; the log has the rest."
    ).tag(config=True)

    _engine: Engine | None = None
    _allowance: Allowance | None = None

    @no_var_expand
    @line_magic
    def image(self, line: str) -> Any:
        """Images: pull, ls, history, layers, inspect, rm.

        %image pull debian:12
        %image ls
        %image history debian:12

        `%image --help` lists the commands, `%image pull --help` tells about one.
        """
        return self._answer("image", line)

    @no_var_expand
    @line_cell_magic
    def container(self, line: str, cell: str | None = None) -> Any:
        """Run the cell in a container; or, on one line, look at containers and end them.

        %%container [OPTIONS] [IMAGE] [COMMAND] [ARG]...
        import platform; print(platform.node())

        %container ls -a
        %container logs NAME
        %container rm NAME

        OPTIONS are docker run's. With no IMAGE the default image is used; with no COMMAND the
        cell's body is the program (a first line `#!...` names its interpreter), with one it is
        the program's standard input. The body is handed over untouched: `$x` and `{x}` stay.

        `%container --help` lists the commands, `%container run --help` the options.
        """
        return self._answer("container", line, cell)

    @no_var_expand
    @line_magic
    def system(self, line: str) -> Any:
        """The engine itself: info, doctor, version.

        %system doctor
        """
        return self._answer("system", line)

    @property
    def engine(self) -> Engine:
        """The engine behind the magics; made with the first command, opens no process by itself."""
        if self._engine is None:
            from pydock_engine.engine import Engine

            self._engine = Engine(self.root or None)
        return self._engine

    @property
    def allowance(self) -> Allowance:
        """How much output may still be shown now; shared by all cells of this kernel."""
        if self._allowance is None:
            from .streaming import Allowance

            self._allowance = Allowance()
        return self._allowance

    def _answer(self, noun: str, line: str, body: str | None = None) -> Any:
        from .commands import execute
        from .short_errors import shortened

        with shortened(self):
            return execute(self, noun, line, body)

    @observe("root")
    def _forget_engine(self, _: object) -> None:
        self._engine = None

    @validate("max_output")
    def _check_size(self, proposal: dict[str, Any]) -> str:
        from pydock_engine.cli.values import parse_size
        from pydock_engine.errors import UsageError

        text: str = proposal["value"]
        try:
            parse_size(text)
        except UsageError as error:
            raise TraitError("; ".join(error.lines())) from None
        return text
