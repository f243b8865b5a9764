"""Tests of pydock-magic: folders mirror the source tree, shared parts are in support/."""
