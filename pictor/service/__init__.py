"""One library over HTTP, for one person's programs and browser: `pictor serve` (extra `serve`).

The names below are loaded when they are first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pictor.service.app import make_app as make_app
    from pictor.service.options import ServiceOptions as ServiceOptions
    from pictor.service.options import read_token as read_token
    from pictor.service.server import serve as serve
else:
    from pictor.library.exports import exports

    __getattr__, __dir__ = exports(__name__)
