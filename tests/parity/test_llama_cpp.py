"""llama.cpp through its C interface: another version is refused, and what was read counts."""

import numpy as np
import pytest

from tasks.core.errors import WorkError
from tasks.core.parity import llama_cpp
from tasks.core.parity.llama_cpp import LlamaModel, check_defaults


def test_the_librarys_defaults_lie_where_they_are_looked_for():
    library = llama_cpp._library()
    params = library.llama_context_default_params()
    check_defaults(params, {"n_ctx": 512, "flash_attn_type": -1})
    with pytest.raises(WorkError, match=r"_ContextParams.n_ctx is 512 there, not 513\. Install"):
        check_defaults(params, {"n_ctx": 513})


def test_a_file_that_is_no_gguf_is_refused(tmp_path):
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF" + b"\0" * 100)
    with pytest.raises(WorkError, match=r"cannot load .*model.gguf; it may be cut or damaged"):
        LlamaModel(file, 128, 1)


@pytest.mark.slow
def test_what_is_kept_need_not_be_read_again(proven):
    model = LlamaModel(proven.release.f16, 128, 1)
    tokens = list(range(100, 160))
    whole = model.feed(0, tokens, 10)
    model.feed(0, [*tokens[:50], 7, 8, 9], 1)
    np.testing.assert_allclose(model.feed(50, tokens[50:], 10), whole, atol=1e-4)
