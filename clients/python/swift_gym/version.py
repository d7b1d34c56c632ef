"""The package's version, for those who say it to others."""

__all__ = ["VERSION"]

VERSION = "0.1.0"
