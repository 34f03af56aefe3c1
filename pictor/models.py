"""The models of this machine: `list`, `pull`, `verify`, `export`, `import_`, `remove`."""

__all__: list[str] = []
