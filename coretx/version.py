"""The version, where pyproject.toml and every record read it (SemVer)."""

__version__ = "0.1.0"
