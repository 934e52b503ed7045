"""Evaluation: text as tokens, perplexity of models and float networks, and how near a model's signals come."""

from fixedsim.evaluation.evaluate import Evaluation as Evaluation
from fixedsim.evaluation.evaluate import evaluate as evaluate
from fixedsim.evaluation.evaluate import log_probabilities as log_probabilities
from fixedsim.evaluation.text import Vocabulary as Vocabulary
from fixedsim.evaluation.text import read_tokens as read_tokens
from fixedsim.evaluation.text import read_vocabulary as read_vocabulary
