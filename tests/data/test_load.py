import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

from unitune.data.load import dataset, like
from unitune.errors import DataError, OptionError

rng = np.random.default_rng(0)
N = 40
FRAME = pd.DataFrame(
    {
        "age": rng.normal(40, 10, N),
        "city": np.array(["Köln", "Paris", "Łódź"])[rng.integers(0, 3, N)],
        "seen": pd.to_datetime("2020-01-01") + pd.to_timedelta(rng.integers(0, 10**6, N), unit="m"),
        "weight": rng.random(N),
        "patient": rng.integers(0, 8, N),
        "sick": np.array(["no", "yes"])[np.arange(N) % 2],
    }
)
X = rng.normal(size=(N, 3))
Y = np.arange(N) % 2


def same_rows(one, other):
    assert one.x.keys() == other.x.keys()
    for name in one.x:
        np.testing.assert_array_equal(one.x[name], other.x[name])
    np.testing.assert_array_equal(one.y, other.y)


def test_arrays_keep_shape_and_value():
    images = rng.integers(0, 256, (N, 4, 5, 3), dtype=np.uint8)
    data = dataset(images, Y)
    assert data.x.shape == (N, 4, 5, 3)
    assert data.x.dtype == np.float32
    np.testing.assert_array_equal(data.x, images)
    assert data.schema is None
    assert data.raw_schema.shape == (4, 5, 3)


def test_large_numbers_that_overflow_only_together_are_fine():
    x = np.full((N, 2), 3e38, dtype=np.float32)
    assert np.isfinite(dataset(x, Y).x).all()


def test_the_users_array_is_not_shared():
    x = X.copy()
    data = dataset(x, Y)
    x[:] = 0
    np.testing.assert_array_equal(data.x, X)


def test_every_container_gives_the_same_rows(tmp_path):
    csv, parquet = tmp_path / "t.csv", tmp_path / "t.parquet"
    FRAME.to_csv(csv, index=False)
    FRAME.to_parquet(parquet)
    reference = dataset(FRAME, target="sick")
    polars = pl.from_pandas(FRAME)
    for x in (csv, str(parquet), polars, polars.lazy(), FRAME.to_dict("list")):
        same_rows(dataset(x, target="sick"), reference)
    same_rows(dataset(FRAME.drop(columns="sick"), FRAME["sick"]), reference)
    same_rows(dataset(polars.drop("sick"), polars["sick"]), reference)
    same_rows(dataset(FRAME, "sick"), reference)


