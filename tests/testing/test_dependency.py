"""Without Hypothesis the package says what to install, and nothing else of the library needs it."""

import subprocess
import sys

WITHOUT = "import sys; sys.modules['hypothesis'] = None; "


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", WITHOUT + code], capture_output=True, text=True, check=False)


def test_the_extra_is_named() -> None:
    words = run("import fixedsim.testing").stderr.splitlines()[-1]
    assert words == (
        "fixedsim.errors.DependencyError: hypothesis must be installed to draw examples; "
        "pip install 'fixedsim[testing]'"
    )


def test_the_rest_of_the_library_does_without() -> None:
    done = run("import fixedsim; fixedsim.quantize; fixedsim.evaluate; fixedsim.load_network; fixedsim.Model")
    assert (done.returncode, done.stderr) == (0, "")
