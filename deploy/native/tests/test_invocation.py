import subprocess
import sys
from pathlib import Path

import pytest
from native_stack.errors import NativeError
from native_stack.invocation import Invocation

BECOME = """
import sys
from native_stack.invocation import Invocation
SAY = "import os, sys; print(os.environ['ONLY'], 'HOME' in os.environ); sys.exit(10)"
Invocation([sys.executable, "-c", SAY], {"ONLY": "x"}).become()
"""


def test_the_exit_code_and_the_environment_are_the_commands_own() -> None:
    done = subprocess.run([sys.executable, "-c", BECOME], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (10, "x False\n")


def test_a_command_that_is_not_installed_is_named(tmp_path: Path) -> None:
    with pytest.raises(NativeError, match=r"missing does not exist\. Is everything installed"):
        Invocation([str(tmp_path / "missing")], {}).become()
