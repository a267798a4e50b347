"""A YAML file of one's own stands for a profile: differences only, and mistakes with its name."""

import json

import pytest

from tasks.core.errors import RequestError
from tasks.core.preflight.prepare import prepare, releases
from tasks.core.settings.profiles import load
from tests.flows.test_cli import kospilot  # noqa: F401 - a fixture


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes a file into the folder where the person stands."""
    monkeypatch.chdir(tmp_path)

    def write(text, name="ours.yaml"):
        content = text if isinstance(text, bytes) else text.encode()
        (tmp_path / name).write_bytes(content)
        return name

    return write


def refusal(file, *overrides):
    with pytest.raises(RequestError) as caught:
        load(file, overrides)
    return str(caught.value)


def test_values_come_from_the_file_over_its_profile_and_under_overrides(write):
    file = write("extends: demo\nsynthesis: {rows: 150}\npairs: {rows: 30, seed: 7}\n")
    known = load(file, ["pairs.rows=31"])
    assert (known.settings.synthesis.rows, known.settings.pairs.rows) == (150, 31)
    assert known.settings.pairs.seed == 7
    assert known.settings.model.base == "demo"
    origins = [known.origins[name] for name in ("synthesis.rows", "pairs.rows", "model.base")]
    assert origins == ["ours.yaml", "override", "profile demo"]
    assert known.name == "ours"
    assert known.typed == ["ours.yaml", "pairs.rows=31"]


@pytest.mark.parametrize("text", ["", "# nothing differs yet\n", "stage1:\n", "stage1: {}\n"])
def test_without_extends_a_file_differs_from_kospi_7b(write, text):
    known = load(write(text))
    assert known.profile == "kospi-7b"
    assert known.settings == load("kospi-7b").settings


VALUES = """
extends: demo
data: {own: 'a: b', own_system: "two\\nlines ☎ 🙂", own_keep: [tools, "x, y"], own_share: 0.5}
training: {module_ranks: {q_proj: 64, v_proj: 8}, target_modules: [q_proj, v_proj]}
market: {train_until: 2025-06-30}
model: {base: yes}
stages: {skip: [], stage1: train}
stage2: {learning_rate: 1e-3, token_budget: 0}
release: {name: 123, tensor_types: {ffn_down: Q6_K}}
"""


def test_profile_and_overrides_alone_give_the_same_anywhere(write, tmp_path):
    known = load(write(VALUES), ["stage2.epochs=2"])
    (tmp_path / "ours.yaml").unlink()
    again = load(known.profile, known.overrides)
    assert again.profile == "demo"
    assert again.settings == known.settings


def test_a_profiles_name_and_a_files_are_told_apart(write, tmp_path):
    write("pairs: {rows: 30}\n", "demo.yaml")
    write("pairs: {rows: 31}\n", "plain")
    write("pairs: {rows: 32}\n", "loud.YML")
    assert load("demo").file == ""
    assert load("demo.yaml").settings.pairs.rows == 30
    assert load("./plain").settings.pairs.rows == 31
    assert load("loud.YML").settings.pairs.rows == 32
    assert load(str(tmp_path / "demo.yaml")).name == "demo"
    assert "A file of your own is named with its ending, .yaml." in refusal("plain")


def test_all_mistakes_are_told_at_once_with_the_files_name(write):
    file = write(
        "extends: dmo\n"
        "synthsis: {rows: 150}\n"
        "training: {lora_rnk: 3, module_ranks: {q_proj: 0}}\n"
        "stages: {skip: [stage3], skip: []}\n"
        "data: {rows: 0}\n"
        "stage1: 4\n"
        "stage2.epochs: 3\n"
    )
    told = refusal(file, "pairs.rowz=3").splitlines()
    assert told == [
        "ours.yaml: skip is there 2 times in the mapping that begins in line 4. Keep one.",
        "ours.yaml: There is no section 'synthsis'. Did you mean synthesis?",
        "ours.yaml: stage1 is a section. Write its settings below it: `stage1: {name: value}`.",
        "ours.yaml: stage2.epochs stands alone. Write `stage2: {epochs: value}`.",
        "ours.yaml: extends: There is no profile 'dmo'. Did you mean demo? Profiles: demo,"
        " kospi-7b, kospi-7b-8gb, smol, tool-calling.",
        "ours.yaml: There is no setting 'training.lora_rnk'. Did you mean training.lora_rank?",
        "There is no setting 'pairs.rowz'. Did you mean pairs.rows?",
        "ours.yaml: data.rows=0: Input should be greater than or equal to 1.",
        "ours.yaml: training.module_ranks.q_proj=0: Input should be greater than or equal to 1.",
    ]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("- a\n", "it is a list. Write `section: {name: value}`"),
        ("demo\n", "it is the text 'demo'. Write"),
        ("a: b: c\n", "it is not YAML (line 1): mapping values are not allowed here."),
        ("stage1: {epochs: 2\n", "it is not YAML (line 2): expected ',' or '}'"),
        ("a: *b\n", "it is not YAML (line 1): found undefined alias"),
        ("? [a]\n: b\n", "it is not YAML (line 1): found unhashable key."),
        ("--- {}\n--- {}\n", "it is not YAML (line 2): but found another document."),
        (b"\x00\x01\xff\xfe", "it is not YAML: invalid start byte."),
        (b"GGUF\x00\x00", "it is not YAML: special characters are not allowed."),
        ("[" * 3000, "it is not YAML"),
        ("extends: [demo]\n", "extends names one profile: `extends: kospi-7b`."),
        ("extends: other.yaml\n", "extends: There is no profile 'other.yaml'."),
        ("extends: demo\nextends: smol\n", "extends is there 2 times in the mapping that begins"),
    ],
)
def test_what_is_no_settings_file_is_refused_by_name(write, content, told):
    assert refusal(write(content)).startswith(f"ours.yaml: {told}")


def test_a_file_that_is_not_there_and_a_folder(write, tmp_path):
    assert refusal("ours.yaml") == f"ours.yaml: there is no such file in {tmp_path}."
    (tmp_path / "team.yaml").mkdir()
    assert refusal("team.yaml", "data.rows=0").splitlines() == [
        "team.yaml: it is a folder. Name a YAML file.",
        "data.rows=0: Input should be greater than or equal to 1.",
    ]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_file_as_windows_writes_it(write, encoding):
    assert load(write("pairs: {rows: 30}\r\n".encode(encoding))).settings.pairs.rows == 30


def test_a_webhook_in_the_file_is_in_no_override(write):
    known = load(write("notify: {url: 'https://hooks.example/T1'}\n"))
    assert known.settings.notify.address() == "https://hooks.example/T1"
    assert known.overrides == ()
    assert "T1" not in refusal(write("notify: {url: hooks.example/T1}\n"))


def test_runs_are_called_after_the_file_and_keys_are_not(write, tmp_path, monkeypatch):
    monkeypatch.setenv("KOSPILOT_HOME", str(tmp_path / "home"))
    text = "extends: demo\nrelease: {stages: [stage2], num_ctx: 4096}\n"
    (tmp_path / "deep").mkdir()
    files = [write(text), write(text, "deep/theirs.yml")]
    runs = [releases(prepare(file)) for file in files]
    assert [part.history for part in runs[0]] == ["ours stage2", "ours"]
    assert [part.history for part in runs[1]] == ["theirs stage2", "theirs"]
    plain = prepare("demo", ["release.stages=[stage2]", "release.num_ctx=4096"])
    keys = {tuple(line.key for line in run.plan(run.steps)) for run in (plain, *map(last, runs))}
    assert len(keys) == 1


def last(parts):
    return parts[-1]


def test_the_command_shows_values_of_the_file(write, kospilot):  # noqa: F811
    write("extends: demo\nsynthesis: {rows: 150}\n")
    document = json.loads(kospilot("settings", "ours.yaml", "--json").out)
    assert document["synthesis.rows"]["value"] == 150
    assert document["synthesis.rows"]["origin"] == "ours.yaml"
    done = kospilot("plan", "theirs.yaml")
    assert (done.code, "theirs.yaml: there is no such file in" in done.err) == (2, True)
