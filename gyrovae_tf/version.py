"""The version, in one place: the package, its metadata and what it writes all take it from here."""

VERSION = "0.1.0"
