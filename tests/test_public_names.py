import unitune


def test_public_names_are_these_and_all_exist():
    assert set(unitune.__all__) == {
        *("tune", "resume", "compare", "load", "export", "verify", "Result", "Listener", "Ray"),
        "register_lift",
        *("Int", "Float", "Choice", "Fixed"),
        *("HyperParameters", "HyperModel", "Objective"),
        *("RandomSearch", "GridSearch", "BayesianOptimization", "Hyperband"),
        *("UnituneError", "InputError", "DataError", "SpaceError", "OptionError", "FusionError", "RunFolderError"),
        *("SaveError", "TrainingError"),
    }
    for name in unitune.__all__:
        assert getattr(unitune, name).__doc__
        assert name in dir(unitune)


def test_there_is_a_version():
    assert unitune.__version__[0].isdigit()


def test_an_unknown_name_is_an_attribute_error():
    assert not hasattr(unitune, "tuna")
