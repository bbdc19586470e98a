"""Which two photos show the same person, and which do not: CSV, or LFW's pairs.txt."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from facewatch.errors import UnusableLabels

_MOST_PAIRS = 1_000_000
_SAME = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


@dataclass(frozen=True, slots=True)
class Pair:
    """Two photos; *fold* is the set that the file puts them in, 0 where it has no sets."""

    left: Path
    right: Path
    same: bool
    fold: int = 0


def load_pairs(path: Path, images: Path | None) -> list[Pair]:
    """The pairs of *path*: with *images* it is LFW's pairs.txt over that folder, else CSV.

    Relative paths in CSV start at the CSV file's folder.

    Raises:
        UnusableLabels: it cannot be read, is of another format, names a photo that is not
            there, or holds over a million pairs; says in which line.
    """
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise UnusableLabels(f"{path} cannot be read: {error.strerror}", "check PAIRS") from None
    except UnicodeDecodeError:
        raise UnusableLabels(f"{path} is no text", "save it as UTF-8") from None
    if images is not None and not images.is_dir():
        raise UnusableLabels(f"{images} is no folder", "name LFW's folder of people with --images")
    pairs: list[Pair] = []
    for pair in _lfw(path, text, images) if images is not None else _csv(path, text):
        if len(pairs) == _MOST_PAIRS:
            raise UnusableLabels(f"{path} holds over {_MOST_PAIRS:,} pairs", "take a sample")
        pairs.append(pair)
    _refuse_one_sided(path, pairs)
    _refuse_missing(path, pairs)
    return pairs


def _csv(path: Path, text: str) -> Iterator[Pair]:
    rows = csv.DictReader(text.splitlines(), strict=True)
    try:
        if not {"left", "right", "same"} <= set(rows.fieldnames or ()):
            raise UnusableLabels(
                f"{path}: the first line does not name the columns left, right and same",
                "begin it with left,right,same, or say --images for LFW's pairs.txt",
            )
        for row in rows:
            same = _SAME.get((row["same"] or "").strip().lower())
            if same is None or not row["left"] or not row["right"]:
                raise UnusableLabels(
                    f"{path}, line {rows.line_num}: not left,right,same with same one of "
                    f"{', '.join(_SAME)}",
                    "correct the line",
                )
            yield Pair(path.parent / row["left"], path.parent / row["right"], same)
    except csv.Error as error:
        raise UnusableLabels(f"{path}, line {rows.line_num}: {error}", "correct the line") from None


def _lfw(path: Path, text: str, images: Path) -> Iterator[Pair]:
    """``name n m`` is the same person, ``name n name m`` are two; a first line tells the sets."""
    lines = [line.split() for line in text.splitlines()]
    each = 0
    for number, words in enumerate(lines, 1):
        if number == 1 and words and all(map(str.isdecimal, words)) and len(words) <= 2:
            each = 2 * int(words[-1]) if len(words) == 2 else 0
            continue
        fold = (number - 2) // each if each else 0
        match words:
            case []:
                continue
            case [name, one, two] if one.isdecimal() and two.isdecimal():
                yield Pair(_lfw_photo(images, name, one), _lfw_photo(images, name, two), True, fold)
            case [name, one, other, two] if one.isdecimal() and two.isdecimal():
                left, right = _lfw_photo(images, name, one), _lfw_photo(images, other, two)
                yield Pair(left, right, False, fold)
            case _:
                raise UnusableLabels(
                    f"{path}, line {number}: neither 'name n m' nor 'name n name m'",
                    "leave --images out for CSV",
                )


def _lfw_photo(images: Path, name: str, number: str) -> Path:
    return images / name / f"{name}_{int(number):04}.jpg"


def _refuse_one_sided(path: Path, pairs: list[Pair]) -> None:
    same = sum(it.same for it in pairs)
    if min(same, len(pairs) - same) < 2:
        raise UnusableLabels(
            f"{path} holds {same} pairs of one person and {len(pairs) - same} of two",
            "give at least two of each",
        )


def _refuse_missing(path: Path, pairs: list[Pair]) -> None:
    photos = {photo for it in pairs for photo in (it.left, it.right)}
    missing = sorted(str(it) for it in photos if not it.is_file())
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise UnusableLabels(
            f"{path} names {missing[0]}{more}, which is not there", "check the paths"
        )
