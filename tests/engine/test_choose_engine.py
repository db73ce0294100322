import pytest

from unitune.engine.choose import choose_engine
from unitune.errors import OptionError


@pytest.mark.parametrize(("name", "expected"), [("auto", "fused"), ("fused", "fused"), ("solo", "solo")])
def test_engines_by_name(name, expected):
    assert choose_engine(name).name == expected


def test_an_unknown_engine_is_refused_with_close_matches():
    with pytest.raises(OptionError, match=r"got 'fuse'.*Did you mean `fused`"):
        choose_engine("fuse")
