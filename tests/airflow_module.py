"""Modules of the schedule, whose environment is another; those that need no Airflow can be read here."""

from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType

from native_stack.settings import REPOSITORY


def airflow_module(name: str) -> ModuleType:
    """Return a module of `pinflow_airflow` by its path."""
    spec = spec_from_file_location(f"airflow_{name}", REPOSITORY / f"airflow/src/pinflow_airflow/{name}.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
