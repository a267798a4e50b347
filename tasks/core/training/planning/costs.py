"""Reckons what training on the engine takes: memory, counted tensor by tensor, and seconds.

It is arithmetic on a model's shape, on what micro-batches hold, and on a card's speed. Time is the
matrix products' operations at the card's speed, the other parts' traffic at its bandwidth, and what
the processor takes to start all that. The constants named "measured" are those of an H200 with a 7B
shape, unless another one is named.
"""

from dataclasses import dataclass

from transformers import PreTrainedConfig

from tasks.core.settings.tree import Training
from tasks.core.training.engine.loss import chunk_rows
from tasks.core.training.engine.support import LINEAR
from tasks.core.training.hardware.machine import Machine, Speed
from tasks.core.training.rows.sequences import Packed

# bytes of an NF4 weight: 4 bits, and its share of the block's scale, which is quantized again
_NF4_BYTES = 0.5 + 1 / 64 + 4 / (64 * 256)
# how often a layer's kept numbers are read or written, forward and backward (fitted)
_TRAFFIC = 14
# how many operations of a large product take as long as one of attention over rows of 700 tokens
# (measured)
_ATTENTION = 5
# the processor's time, counted in kernels that it would start meanwhile (fitted to steps of
# SmolLM2's shape and the 7B's)
_LAYER_STARTS = 560  # a layer, forward and backward
_AGAIN_STARTS = 370  # a layer's forward pass for a second time
# gathering a layer's keys and values if beginnings are shared, forward and backward
_SHARING_STARTS = 110
# a layer's part in clipping, in the optimizer's step and in refreshing the adapter
_STEP_STARTS = 360
_DEQUANTIZE_STARTS = 17  # dequantizing a weight


@dataclass(frozen=True)
class Shape:
    """A decoder and its adapter, in numbers."""

    hidden: int
    intermediate: int
    layers: int
    heads: int
    query: int  # width of all heads
    key: int  # width of all key heads
    vocabulary: int
    tied: bool
    ranks: tuple[int, ...]  # of the adapters of LINEAR's modules; 0 for a module without one
    state_bytes: int  # of the optimizer, for each trained parameter
    number_bytes: int  # of an activation, and of a weight that is not NF4

    @property
    def weights(self) -> int:
        """The number of base weights in a layer's linear parts."""
        return self.hidden * (2 * self.query + 2 * self.key + 3 * self.intermediate)

    @property
    def adapter(self) -> int:
        """The number of trained parameters in all layers."""
        widths = (  # inputs and outputs of LINEAR's modules
            self.hidden + self.query,
            self.hidden + self.key,
            self.hidden + self.key,
            self.query + self.hidden,
            self.hidden + self.intermediate,
            self.hidden + self.intermediate,
            self.intermediate + self.hidden,
        )
        of_layer = sum(rank * width for rank, width in zip(self.ranks, widths, strict=True))
        return self.layers * of_layer

    def kept_by_attention(self, nf4: bool) -> int:
        """Returns how many numbers a layer's attention keeps of each token for its backward pass.

        The norm before the attention counts with it.
        """
        results = 1 if nf4 else 2  # if not NF4, one more stands beside the columns of o's adapter
        return (
            2 * self.hidden
            + (1 + results) * self.query
            + 2 * self.key
            + 2 * self.heads
            + sum(self.ranks[:4])
        )

    @property
    def kept_by_mlp(self) -> int:
        """How many numbers a layer's MLP, with the norm before it, keeps of each token."""
        return 2 * self.hidden + 2 * self.intermediate + sum(self.ranks[4:])


@dataclass(frozen=True)
class Dealt:
    """Steps dealt out to micro-batches: averages over the steps, and the most of a micro-batch."""

    packs: float
    tokens: float
    squares: float
    trained: float
    fullest: Packed  # the most of each number, perhaps of different micro-batches


def shape_of(config: PreTrainedConfig, training: Training, machine: Machine) -> Shape:
    """Returns the shape of a base with this configuration, of its adapter, on this machine."""
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return Shape(
        hidden=config.hidden_size,
        intermediate=config.intermediate_size,
        layers=config.num_hidden_layers,
        heads=config.num_attention_heads,
        query=config.num_attention_heads * width,
        key=config.num_key_value_heads * width,
        vocabulary=config.vocab_size,
        tied=config.tie_word_embeddings,
        ranks=tuple(training.rank_of(module) for module in LINEAR),
        state_bytes=2 if "8bit" in machine.optimizer else 8,
        number_bytes=machine.compute.itemsize,
    )


def peak_gib(
    shape: Shape, tokens: int, checkpointed: int, nf4: bool, fullest: Packed | None = None
) -> float:
    """Returns the most memory that a step takes, in GiB.

    fullest: the most of each number that a micro-batch holds; if it is None, all tokens are trained
    and no two of them are shared.
    """
    fullest = fullest or Packed(tokens, tokens, tokens, 0)
    size = shape.number_bytes
    linear = shape.layers * shape.weights * (_NF4_BYTES if nf4 else size)
    embeddings = shape.vocabulary * shape.hidden * size * (1 if shape.tied else 2)
    # float32 matrix and gradient, a copy to compute with, another beside the base's weights, state
    adapter = shape.adapter * (4 + 4 + 2 * size + shape.state_bytes)
    activations = _Activations(shape, tokens, nf4, fullest).peak_bytes(checkpointed)
    return (linear + embeddings + adapter + activations) / 2**30


