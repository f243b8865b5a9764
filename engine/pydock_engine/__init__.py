"""pydock_engine: pulls images, keeps layers, runs containers. Start at `Engine` in engine.py.

Knows nothing of notebooks: no IPython, no pandas, no ipywidgets.
"""

__version__ = "0.1.0"
