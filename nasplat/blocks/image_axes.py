"""Axes."""
from nasplat.space.load import Typed
def axes(task: Typed):
    return {}
