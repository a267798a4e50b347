"""An exported folder says what it was made of, and which licence holds."""

import pytest

from tasks.core.errors import RequestError
from tasks.core.release.export import Provenance, check_free, write_export

METRICS = {"quantization": "Q4_K_M", "bytes": 105_453_920, "bits_per_weight": 6.17}


@pytest.fixture
def card(tmp_path):
    """Writes an export beside a base with these files, and returns its card."""
    base, adapter, out = tmp_path / "base", tmp_path / "lora", tmp_path / "out"
    for folder in (base, adapter, out):
        folder.mkdir()
    (adapter / "adapter_model.safetensors").write_text("B A")
    (out / "model.gguf").write_text("GGUF")

    def write(**files):
        for name, text in files.items():
            (base / name.replace("_", ".")).write_text(text)
        provenance = Provenance("mine", "owner/model", adapter, "its own weights")
        write_export(out, "FROM ./model.gguf\n", base, provenance, METRICS)
        return (out / "README.md").read_text()

    return write


def test_the_card_names_what_it_was_made_of(card):
    text = card()
    assert "| base | owner/model |" in text
    assert "| adapter | lora, sha256 `" in text
    assert "| quantization | Q4_K_M, 6.17 bits a weight, 105 MB |" in text
    assert "ollama create mine -f Modelfile" in text


def test_the_licence_is_copied_or_named_or_its_lack_is_said(card, tmp_path):
    assert "Its files do not name it: see where owner/model comes from." in card()
    front = "---\nlicense: apache-2.0\n---\n# Model\nlicense: other\n"
    assert "Its card names it: apache-2.0." in card(README_md=front)
    assert "holds for this model too: LICENSE." in card(LICENSE="Apache")
    assert (tmp_path / "out" / "LICENSE").read_text() == "Apache"


def test_a_folder_that_is_in_use_is_left_alone(tmp_path):
    check_free(tmp_path)
    check_free(tmp_path / "new")
    (tmp_path / "file").touch()
    for taken in (tmp_path, tmp_path / "file"):
        with pytest.raises(RequestError, match="is there already and is left as it is"):
            check_free(taken)
