"""Separators, header rows and comments of tables in text."""

from __future__ import annotations

import pytest

from normlab.data.layout import lay_out

ROWS = [["1.5", "x", "0"], ["2.5", "y", "1"], ["-1.5", "x", "0"]]


def _text(rows: list[list[str]], separator: str) -> bytes:
    return "".join(separator.join(row) + "\n" for row in rows).encode()


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("comma", [False, True])
def test_separators(separator: str, comma: bool) -> None:
    rows = [["a", "b", "y"], *([cell.replace(".", ",") if comma else cell for cell in row] for row in ROWS)]
    if separator == ",":
        rows = [[f'"{cell}"' for cell in row] for row in rows]
    found = lay_out(_text(rows, separator))
    assert (found.separator, found.names) == (separator, ["a", "b", "y"])
    assert found.rows == _text(rows[1:], separator)
    assert found.notes == () if separator == "," else len(found.notes) == 1


@pytest.mark.parametrize(
    ("text", "separator", "names"),
    [
        ("a,b;c\n1,x;y\n2,z;w\n3,p\n", ",", ["a", "b;c"]),  # semicolons inside cells
        ("0,5;1,5;p\n1,5;2,5;q\n", ";", ["1", "2", "3"]),  # commas as often as semicolons
        ('name|y\n"a, b"|1\n"c, d"|2\n', "|", ["name", "y"]),
        ("y\n1\n2\n", ",", ["y"]),
        ("sep=;\na;b\n1,5;2\n", ";", ["a", "b"]),
        ('"a\nb",y\n1,2\n', ",", ["a\nb", "y"]),
        ('"x"\t"y"\n"1"\t5.1\t3\n"2"\t4.1\t2\n', "\t", ["", "x", "y"]),  # row names, as R writes them
        ("a b y\n1  2 0\n 3 4   1\n", "\t", ["a", "b", "y"]),
        ('1.5   2.5   3\t"big car"\n1.0   3.5   3\t"car"\n', "\t", ["1", "2", "3", "4"]),
        ('1.5 2.5 "big car"\n1.0   3.5 "car"\n', "\t", ["1", "2", "3"]),
    ],
)
def test_separator_and_names(text: str, separator: str, names: list[str]) -> None:
    found = lay_out(text.encode())
    assert (found.separator, found.names) == (separator, names)


@pytest.mark.parametrize(
    ("first", "is_header"),
    [
        ("a,b,y", True),
        ("2.5,x,1", False),
        ("2,x,1", False),
        ("0,1,2", True),  # as pandas names columns of arrays
        ("1990,1991,1992", True),
        ("?,x,1", False),
        ("name,x,1", True),  # a name above numbers
        ("7,z,1", True),  # z occurs nowhere below, so it may be a name
        ("7.25,z,1", False),  # a name has no decimals
        ("a,b,1", True),
        (",b,y", True),
    ],
)
def test_the_first_row_is_data_where_it_is_like_the_others(first: str, is_header: bool) -> None:
    found = lay_out(first.encode() + b"\n" + _text(ROWS, ","))
    assert (found.names == first.split(",")) == is_header
    assert found.names == (first.split(",") if is_header else ["1", "2", "3"])
    assert found.rows.count(b"\n") == (3 if is_header else 4)
    assert ("The file has no header row: its columns are called 1 to 3." in found.notes) == (not is_header)


@pytest.mark.parametrize("num_blank", [0, 2])
def test_comments_around_the_table_are_left_out(num_blank: int) -> None:
    blank = "\n" * num_blank
    found = lay_out(f"# of 2020, from x\n{blank}a,y\n1,2\n#3,4\n{blank}# end\n{blank}# 2 rows\n".encode())
    assert (found.names, found.rows.strip()) == (["a", "y"], b"1,2\n#3,4")
    assert found.notes == ("3 comment lines were left out.",)


def test_a_commented_header_is_a_header() -> None:
    found = lay_out(b"# from x\n# a,b,y\n" + _text(ROWS, ","))
    assert found.names == ["a", "b", "y"]
    assert found.rows == _text(ROWS, ",")


def test_rows_that_all_begin_like_comments_are_rows() -> None:
    text = b"#ff0000,1\n#00ff00,2\n#ff0000,1\n"
    assert lay_out(text).rows == text
