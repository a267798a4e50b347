"""A user's own Prefect settings against ours: each set to nonsense, one at a time and all at once.

    python tests/bench/foreign_settings.py HOME [NAME …]

HOME is a KOSPILOT_HOME in which the demo has run. For each variable of Prefect's, or those named,
`kospilot run demo --only normalize --force normalize` runs with it; then with all of them, in the
environment, in .env, in prefect.toml and in pyproject.toml. Prints what did not end well, and every
file that appeared outside HOME. 20 s a run on two cores, and Prefect 3.9 has 190 variables.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUN = [sys.executable, "-m", "flows", "run", "demo", "--only", "normalize", "--force", "normalize"]
NONSENSE = "non sense://{[%"


def variables() -> list[str]:
    """The names that `prefect config view --show-defaults` prints."""
    command = [
        sys.executable,
        "-m",
        "prefect",
        "config",
        "view",
        "--show-defaults",
        "--hide-sources",
    ]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    names = [line.partition("=")[0].strip() for line in shown.splitlines() if "=" in line]
    return [name for name in names if name.startswith("PREFECT_")]


def run(home: Path, given: dict[str, str], files: dict[str, str]) -> str:
    """Runs the step where these files lie, and returns what is wrong; empty if nothing is."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "folder"
        users = Path(scratch) / "users-home"
        folder.mkdir()
        users.mkdir()
        for name, text in files.items():
            (folder / name).write_text(text)
        env = {**os.environ, "KOSPILOT_HOME": str(home), "HOME": str(users), **given}
        done = subprocess.run(RUN, env=env, cwd=folder, capture_output=True, text=True, check=False)
        left = {str(path.relative_to(scratch)) for path in Path(scratch).rglob("*")}
        left -= {"folder", "users-home", *(f"folder/{name}" for name in files)}
    wrong = [] if done.returncode == 0 else [f"exit {done.returncode}: {done.stderr[-500:]}"]
    if "Traceback" in done.stderr:
        wrong.append("a traceback")
    if left:
        wrong.append(f"left {', '.join(sorted(left))}")
    return "; ".join(wrong)


def main(home: Path, named: list[str]) -> None:
    """Prints a line for each run."""
    names = named or variables()
    every = dict.fromkeys(names, NONSENSE)
    env_file = "".join(f"{name}='{NONSENSE}'\n" for name in names)
    flat = "".join(f"{name.removeprefix('PREFECT_').lower()} = 3\n" for name in names)
    nested = f'home = "/nowhere"\n{flat}[server.database]\nconnection_url = "sqlite:////nowhere"\n'
    cases: dict[str, tuple[dict[str, str], dict[str, str]]] = {
        "all at once": (every, {}),
        ".env": ({}, {".env": env_file}),
        "prefect.toml": ({}, {"prefect.toml": nested.replace("home = 3\n", "")}),
        "pyproject.toml": ({}, {"pyproject.toml": '[tool.prefect]\nhome = "/nowhere"\n'}),
        "no TOML": ({}, {"prefect.toml": "[", "pyproject.toml": "[", ".env": "\x00"}),
    }
    for name in names:
        cases[name] = ({name: NONSENSE}, {})
    bad = 0
    for title, (given, files) in cases.items():
        start = time.monotonic()
        wrong = run(home, given, files)
        bad += bool(wrong)
        print(f"{title:60} {time.monotonic() - start:5.1f} s  {wrong or 'ok'}", flush=True)
    print(f"{len(cases)} runs, {bad} of them bad")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), sys.argv[2:])
