"""A reported name on a real Ollama: the same model in other capitals."""

import pytest

from tests.serving.conftest import silent
from tests.serving.test_ollama import running


@pytest.mark.slow
def test_d27_a_name_in_another_case(ollama, tiny_f16, modelfile, tmp_path):
    with running(ollama.binary, tmp_path) as (server, _):
        server.create("Qwen2.5-KOSPI-s3:0001", tiny_f16, modelfile, silent)
        server.create("qwen2.5-kospi-s3:0002", tiny_f16, modelfile, silent)
        assert server.digest("qwen2.5-kospi-s3:0002")
        assert server.digest("qwen2.5-kospi-s3:0001") == server.digest("Qwen2.5-KOSPI-s3:0001")
        server.copy("qwen2.5-kospi-s3:0002", "qwen2.5-kospi-s3:latest")
        assert server.digest("Qwen2.5-kospi-S3") == server.digest("qwen2.5-kospi-s3:0002")