def test_polars_is_imported_only_by_those_who_use_it():
    code = (
        "import sys; from unitune.data.load import dataset; dataset([[1], [2]], [0, 1]); print('polars' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_the_index_of_a_frame_plays_no_part():
    shuffled = FRAME.set_index(pd.Index(rng.permutation(N)))
    same_rows(dataset(shuffled, target="sick"), dataset(FRAME, target="sick"))


def test_columns_may_be_weights_groups_or_ignored():
    data = dataset(FRAME, target="sick", sample_weight="weight", groups="patient", ignore=["seen"])
    assert list(data.x) == ["age", "city"]
    np.testing.assert_array_equal(data.sample_weight, FRAME["weight"])
    assert pd.crosstab(data.groups, FRAME["patient"]).astype(bool).to_numpy().sum() == FRAME["patient"].nunique()


def test_several_targets():
    data = dataset(FRAME, target=["age", "weight"])
    assert data.task == "regression"
    assert data.n_outputs == 2
    np.testing.assert_array_equal(data.y, FRAME[["age", "weight"]])


def test_columns_may_be_named_by_numbers():
    data = dataset(pd.DataFrame(X).assign(**{"3": Y}), target=3)
    assert list(data.x) == ["0", "1", "2"]


def test_notes_say_what_was_inferred():
    notes = " ".join(dataset(FRAME, target="sick").notes)
    for word in ("binary", "`sick`", "no (20)", "probability of `yes`", "`age`", "`city`", "`seen`"):
        assert word in notes


def test_class_weight_is_kept_in_the_order_of_classes():
    assert dataset(X, FRAME["sick"], class_weight={"yes": 3.0}).class_weight.tolist() == [1.0, 3.0]
    assert dataset(X, Y, class_weight={"1": 2}).class_weight.tolist() == [1.0, 2.0]
    assert dataset(X, Y, class_weight="balanced").class_weight == "balanced"


def test_take_and_append():
    data = dataset(FRAME, target="sick", sample_weight="weight", groups="patient")
    rows = np.array([5, 3, 7])
    taken = data.take(rows)
    assert taken.n_rows == 3
    assert taken.x["city"].tolist() == FRAME["city"][rows].tolist()
    more = like(data, FRAME.head(4))
    joined = data.append(more)
    assert joined.n_rows == N + 4
    np.testing.assert_array_equal(joined.sample_weight[-4:], 1.0)
    assert not set(joined.groups[-4:]) & set(data.groups)
    same_rows(joined.take(np.arange(N)), data)


def test_fingerprint_follows_content_only():
    first = dataset(FRAME, target="sick")
    assert first.fingerprint == dataset(FRAME.copy(), target="sick").fingerprint
    changed = FRAME.copy()
    changed.loc[3, "city"] = "Rom"
    others = [
        dataset(changed, target="sick"),
        dataset(FRAME, target="sick", normalize=False),
        dataset(FRAME, target="sick", class_weight="balanced"),
        dataset(FRAME, target="sick", class_weight={"no": 2}),
        first.take(np.arange(N)[::-1]),
        dataset(X, Y),
    ]
    assert len({first.fingerprint, *(other.fingerprint for other in others)}) == 1 + len(others)


def test_like_reads_as_the_first_rows_were_read(tmp_path):
    data = dataset(FRAME, target="sick")
    path = tmp_path / "more.csv"
    FRAME.head(5).assign(city="Rom").to_csv(path, index=False)
    more = like(data, path)
    assert more.x["city"].tolist() == ["Rom"] * 5
    assert more.y.tolist() == data.y[:5].tolist()
    FRAME.to_csv(tmp_path / "first.txt", sep="#", index=False)
    other = tmp_path / "more.txt"
    other.write_bytes(path.read_bytes().replace(b",", b"#"))
    first = dataset(tmp_path / "first.txt", target="sick", separator="#")
    same_rows(like(first, other), more)
    array = dataset(X, Y)
    np.testing.assert_array_equal(like(array, X[:3], Y[:3]).x, X[:3])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((FRAME.drop(columns="city"), None), "`city` is missing"),
        ((FRAME.assign(sick="maybe"), None), "'maybe'"),
        ((FRAME.drop(columns="sick"), None), "name a column"),
        ((FRAME.head(0), None), "must have rows"),
        ((X, Y), "beside a table"),
        ((FRAME, Y[:3]), "same number of rows"),
    ],
)
def test_like_refuses_what_does_not_fit(arguments, message):
    first = dataset(FRAME, target="sick")
    x, y = arguments
    y = None if y is None else FRAME["sick"].to_numpy()[y]
    with pytest.raises(DataError, match=message):
        like(first, x, y)


def test_like_needs_a_target_and_the_same_features():
    first = dataset(X, Y)
    with pytest.raises(DataError, match=r"test_data=\(x, y\)"):
        like(first, X, what="test_data")
    with pytest.raises(DataError, match=r"\(40, 2\)"):
        like(first, X[:, :2], Y)


BAD_ARRAYS = [
    (lambda: dataset(np.where(X > 2, np.nan, X).clip(-1) * np.nan, Y), "120 NaN"),
    (lambda: dataset(np.where(np.arange(3) == 1, np.inf, X), Y), "infinite values, the first in row 0, column 1"),
    (lambda: dataset(np.full((N, 3), 1e300), Y), "finite"),
    (lambda: dataset(X, Y[:-1]), "got 40 and 39"),
    (lambda: dataset(X.astype(str)[:, :1] + np.array(["a"]), Y), r"numbers.*DataFrame"),
    (lambda: dataset([["a", 1.0]] * N, Y), "got 'a'"),
    (lambda: dataset([[1, 2], [3]], [0, 1]), "rectangular"),
    (lambda: dataset(3, Y), "array of rows"),
    (lambda: dataset(X.astype(complex), Y), "complex"),
    (lambda: dataset(np.zeros((0, 3)), []), "rows and features"),
    (lambda: dataset(np.zeros((N, 0)), Y), "rows and features"),
    (lambda: dataset(X), "must be a target"),
    (lambda: dataset(X, target="sick"), "only where `x` is a table"),
    (lambda: dataset(X, Y, sample_weight=-np.ones(N)), "not be negative"),
    (lambda: dataset(X, Y, sample_weight=np.full(N, np.nan)), "finite"),
    (lambda: dataset(X, Y, sample_weight=np.zeros(N)), "zero in every row"),
    (lambda: dataset(X, Y, sample_weight=np.ones(3)), "one number for each row"),
    (lambda: dataset(X, Y, sample_weight=["a"] * N), "numbers"),
    (lambda: dataset(X, Y, groups=[1, 2]), "got 2 for 40"),
    (lambda: dataset(X, Y, groups=[None] * N), "missing"),
    (lambda: dataset(X, Y, groups=np.ones(N)), "two groups"),
    (lambda: dataset(X, Y, class_weight={2: 1.0}), "got 2.*Classes: 0, 1"),
    (lambda: dataset(X, Y, class_weight={1: -1.0}), "not negative"),
    (lambda: dataset(X, Y, class_weight={1: "a"}), "to a number"),
    (lambda: dataset(X, Y, class_weight={0: 0, 1: 0}), "zero for every"),
    (lambda: dataset(X, X[:, 0], class_weight="balanced"), "regression"),
]


