"""fixedsim: bit-exact fixed-point simulation of low-precision recurrent networks.

The names below are loaded when they are first used, so that importing the package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fixedsim.accounting import activations as activations
    from fixedsim.accounting import memory as memory
    from fixedsim.casts import Overflow as Overflow
    from fixedsim.casts import Rounding as Rounding
    from fixedsim.compiling import compile_kernels as compile_kernels
    from fixedsim.errors import FixedsimError as FixedsimError
    from fixedsim.evaluation import evaluate as evaluate
    from fixedsim.formats import Format as Format
    from fixedsim.hls_types import HlsType as HlsType
    from fixedsim.importers import export_network as export_network
    from fixedsim.importers import import_model as import_model
    from fixedsim.importers import import_network as import_network
    from fixedsim.importers import load_network as load_network
    from fixedsim.model import Model as Model
    from fixedsim.model import RunResult as RunResult
    from fixedsim.model import load_model as load_model
    from fixedsim.network import Description as Description
    from fixedsim.network import Network as Network
    from fixedsim.parting import compare_models as compare_models
    from fixedsim.planning import plan as plan
    from fixedsim.profiles import Profile as Profile
    from fixedsim.profiles import load_profile as load_profile
    from fixedsim.quantization import quantize as quantize
    from fixedsim.retargeting import retarget as retarget
    from fixedsim.widening import widen as widen
    from fixedsim.widening import widened_description as widened_description

_HOME = {
    "Overflow": "casts",
    "Rounding": "casts",
    "FixedsimError": "errors",
    "Format": "formats",
    "HlsType": "hls_types",
    "export_network": "importers",
    "import_model": "importers",
    "import_network": "importers",
    "load_network": "importers",
    "compare_models": "parting",
    "compile_kernels": "compiling",
    "retarget": "retargeting",
    "Model": "model",
    "RunResult": "model",
    "load_model": "model",
    "Description": "network",
    "Network": "network",
    "Profile": "profiles",
    "load_profile": "profiles",
    "evaluate": "evaluation",
    "quantize": "quantization",
    "activations": "accounting",
    "memory": "accounting",
    "plan": "planning",
    "widen": "widening",
    "widened_description": "widening",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'fixedsim' has no attribute {name!r}")
    return getattr(import_module(f"fixedsim.{_HOME[name]}"), name)
