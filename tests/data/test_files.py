import gzip

import pandas as pd
import pytest

from unitune.data.csv_layout import find_decimal, find_separator
from unitune.data.csv_tables import find_encoding
from unitune.data.files import read_table
from unitune.errors import DataError, OptionError

TABLE = pd.DataFrame({"größe": [1.5, 2.25, None, 4.0], "ort": ["Köln", "Łódź", "a, b", "x"], "n": [1, 2, 3, 4]})


@pytest.mark.parametrize(
    ("separator", "decimal"),
    [(",", "."), (";", "."), ("\t", "."), ("|", "."), (";", ","), ("\t", ","), ("|", ",")],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_separator_decimal_and_encoding_are_found(tmp_path, separator, decimal, encoding):
    path = tmp_path / "table.csv"
    TABLE.to_csv(path, sep=separator, decimal=decimal, encoding=encoding, index=False)
    found, _ = read_table(path)
    pd.testing.assert_frame_equal(found, TABLE)


def test_western_european_text_is_read_and_said(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes("größe;straße\n1,5;Königsallee\n2,5;Müllerstraße\n".encode("cp1252"))
    found, notes = read_table(path)
    assert found["straße"].tolist() == ["Königsallee", "Müllerstraße"]
    assert any("cp1252" in note for note in notes)


def test_given_format_wins(tmp_path):
    path = tmp_path / "table.txt"
    path.write_bytes("a#b\n1,5#x\n".encode("cp1250"))
    found, notes = read_table(path, separator="#", decimal=",", encoding="cp1250")
    assert found["a"].tolist() == [1.5]
    assert notes == ()


def test_gzip_is_unpacked_whatever_its_name(tmp_path):
    path = tmp_path / "packed"
    path.write_bytes(gzip.compress(b"a,b\n1,2\n3,4\n"))
    found, _ = read_table(path)
    assert found["b"].tolist() == [2, 4]


def test_parquet_round_trip(tmp_path):
    path = tmp_path / "table.parquet"
    TABLE.to_parquet(path)
    found, _ = read_table(path)
    pd.testing.assert_frame_equal(found, TABLE)


def test_a_file_without_header_gets_names(tmp_path):
    path = tmp_path / "plain.csv"
    path.write_text("1,2.5,0\n2,3.5,1\n")
    found, notes = read_table(path)
    assert found.columns.tolist() == ["column_1", "column_2", "column_3"]
    assert len(found) == 2
    assert any("no header" in note for note in notes)


def test_question_marks_are_missing(tmp_path):
    path = tmp_path / "uci.csv"
    path.write_text("a, b\n1, ?\n?, x\n")
    found, _ = read_table(path)
    assert found["a"].isna().tolist() == [False, True]
    assert found["b"].isna().tolist() == [True, False]


def test_text_columns_keep_their_zeros(tmp_path):
    path = tmp_path / "codes.csv"
    path.write_text("code,n\n007,1\n,2\n")
    found, _ = read_table(path, text_columns=["code"])
    assert found["code"].tolist()[0] == "007"
    assert found["code"].isna().tolist() == [False, True]


def test_quoted_separators_do_not_mislead():
    assert find_separator('name;text\n1;"a, b, c"\n2;"d, e"\n') == ";"


def test_one_column_has_a_comma():
    assert find_separator("a\n1\n2\n") == ","


def test_decimal_comma_needs_a_whole_column_of_them():
    assert find_decimal([["a", "b"], ["1,5", "x"], ["2", "y"]], ";") == ","
    assert find_decimal([["a", "b"], ["1,5", "x"], ["no, never", "y"]], ";") == "."


def test_encoding_of_a_sample_cut_inside_a_character():
    assert find_encoding("a\nbb\nä".encode()[:-1]) == "utf-8"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        (b" \n \n", "it is empty"),
        (b"\x89PNG\r\n\x1a\n....", "picture"),
        (b"PK\x03\x04rest", "Excel"),
        (b"PAR1 and no more", "Parquet"),
        (b"a,b\x00c\n1,2\x003\n", "binary"),
        (b"a,b\n1,2\n1,2,3,4\n", "must be a table"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, content, message):
    path = tmp_path / "input.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_table(path)


def test_a_missing_file_names_its_neighbours(tmp_path):
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"no such file.*`table\.csv`"):
        read_table(tmp_path / "tabel.csv")


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match="it is a folder"):
        read_table(tmp_path)


@pytest.mark.parametrize(
    "options",
    [{"encoding": "klingon"}, {"separator": ";;"}, {"decimal": "x"}, {"separator": ",", "decimal": ","}],
)
def test_wrong_options_are_refused(tmp_path, options):
    path = tmp_path / "table.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(OptionError):
        read_table(path, **options)


def test_text_that_is_not_in_the_given_encoding_is_refused(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes("a,b\nä,2\n".encode("cp1252"))
    with pytest.raises(DataError, match="must be text in utf-8"):
        read_table(path, encoding="utf-8")
