"""TensorFlow Lite files: their tensors, quantization and operators as plain data, every offset checked before use."""

from fixedsim.importers.tflite.file import read_tflite as read_tflite
from fixedsim.importers.tflite.graph import Graph as Graph
from fixedsim.importers.tflite.graph import Operator as Operator
from fixedsim.importers.tflite.graph import Option as Option
from fixedsim.importers.tflite.graph import Tensor as Tensor
