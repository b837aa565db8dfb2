"""Options of the whole test run, and the fixtures that several rooms share, each in a file of its own."""

import importlib.util
import sys
from pathlib import Path

SHARED = (
    "servers/hub.py",
    "servers/chat.py",
    "servers/served.py",
    "study.py",
    "untrained.py",
    "taught.py",
    "films.py",
)


def pytest_addoption(parser):
    parser.addoption("--ov-data", help="folder with the open-vocabulary lists that MER2024 gives out")


def pytest_configure(config):
    for file in SHARED:
        name = f"emo_tests_{Path(file).stem}"
        where = importlib.util.spec_from_file_location(name, Path(__file__).parent / file)
        module = sys.modules[name] = importlib.util.module_from_spec(where)
        where.loader.exec_module(module)
        config.pluginmanager.register(module, name)
