"""The version, in one place: the package, its metadata and what it writes all take it from here."""

import importlib.metadata

VERSION = "0.1.0"


def version_of(*packages: str) -> str:
    """Names of packages, each in place of the one before it, in; the first that is installed, and its version, out."""
    for package in packages:
        try:
            return f"{package} {importlib.metadata.version(package)}"
        except importlib.metadata.PackageNotFoundError:
            continue
    return f"{packages[0]} of an unknown version"
