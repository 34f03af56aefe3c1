"""`pictor serve`: the library over HTTP, on this machine."""

from __future__ import annotations

import json
import webbrowser
from pathlib import Path

import click

from pictor import ConfigError
from pictor.cli.options import Target, Verb
from pictor.cli.output import say, write_line


@click.command(cls=Verb)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8760, show_default=True, help="0: a free one."
)
@click.option("--open", "opens", is_flag=True, help="Open the address in a browser.")
@click.option("--read-only", is_flag=True, help="Change nothing in the library.")
@click.option("--token-file", type=click.Path(), metavar="FILE", help="Keep the token there.")
@click.option("--allow-host", "allowed_hosts", multiple=True, metavar="NAME",
              help="Answer requests to this host, too.")  # fmt: skip
@click.option("--no-page", is_flag=True, help="Only answer programs.")
@click.option("--json", "as_json", is_flag=True, help="Print url, token and port on one line.")
@click.pass_obj
def serve(
    target: Target,
    /,
    host: str,
    port: int,
    opens: bool,
    read_only: bool,
    token_file: str | None,
    allowed_hosts: tuple[str, ...],
    no_page: bool,
    as_json: bool,
) -> None:
    """Serve the library over HTTP until Ctrl-C.

    Requests need the token that is printed at the start. Only this machine can reach the service;
    for another address, name it with --host and the name that others use with --allow-host: it is
    plain HTTP, so put a proxy with TLS in front of it.

    \b
        pictor serve
        pictor serve --port 0 --json --read-only
    """
    try:
        from pictor.service import ServiceOptions, read_token
        from pictor.service import serve as run
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"serving needs {error.name!r}: pip install 'pictor-search[serve]'"
        ) from error

    given = {} if token_file is None else {"token": read_token(Path(token_file).expanduser())}
    options = ServiceOptions(
        host=host,
        port=port,
        allowed_hosts=allowed_hosts,
        is_read_only=read_only,
        has_page=not no_page,
        **given,
    )

    def on_ready(own_port: int) -> None:
        name = f"[{host}]" if ":" in host else host
        url = f"http://{name}:{own_port}/"
        if as_json:
            write_line(json.dumps({"url": url, "token": options.token, "port": own_port}))
        else:
            say(f"serving {target.folder} at {url}#token={options.token}")
            if not options.is_loopback:
                say("this is plain HTTP: whoever listens on the network reads the token")
        if opens:
            webbrowser.open(f"{url}#token={options.token}")

    with target.open() as library:
        library.status()  # a library that cannot be opened is said before anything is listened on
        run(library, options, on_ready)
