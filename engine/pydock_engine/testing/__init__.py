"""Fakes that are checked against the real thing, for this project's tests and its users'.

registry.py is a registry in this process, random_image.py makes images, jobs.py runs jobs in place.
"""
