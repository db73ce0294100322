import numpy as np
import pytest
from sklearn.model_selection import GroupShuffleSplit, KFold, LeaveOneGroupOut, ShuffleSplit, StratifiedKFold

from unitune.data.folds import make_folds
from unitune.data.load import dataset
from unitune.errors import DataError, OptionError

N = 60
rng = np.random.default_rng(0)
X = rng.normal(size=(N, 2))
BINARY = dataset(X, np.arange(N) % 3 == 0)
NUMBERS = dataset(X, rng.normal(size=N))
GROUPS = np.arange(N) // 4
GROUPED = dataset(X, np.arange(N) % 3 == 0, groups=GROUPS)
ROWS = np.arange(N)


def assert_partition(folds):
    np.testing.assert_array_equal(np.sort(np.concatenate([f.validation for f in folds])), ROWS)
    for fold in folds:
        np.testing.assert_array_equal(np.sort(np.concatenate([fold.train, fold.validation])), ROWS)


def as_lists(folds):
    return [(f.repeat, f.fold, f.train.tolist(), f.validation.tolist()) for f in folds]


@pytest.mark.parametrize("data", [BINARY, NUMBERS, GROUPED, dataset(X, NUMBERS.y, groups=GROUPS)])
def test_each_row_is_held_out_once_in_each_repeat(data):
    folds = make_folds(data, folds=5, repeats=2, seed=3)
    assert [(f.repeat, f.fold) for f in folds] == [(r, f) for r in range(2) for f in range(5)]
    for repeat in range(2):
        assert_partition([f for f in folds if f.repeat == repeat])
    assert as_lists(folds[:5]) != [(0, *rest) for _, *rest in as_lists(folds[5:])]


def test_classes_are_spread_evenly():
    for fold in make_folds(BINARY, folds=4, seed=0):
        assert BINARY.y[fold.validation].sum() == N // 3 // 4


def test_groups_stay_together():
    for data in (GROUPED, dataset(X, NUMBERS.y, groups=GROUPS)):
        for fold in make_folds(data, folds=3, seed=1):
            assert not set(GROUPS[fold.train]) & set(GROUPS[fold.validation])


def test_the_seed_decides():
    assert as_lists(make_folds(BINARY, folds=3, seed=5)) == as_lists(make_folds(BINARY, folds=3, seed=5))
    assert as_lists(make_folds(BINARY, folds=3, seed=5)) != as_lists(make_folds(BINARY, folds=3, seed=6))


def test_five_folds_without_being_asked():
    assert len(make_folds(BINARY, seed=0)) == 5


def test_time_order():
    for fold in make_folds(BINARY, folds=4, time_ordered=True, seed=0):
        assert fold.train.max() < fold.validation.min()


@pytest.mark.parametrize("share", [0.1, 0.25, 1 / 3, 0.5])
def test_validation_split_is_that_of_keras(share):
    (fold,) = make_folds(BINARY, validation_split=share, seed=0)
    cut = int(np.floor(N * (1.0 - share)))
    np.testing.assert_array_equal(fold.train, ROWS[:cut])
    np.testing.assert_array_equal(fold.validation, ROWS[cut:])


def test_a_fixed_hold_out_is_repeated_with_the_same_rows():
    held_out = np.arange(50, 60)
    folds = make_folds(BINARY, validation_rows=held_out, repeats=3, seed=0)
    assert [f.repeat for f in folds] == [0, 1, 2]
    for fold in folds:
        np.testing.assert_array_equal(fold.validation, held_out)
        np.testing.assert_array_equal(fold.train, np.arange(50))


def test_splitters_give_what_they_give_by_themselves():
    for splitter in (KFold(4), StratifiedKFold(3, shuffle=True, random_state=7)):
        expected = list(splitter.split(X, BINARY.y))
        folds = make_folds(BINARY, cv=splitter, seed=0)
        for fold, (train, validation) in zip(folds, expected, strict=True):
            np.testing.assert_array_equal(fold.train, train)
            np.testing.assert_array_equal(fold.validation, validation)


