"""Options of the whole test run."""


def pytest_addoption(parser):
    parser.addoption("--ov-data", help="folder with the open-vocabulary lists that MER2024 gives out")
