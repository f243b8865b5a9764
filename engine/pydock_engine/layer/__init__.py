"""Layers: compressed tars in, overlay-ready folders out, and back. Start at unpack.py.

Everything a layer says is hostile until proven harmless: see safe_paths.py and tarheader.py.
"""
