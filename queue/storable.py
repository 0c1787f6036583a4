"""Storable text: what a person types, without what a database cannot hold."""


def storable(text: str) -> str:
    """The text without null characters and halves of surrogate pairs, which PostgreSQL refuses."""
    return text.replace("\0", "").encode(errors="ignore").decode()


def is_storable(text: str) -> bool:
    """Whether anything in the ledger could be named so."""
    return storable(text) == text
