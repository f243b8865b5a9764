"""`python -I -S …/spawner/__main__.py ROOT RUN FOLDERS`: see launch.py, the only caller.

Runs as a script (isolated mode knows no packages yet), so it sets the import path first. The
parent leaves at once: the spawner belongs to init, not to the kernel that happened to start it.
"""

import os
import sys

if __name__ == "__main__":
    if os.fork():
        os._exit(0)
    os.closerange(4, os.sysconf("SC_OPEN_MAX"))  # whatever the client let its children inherit
    root, run, folders = sys.argv[1:]
    sys.path.extend(folders.split(os.pathsep))
    from pydock_engine.spawner.process import main

    main(root, run)
