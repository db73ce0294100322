"""Files as people have them: what stands above the table, headers of numbers, row names, archives, workbooks."""

import bz2
import gzip
import io
import lzma
import zipfile

import numpy as np
import pandas as pd
import pytest

from unitune.data.csv_layout import has_header
from unitune.data.files import address_of, read_table
from unitune.errors import DataError, OptionError

TABLE = pd.DataFrame({"a": [0.5, -1.25, 2.75, 3.5], "b": [4, 5, 6, 9], "y": ["yes", "no", "yes", "no"]})
CSV = TABLE.to_csv(index=False)


def read(folder, text, **options):
    path = folder / "table.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_table(path, **options)


R_TABLE = 'a b y\n"1" 0.5 4 yes\n"2" -1.25 5 no\n"3" 2.75 6 yes\n"4" 3.5 9 no\n'


@pytest.mark.parametrize(
    "text",
    [
        R_TABLE,
        R_TABLE.replace(" ", "\t"),
        R_TABLE.replace(" ", ","),
        'a b y\n"Mazda RX4" 0.5 4 yes\n"Fiat 128" -1.25 5 no\n"Lotus" 2.75 6 yes\n"Volvo" 3.5 9 no\n',
        "a  b   y\n0.5 4  yes\n-1.25  5 no\n 2.75 6 yes\n3.5 9 no\n",
        "# made by X\n# 2024\n" + CSV,
        "% a comment\n\n" + CSV,
        "# made by X\n" + CSV + "# the end\n",
        "#a,b,y\n" + CSV.partition("\n")[2],
        "sep=,\n" + CSV,
        '"sep=;"\n' + TABLE.to_csv(index=False, sep=";"),
        "SEP=;\r\n" + TABLE.to_csv(index=False, sep=";", decimal=","),
        "Report of May\n\n" + CSV,
        "Report of May,,\nfor the board,,\n" + CSV,
        CSV.replace("\n", "\r"),
        CSV.replace("\n", "\r\n"),
        CSV.replace("yes\n", "yes,\n").replace("no\n", "no,\n"),
        CSV.replace("yes\n", "yes,\n"),
        CSV + "\nSource: the office\nDownloaded 2024\n",
        CSV + "\x1a",
        CSV + TABLE[1:].to_csv(index=False).partition("\n")[0] + "\n",
        "'a','b','y'\n" + "".join(f"'{a}','{b}','{y}'\n" for a, b, y in TABLE.to_numpy()),
        "a|b|y\n--- | ---: | :--\n" + "".join(f"{a}|{b}|{y}\n" for a, b, y in TABLE.to_numpy()),
        TABLE.to_csv(),
        b"\xef\xbb\xbf" + CSV.encode(),
    ],
)
def test_what_is_around_a_table_does_not_matter(tmp_path, text):
    found, _ = read(tmp_path, text)
    pd.testing.assert_frame_equal(found.reset_index(drop=True), TABLE, check_dtype=False)


def test_a_header_is_known_by_the_names_that_are_asked_for(tmp_path):
    words = "x,y\nred,up\nblue,down\nred,down\nblue,up\nx,y\n"  # words above the same words
    found, notes = read(tmp_path, words, word_columns=["y"])
    assert [*found.columns] == ["x", "y"]
    assert len(found) == 4
    assert "stands in it again" in " ".join(notes)
    found, notes = read(tmp_path, "lengths,lengths,what\n" + CSV, word_columns=["y"])
    pd.testing.assert_frame_equal(found, TABLE)
    assert "1 line above the table was left out" in " ".join(notes)
    _, notes = read(tmp_path, "a,a,y\n1,2,no\n3,4,yes\n")
    assert "several columns called `a`; the second is called `a.1`" in " ".join(notes)


def test_what_stands_in_a_large_file_is_found_as_it_is_read(tmp_path):
    rows = "".join(f"{i},{i / 7:.3f}\n" for i in range(40_000))
    found, _ = read(tmp_path, "# made by X\na,b\n-----\n" + rows + "# the end\n")
    assert found.shape == (40_000, 2)
    assert found["a"].tolist() == list(range(40_000))


def test_zeros_ahead_are_kept(tmp_path):
    found, _ = read(tmp_path, "zip,y\n00501,1\n10001,2\n00502,3\n")
    assert found["zip"].tolist() == ["00501", "10001", "00502"]


def test_row_names_are_said_and_lost_columns_are_never_silent(tmp_path):
    _, notes = read(tmp_path, R_TABLE)
    assert any("row names" in note for note in notes)
    with pytest.raises(DataError, match="must be a table"):
        read(tmp_path, "a,b,y\n1,2,3,4,5\n1,2,3,4,5\n1,2,3,4,5\n")


