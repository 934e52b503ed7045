"""Property tests of your own quantizer, C model or test bench against fixedsim; needs the extra ``testing``.

Strategies for Hypothesis draw formats, casts, layers, models and what they read, corners first, and shrink to few bits
and small integers. :func:`assert_bit_exact` says where two implementations part.
"""

from importlib.util import find_spec

from fixedsim.errors import DependencyError

if find_spec("hypothesis") is None:
    raise DependencyError("hypothesis must be installed to draw examples; pip install 'fixedsim[testing]'")

from fixedsim.testing.cast import Cast as Cast
from fixedsim.testing.cast import casts as casts
from fixedsim.testing.cast import narrowings as narrowings
from fixedsim.testing.cast import requantizations as requantizations
from fixedsim.testing.comparison import assert_bit_exact as assert_bit_exact
from fixedsim.testing.datapath import Scope as Scope
from fixedsim.testing.datapath import accumulators as accumulators
from fixedsim.testing.datapath import linear_datapaths as linear_datapaths
from fixedsim.testing.datapath import lstm_datapaths as lstm_datapaths
from fixedsim.testing.format import formats as formats
from fixedsim.testing.function import activations as activations
from fixedsim.testing.input import inputs as inputs
from fixedsim.testing.input import states as states
from fixedsim.testing.layer import bidirectional_layers as bidirectional_layers
from fixedsim.testing.layer import embedding_layers as embedding_layers
from fixedsim.testing.layer import linear_layers as linear_layers
from fixedsim.testing.layer import lstm_layers as lstm_layers
from fixedsim.testing.network import models as models
from fixedsim.testing.network import networks as networks
from fixedsim.testing.profile import profiles as profiles
from fixedsim.testing.value import raws as raws
from fixedsim.testing.value import real_values as real_values
