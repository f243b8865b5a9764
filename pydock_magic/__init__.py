"""pydock_magic: containers in notebook cells. `%load_ext pydock_magic` is where it starts.

magics.py has the magics, commands/ a module per noun, frames.py and display.py what is shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Registers %image, %container, %system and %%container.

    Starts no process and reads no disk; pandas and the engine come with the first command.
    """
    from .magics import Pydock

    shell.register_magics(Pydock)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Takes the magics away again; containers that run are not touched."""
    from .magics import Pydock

    for functions in shell.magics_manager.magics.values():
        for name, function in list(functions.items()):
            if isinstance(getattr(function, "__self__", None), Pydock):
                del functions[name]
    shell.magics_manager.registry.pop("Pydock", None)
    shell.configurables[:] = [c for c in shell.configurables if not isinstance(c, Pydock)]