@dataclass(frozen=True)
class _Activations:
    """What a micro-batch holds beside the weights, in numbers of `shape.number_bytes`."""

    shape: Shape
    tokens: int
    nf4: bool
    fullest: Packed

    def peak_bytes(self, checkpointed: int) -> int:
        """Returns the bytes at the moment when there are most of them.

        That moment is at the loss; or in the backward pass of the last layer, whose MLP computes
        only the tokens that predict a target; or in that of the layer before it.
        """
        shape, tokens, predicting = self.shape, self.tokens, self.fullest.targets
        layer = self._kept_by_layer(tokens)
        last = self._kept_by_layer(predicting)
        held = checkpointed * tokens * shape.hidden
        again = last
        if checkpointed < shape.layers:
            held += (shape.layers - 1 - checkpointed) * layer + last
            again = 0
        in_last = held + again + 2 * predicting * shape.hidden + self._in_backward(predicting)
        before = held + again - last + self._in_backward(tokens)
        if checkpointed >= shape.layers - 1:
            before += layer
        at_loss = shape.number_bytes * (held + 4 * predicting * shape.hidden) + self._logits_bytes
        return max(at_loss, shape.number_bytes * max(in_last, before))

    @property
    def _keys(self) -> int:
        return max(self.tokens, self.fullest.keys)

    def _kept_by_layer(self, count: int) -> int:
        """Returns the numbers that a layer keeps if its MLP computes so many tokens."""
        shape = self.shape
        gathered = 2 * (self._keys - self.tokens) * shape.key
        attention = self.tokens * shape.kept_by_attention(self.nf4) + gathered
        return attention + count * shape.kept_by_mlp

    def _in_backward(self, count: int) -> int:
        """Returns the numbers of a layer's backward pass if its MLP computes so many tokens."""
        shape, keys = self.shape, self._keys
        in_mlp = count * (3 * shape.intermediate + shape.hidden)
        if self.nf4:  # gate and up, dequantized
            widths = shape.intermediate + shape.hidden
            dequantizing = 2 * (count * widths + shape.hidden * shape.intermediate)
            in_mlp = max(in_mlp, dequantizing)
        expanded = 0  # keys' and values' gradients, for each query
        if shape.query > shape.key:
            expanded = keys * shape.query
        in_attention = (
            4 * self.tokens * shape.query
            + 2 * expanded
            + 2 * keys * shape.key
            - count * shape.kept_by_mlp
        )
        return max(in_mlp, in_attention)

    @property
    def _logits_bytes(self) -> int:
        """Bytes of the logits that exist at a time, in float32, and of their gradient."""
        shape = self.shape
        rows = min(self.fullest.targets, chunk_rows(shape.vocabulary))
        return (4 + shape.number_bytes) * shape.vocabulary * rows


def step_seconds(shape: Shape, dealt: Dealt, checkpointed: int, nf4: bool, speed: Speed) -> float:
    """Returns the average seconds of these steps."""
    again = checkpointed / shape.layers
    operations = _operations(shape, dealt, again)
    traffic = _traffic(shape, dealt, again, nf4)
    computing = operations / speed.operations + traffic / speed.bandwidth
    starting = _starting(dealt, again, nf4)
    processor = speed.start * shape.layers * (dealt.packs * starting + _STEP_STARTS)
    # the shorter of the two hides behind the longer one, but never quite (the power is fitted)
    return (computing**4 + processor**4) ** (1 / 4)


def _operations(shape: Shape, dealt: Dealt, again: float) -> float:
    """Returns the operations of a step, counted as large matrix products do them.

    again: share of the layers whose forward pass is computed for a second time.
    """
    of_token = shape.layers * shape.weights * (2 + again) + shape.adapter * (3 + again)
    products = 2 * dealt.tokens * of_token
    head = 4 * dealt.trained * shape.hidden * shape.vocabulary
    attention = 2 * dealt.squares * shape.query * shape.layers * (3.5 + again)
    return products + head + _ATTENTION * attention


def _traffic(shape: Shape, dealt: Dealt, again: float, nf4: bool) -> float:
    """Returns the bytes of a step that are read or written outside of the matrix products."""
    kept = shape.kept_by_attention(nf4=False) + shape.kept_by_mlp
    size, tokens = shape.number_bytes, dealt.tokens
    traffic = size * tokens * kept * shape.layers * _TRAFFIC * (1 + again / 3)
    traffic += 18 * dealt.trained * shape.vocabulary
    if not nf4:
        return traffic
    # weights are dequantized at each use; the base's products are added to those of the adapters,
    # which were written before
    traffic += dealt.packs * shape.layers * shape.weights * (size + _NF4_BYTES) * (2 + again)
    outputs = shape.query + 2 * shape.key + shape.hidden + 2 * shape.intermediate
    return traffic + size * tokens * shape.layers * outputs * 2 * (1 + again)


def _starting(dealt: Dealt, again: float, nf4: bool) -> float:
    """Returns how many kernels the processor would start in the time that it takes for a layer."""
    starts = _LAYER_STARTS + again * _AGAIN_STARTS
    if nf4:
        starts += 7 * _DEQUANTIZE_STARTS * (2 + again)
    if dealt.fullest.keys > dealt.fullest.tokens:
        starts += _SHARING_STARTS * (1 + again / 2)
    return starts