def test_splitters_use_groups():
    assert len(make_folds(GROUPED, cv=LeaveOneGroupOut(), seed=0)) == N // 4
    for fold in make_folds(GROUPED, cv=GroupShuffleSplit(2, random_state=0), seed=0):
        assert not set(GROUPS[fold.train]) & set(GROUPS[fold.validation])


def test_a_splitter_without_a_seed_takes_ours_and_stays_untouched():
    splitter = ShuffleSplit(2)
    one, two = (make_folds(BINARY, cv=splitter, repeats=2, seed=4) for _ in range(2))
    assert as_lists(one) == as_lists(two)
    assert as_lists(one)[0][2] != as_lists(one)[2][2]
    assert splitter.random_state is None


def test_pairs_of_rows_from_a_generator_serve_all_repeats():
    pairs = [(ROWS[10:], ROWS[:10]), (ROWS[:-10], ROWS[-10:])]
    folds = make_folds(BINARY, cv=(pair for pair in pairs), repeats=2, seed=0)
    assert [(f.repeat, f.fold) for f in folds] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    mask = ROWS < 10
    (fold,) = make_folds(BINARY, cv=[(~mask, mask)], seed=0)
    np.testing.assert_array_equal(fold.validation, ROWS[:10])


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (BINARY, {"folds": 21}, r"needs 21 rows of every class, but class True has 20. Use `folds=20`"),
        (NUMBERS, {"folds": 61}, "needs 61 rows"),
        (GROUPED, {"folds": 16}, "needs 16 groups, but there are 15"),
        (BINARY, {"validation_split": 0.999}, "both sides"),
        (BINARY, {"cv": LeaveOneGroupOut()}, "Give `groups=`"),
        (BINARY, {"cv": [(ROWS, ROWS[:5])]}, "at once"),
        (BINARY, {"cv": [(ROWS[1:], [60])]}, "between 0 and 59"),
        (BINARY, {"cv": [(ROWS[1:], [-1])]}, "got -1"),
        (BINARY, {"cv": [(ROWS[1:], [0, 0])]}, "distinct"),
        (BINARY, {"cv": [(ROWS[1:], [])]}, "no validation rows"),
        (BINARY, {"cv": [(ROWS[1:], [0.5])]}, "row numbers"),
        (BINARY, {"cv": [(ROWS[ROWS % 3 == 0], [1, 2])]}, "only True"),
    ],
)
def test_rows_that_do_not_allow_it(data, options, message):
    with pytest.raises(DataError, match=message):
        make_folds(data, seed=0, **options)


@pytest.mark.parametrize(
    ("data", "options"),
    [
        (BINARY, {"folds": 1}),
        (BINARY, {"folds": 2.5}),
        (BINARY, {"folds": True}),
        (BINARY, {"repeats": 0}),
        (BINARY, {"folds": 3, "cv": KFold(3)}),
        (BINARY, {"folds": 3, "validation_split": 0.2}),
        (BINARY, {"validation_split": 0.2, "validation_rows": [1]}),
        (BINARY, {"validation_split": 1.0}),
        (BINARY, {"validation_split": 0.2, "time_ordered": True}),
        (BINARY, {"cv": 5}),
        (BINARY, {"cv": []}),
        (BINARY, {"cv": [1, 2]}),
        (GROUPED, {"validation_split": 0.2}),
        (GROUPED, {"folds": 3, "time_ordered": True}),
    ],
)
def test_options_that_conflict_or_are_out_of_range(data, options):
    with pytest.raises(OptionError):
        make_folds(data, seed=0, **options)


def test_rare_classes_are_kept_in_training():
    y = np.array(["a"] * 20 + ["b"] * 20 + ["rare"] + ["few"] * 3)
    folds = make_folds(dataset(rng.normal(size=(len(y), 2)), y), folds=5, seed=0)
    assert all((y[fold.train] == "rare").any() and (y[fold.train] == "few").any() for fold in folds)
    held_out = np.sort(np.concatenate([fold.validation for fold in folds]))
    assert held_out.tolist() == [row for row in range(len(y)) if y[row] != "rare"]
    assert all(len(np.intersect1d(fold.train, fold.validation)) == 0 for fold in folds)
