import re
from pathlib import Path

import unitune

REFERENCE = Path(__file__).parents[1] / "docs" / "reference" / "python" / "unitune.md"


def test_public_names_are_those_of_the_reference_and_all_exist():
    page = REFERENCE.read_text(encoding="utf-8")
    documented = {*re.findall(r"^::: unitune\.(\w+)$", page, re.MULTILINE), *re.findall(r"`(?:unitune\.)?(\w+)`", page)}
    assert set(unitune.__all__) == {name for name in documented if hasattr(unitune, name)} - {"unitune"}
    assert len(unitune.__all__) > 20
    for name in unitune.__all__:
        assert getattr(unitune, name).__doc__
        assert name in dir(unitune)


def test_there_is_a_version():
    assert unitune.__version__[0].isdigit()


def test_an_unknown_name_is_an_attribute_error():
    assert not hasattr(unitune, "tuna")