@pytest.mark.parametrize(("call", "message"), BAD_ARRAYS)
def test_bad_arrays(call, message):
    with pytest.raises(DataError, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: dataset(FRAME, target="sik"), "Did you mean `sick`"),
        (lambda: dataset(FRAME), r"must be a target.*Columns: age"),
        (lambda: dataset(FRAME.head(0), target="sick"), "it is empty"),
        (lambda: dataset(FRAME.assign(sick="no"), target="sick"), "at least two classes"),
        (lambda: dataset(FRAME.assign(sick=[None, *FRAME["sick"][1:]]), target="sick"), "missing"),
        (lambda: dataset(FRAME[["sick"]], target="sick"), "there are none"),
        (lambda: dataset(FRAME[["sick"]].assign(a=None), target="sick"), "`a`"),
        (lambda: dataset(FRAME.assign(age=np.inf), target="sick"), "column `age` has 40 of 40"),
        (lambda: dataset(FRAME, target="sick", groups="patien"), "Did you mean `patient`"),
        (lambda: dataset(FRAME, target="sick", ignore="nothing"), "`ignore` must name"),
        (lambda: dataset(Path("no such file.csv"), target="sick"), "no such file"),
        (lambda: dataset({"a": [1, 2], "b": [1]}, target="a"), "same number of rows"),
    ],
)
def test_bad_tables(call, message):
    with pytest.raises(DataError, match=message):
        call()


@pytest.mark.parametrize(
    "call",
    [
        lambda: dataset(FRAME, Y, target="sick"),
        lambda: dataset(FRAME, "sick", target="sick"),
        lambda: dataset(X, Y, normalize="always"),
        lambda: dataset(X, Y, separator=";"),
        lambda: dataset(X, Y, class_weight="equal"),
        lambda: dataset(X, Y, class_weight=3),
        lambda: dataset(FRAME, target=[]),
    ],
)
def test_conflicting_or_unknown_options(call):
    with pytest.raises(OptionError):
        call()


def test_ids_are_kept_and_are_no_features(tmp_path):
    data = dataset(FRAME, target="sick", id="patient", ignore=["seen", "patient"])
    assert data.ids == ("patient",)
    assert list(data.x) == ["age", "city", "weight"]
    with pytest.raises(DataError, match=r"`id` must name a column.*`patient`"):
        dataset(FRAME, target="sick", id="pattient")
    with pytest.raises(DataError, match="only where `x` is a table"):
        dataset(X, Y, id="patient")


def test_a_whole_number_names_a_column_of_a_table():
    frame = pd.DataFrame(np.c_[X[:, :2], Y], columns=[0, 1, 2])
    same_rows(dataset(frame, 2), dataset(frame, target=2))
    assert dataset(frame, np.int64(2)).target_name == "2"


def test_a_name_may_have_the_blanks_of_the_header(tmp_path):
    path = tmp_path / "adult.csv"
    path.write_text("age, income\n" + "30, <=50K\n50, >50K\n" * 5)
    assert dataset(path, target=" income", ignore=()).classes.tolist() == ["<=50K", ">50K"]


def test_a_class_called_none_is_a_class_in_later_rows_too(tmp_path):
    path = tmp_path / "sleep.csv"
    path.write_text("a,y\n" + "1,None\n2,NA\n3,x\n" * 5)
    data = dataset(path, target="y")
    assert data.classes.tolist() == ["NA", "None", "x"]
    assert like(data, path).y.tolist() == data.y.tolist()


def test_amounts_in_the_target_are_read_alike_later(tmp_path):
    path, later = tmp_path / "a.csv", tmp_path / "b.csv"
    path.write_text("a;y\n" + "".join(f"{n},5;1.0{n},50\n" for n in range(10, 40)))
    later.write_text("a;y\n1,5;1.234\n")
    data = dataset(path, target="y", task="regression")
    assert data.y[0, 0] == 1010.5
    assert like(data, later).y.tolist() == [[1234.0]]
