"""The words pins are written with, read from words.toml."""

import tomllib
from importlib.resources import files

import msgspec


class People(msgspec.Struct, frozen=True):
    """Names that go together."""

    first_names: list[str]
    last_names: list[str]


class Theme(msgspec.Struct, frozen=True):
    """What is pinned in one category; `titles_elsewhere` are in other languages."""

    subjects: list[str]
    sentences: list[str]
    tags: list[str]
    titles_elsewhere: list[str]
    blogs: list[str]


class Words(msgspec.Struct, frozen=True):
    """All the words; `themes` by category."""

    adjectives: list[str]
    titles: list[str]
    closings: list[str]
    blog_endings: list[str]
    latin: People
    cyrillic: People
    themes: dict[str, Theme]


WORDS = msgspec.convert(tomllib.loads(files(__package__).joinpath("words.toml").read_text("utf-8")), Words)
