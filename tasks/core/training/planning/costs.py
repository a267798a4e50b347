"""What training on the engine takes: memory counted tensor by tensor, and seconds.

Arithmetic on a model's shape, on what micro-batches hold, and on a card's speed. Time is the matrix
products' operations at the card's speed, the other parts' traffic at its bandwidth, and what the
processor takes to start all that. The constants named "measured" are an H200's with a 7B shape,
where none other is named.
"""

from dataclasses import dataclass

from transformers import PreTrainedConfig

from tasks.core.settings.tree import Training
from tasks.core.training.engine.decoder import LINEAR
from tasks.core.training.engine.loss import chunk_rows
from tasks.core.training.hardware.machine import Machine, Speed
from tasks.core.training.rows.sequences import Packed

_NF4_BYTES = (
    0.5 + 1 / 64 + 4 / (64 * 256)
)  # of a weight: 4 bits, and its block's scale, which is quantized again
_TRAFFIC = (
    14  # times that a layer's kept numbers are read or written, forward and backward (fitted)
)
# time of an operation of attention over rows of 700 tokens, in those of a large product (measured)
_ATTENTION = 5
# what the processor does, in kernels that it would start meanwhile (fitted to steps of SmolLM2's
# shape and the 7B's)
_LAYER_STARTS = 560  # of a layer, forward and backward
_AGAIN_STARTS = 370  # of its forward pass for a second time
_SHARING_STARTS = (
    110  # of its keys' and values' gathering, where beginnings are shared, forward and backward
)
_STEP_STARTS = 360  # of a layer's part in clipping, the optimizer's step, refreshing the adapter
_DEQUANTIZE_STARTS = 17  # of a weight's dequantizing


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
    ranks: tuple[int, ...]  # of the adapters of q, k, v, o, gate, up and down; 0 is none
    state_bytes: int  # of the optimizer, per trained parameter
    number_bytes: int  # of an activation, and of a weight that is not NF4

    @property
    def weights(self) -> int:
        """Base weights of a layer's linear parts."""
        return self.hidden * (2 * self.query + 2 * self.key + 3 * self.intermediate)

    @property
    def adapter(self) -> int:
        """Trained parameters."""
        inputs = (self.hidden,) * 3 + (self.query,) + (self.hidden,) * 2 + (self.intermediate,)
        outputs = (
            self.query,
            self.key,
            self.key,
            self.hidden,
            self.intermediate,
            self.intermediate,
            self.hidden,
        )
        ends = (sum(pair) for pair in zip(inputs, outputs, strict=True))
        return self.layers * sum(rank * both for rank, both in zip(self.ranks, ends, strict=True))

    def kept_by_attention(self, nf4: bool) -> int:
        """Numbers that a layer's attention, with the norm before it, keeps of each token for its
        backward pass.
        """
        results = 1 if nf4 else 2  # else one more, beside the columns of o's adapter
        return (
            2 * self.hidden
            + (1 + results) * self.query
            + 2 * self.key
            + 2 * self.heads
            + sum(self.ranks[:4])
        )

    @property
    def kept_by_mlp(self) -> int:
        """The same of its MLP and the norm before that."""
        return 2 * self.hidden + 2 * self.intermediate + sum(self.ranks[4:])


@dataclass(frozen=True)
class Dealt:
    """Steps dealt out to micro-batches: means of a step, and the most of each that a micro-batch
    holds.
    """

    packs: float
    tokens: float
    squares: float
    trained: float
    fullest: Packed


def shape_of(config: PreTrainedConfig, training: Training, machine: Machine) -> Shape:
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
    """The most memory that a step takes. fullest: the most of each that a micro-batch holds;
    without it all tokens are trained and no two shared.
    """
    fullest = fullest or Packed(tokens, tokens, tokens, 0)
    size = shape.number_bytes
    linear = shape.layers * shape.weights * (_NF4_BYTES if nf4 else size)
    embeddings = shape.vocabulary * shape.hidden * size * (1 if shape.tied else 2)
    # float32 matrix and gradient, a copy to compute with, and the copy beside the base's weights
    adapter = shape.adapter * (4 + 4 + 2 * size + shape.state_bytes)
    return (
        linear + embeddings + adapter + _activations(shape, tokens, checkpointed, nf4, fullest)
    ) / 2**30