@pytest.mark.parametrize(
    ("rows", "names"),
    [
        ("0,1,2\n0.5,1.5,yes\n2.5,0.1,no\n", True),
        ("0,1,2,3\n0.5,1.5,0.2,1\n2.5,0.1,0.7,0\n0.5,1.5,0.2,1\n", True),
        ("2019,2020,2021\n0.5,1.5,2.5\n0.1,0.2,0.3\n", True),
        ("2019,2020,2021\n7,3,5\n12,40,8\n", True),
        ("country,2019,2020\nBern,1.5,2.5\nGraz,3,1\n", True),
        ("400.5,401.0,401.5\n0.1,0.2,0.3\n0.4,0.5,0.6\n", True),
        ("label,0,1,2,3,4\n7,0,255,3,9,0\n2,0,12,0,255,1\n", True),
        ("name,age\nAnna,34\nBob,28\n", True),
        ("a,b\nx,y\nz,y\n", True),
        ("1,2.5,0\n2,3.5,1\n", False),
        ("5.1,3.5,Iris-setosa\n4.9,3.0,Iris-setosa\n6.0,2.2,Iris-virginica\n", False),
        ("Anna,34,1\nBob,28,0\nCarl,51,1\n", False),
        ("p,x,s\ne,x,s\np,b,y\np,x,y\n", False),
        ("1,1,2\n3,4,5\n", False),
        ("63,1,145,233\n67,1,160,286\n41,0,130,204\n", False),
    ],
)
def test_a_header_is_told_by_types(tmp_path, rows, names):
    assert has_header([line.split(",") for line in rows.splitlines()]) == names
    found, notes = read(tmp_path, rows)
    assert len(found) == len(rows.splitlines()) - names
    assert found.columns[0] == (rows.split(",")[0] if names else "column_1")
    assert names or any("`header=True`" in note for note in notes)


def test_a_flag_decides_about_the_header(tmp_path):
    text = "1,1,2\n3,4,5\n"
    assert read(tmp_path, text, header=True)[0].columns.tolist() == ["1", "1.1", "2"]
    assert len(read(tmp_path, CSV, header=False)[0]) == len(TABLE) + 1


@pytest.mark.parametrize("word", ["None", "NA", "N/A", "null", "-"])
def test_words_for_missing_are_words_where_a_target_is_asked_for(tmp_path, word):
    text = f"a,y\n1,{word}\n2,x\n,x\n"
    kept = read(tmp_path, text, word_columns=["y"])[0]
    assert kept["y"].tolist() == [word, "x", "x"]
    assert kept["a"].isna().tolist() == [False, False, True]
    assert read(tmp_path, text)[0]["y"].isna().tolist() == [True, False, False]


def zipped(*names):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in names:
            archive.writestr(name, CSV)
    return packed.getvalue()


@pytest.mark.parametrize(
    "packed",
    [
        gzip.compress(CSV.encode(), mtime=0),
        bz2.compress(CSV.encode()),
        lzma.compress(CSV.encode()),
        zipped("folder/t.csv"),
        zipped("__MACOSX/._t.csv", "t.csv"),
    ],
    ids=["gz", "bz2", "xz", "zip", "zip of a Mac"],
)
def test_archives_are_unpacked(tmp_path, packed):
    pd.testing.assert_frame_equal(read(tmp_path, packed)[0], TABLE, check_dtype=False)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (zipped("a.csv", "b.csv"), "one table.*`a.csv`, `b.csv`.*Unpack it"),
        (gzip.compress(CSV.encode(), mtime=0)[:-12], "whole archive"),  # the test processes must collect the same names
        (b"\xd0\xcf\x11\xe0rest", "old Excel.*Save it as"),
        (b"<!DOCTYPE html><html>", "web page.*address of the file"),
        (b"@relation weather\n@attribute a real\n", "ARFF"),
        (b'{"a": 1, "y": "no"}\n{"a": 2, "y": "yes"}\n', "JSON.*read_json"),
        (b"1 1:0.5 3:2e-3\n0 2:1\n", "LIBSVM.*load_svmlight_file"),
        (CSV.encode() + b"1,2,no,extra\n", r"has 3 fields.*`1,2,no,extra` 4.*Correct or remove that line"),
        (CSV.encode() + b'"1,2,no\n' + b"3,4,no\n" * 3, "quotation mark that opens a field is never closed"),
    ],
    ids=["two tables", "cut off", "old Excel", "a web page", "ARFF", "JSON", "LIBSVM", "a long row", "an open quote"],
)
def test_what_cannot_be_read_says_what_to_do(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        read(tmp_path, content)


def test_workbooks(tmp_path):
    pytest.importorskip("openpyxl")
    path = tmp_path / "book.xlsx"
    with pd.ExcelWriter(path) as book:
        pd.DataFrame().to_excel(book, sheet_name="empty")
        TABLE.assign(y=["None", "x", "None", "x"]).to_excel(book, sheet_name="rows", index=False, startrow=2)
        book.sheets["rows"]["A1"] = "Report of May"
    found, notes = read_table(path, word_columns=["y"])
    assert found["y"].tolist() == ["None", "x", "None", "x"]
    np.testing.assert_array_equal(found["a"], TABLE["a"])
    assert any("sheet `rows`" in note for note in notes)


def test_addresses(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(CSV)
    found, _ = read_table(path.as_uri())
    pd.testing.assert_frame_equal(found, TABLE, check_dtype=False)
    assert address_of("https:/example.com/a.csv") == "https://example.com/a.csv"
    with pytest.raises(DataError, match=r"https://localhost:1/a\.csv"):
        read_table("https:/localhost:1/a.csv")
    with pytest.raises(DataError, match=r"gopher.*Download the file first"):
        read_table("gopher://example.com/a.csv")


@pytest.mark.parametrize("name", ["\\t", "tab", "\t"])
def test_a_tab_has_several_names(tmp_path, name):
    assert read(tmp_path, CSV.replace(",", "\t"), separator=name)[0].columns.tolist() == ["a", "b", "y"]
    with pytest.raises(OptionError, match="one character"):
        read(tmp_path, CSV, separator=";;")
