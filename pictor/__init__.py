"""pictor: search any photo collection by meaning, in English or Chinese, on your own machine."""

from library.errors import PictorError
from library.records import Hit
from pictor.api import OpenLibrary, open_library

__all__ = ["Hit", "OpenLibrary", "PictorError", "open_library"]
__version__ = "0.1.0"