def _activations(shape: Shape, tokens: int, checkpointed: int, nf4: bool, fullest: Packed) -> int:
    """Bytes of a micro-batch where they are most: at the loss, in the backward pass of the last
    layer, whose MLP computes those tokens alone that predict a target, or in that of the layer
    before it.
    """
    keys, predicting = max(tokens, fullest.keys), fullest.targets
    attention = tokens * shape.kept_by_attention(nf4) + 2 * (keys - tokens) * shape.key
    layer, last = (attention + count * shape.kept_by_mlp for count in (tokens, predicting))
    held, again = checkpointed * tokens * shape.hidden, last
    if checkpointed < shape.layers:
        held, again = held + (shape.layers - 1 - checkpointed) * layer + last, 0

    def backward(count: int) -> int:
        in_mlp = count * (3 * shape.intermediate + shape.hidden)
        if nf4:  # gate and up, dequantized
            dequantizing = 2 * (
                count * (shape.intermediate + shape.hidden) + shape.hidden * shape.intermediate
            )
            in_mlp = max(in_mlp, dequantizing)
        expanded = (
            keys * shape.query if shape.query > shape.key else 0
        )  # keys' and values' gradients, for each query
        in_attention = (
            4 * tokens * shape.query
            + 2 * expanded
            + 2 * keys * shape.key
            - count * shape.kept_by_mlp
        )
        return max(in_mlp, in_attention)

    in_last = held + again + 2 * predicting * shape.hidden + backward(predicting)
    before = (
        held + again - last + (layer if checkpointed >= shape.layers - 1 else 0) + backward(tokens)
    )
    # in float32, and their gradient
    logits = (
        (4 + shape.number_bytes) * shape.vocabulary * min(predicting, chunk_rows(shape.vocabulary))
    )
    at_loss = shape.number_bytes * (held + 4 * predicting * shape.hidden) + logits
    return max(at_loss, shape.number_bytes * max(in_last, before))


def step_seconds(shape: Shape, dealt: Dealt, checkpointed: int, nf4: bool, speed: Speed) -> float:
    """Mean seconds of these steps."""
    packs, tokens, trained = dealt.packs, dealt.tokens, dealt.trained
    again = checkpointed / shape.layers
    products = (
        2 * tokens * (shape.layers * shape.weights * (2 + again) + shape.adapter * (3 + again))
    )
    head = 4 * trained * shape.hidden * shape.vocabulary
    attention = 2 * dealt.squares * shape.query * shape.layers * (3.5 + again)
    kept = shape.kept_by_attention(nf4=False) + shape.kept_by_mlp
    traffic = shape.number_bytes * tokens * kept * shape.layers * _TRAFFIC * (1 + again / 3)
    traffic += 18 * trained * shape.vocabulary
    # weights are dequantized at each use; the base's products are added to the adapters', written
    # before
    if nf4:
        traffic += (
            packs * shape.layers * shape.weights * (shape.number_bytes + _NF4_BYTES) * (2 + again)
        )
        outputs = shape.query + 2 * shape.key + shape.hidden + 2 * shape.intermediate
        traffic += shape.number_bytes * tokens * shape.layers * outputs * 2 * (1 + again)
    computing = (
        products + head + _ATTENTION * attention
    ) / speed.operations + traffic / speed.bandwidth
    starting = _LAYER_STARTS + again * _AGAIN_STARTS + nf4 * 7 * _DEQUANTIZE_STARTS * (2 + again)
    if dealt.fullest.keys > dealt.fullest.tokens:
        starting += _SHARING_STARTS * (1 + again / 2)
    processor = speed.start * shape.layers * (packs * starting + _STEP_STARTS)
    # the one hides behind the other as long as that takes much longer, and never quite (the power
    # is fitted)
    return (computing**4 + processor**4) ** (1 / 4)
