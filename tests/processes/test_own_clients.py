"""Which Host and Origin a server of ours takes for its own."""

import pytest

from tasks.core.processes.own_clients import refusal_of_headers


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("127.0.0.1:4200", None),
        ("localhost:4200", None),
        ("[::1]:4200", None),
        ("127.0.0.1", "http://127.0.0.1"),
        ("127.0.0.1:4200", "http://localhost:4200"),
    ],
)
def test_programs_of_this_machine_are_answered(host, origin):
    assert refusal_of_headers(host, origin) == ""


@pytest.mark.parametrize(
    "host", ["", "evil.example", "localhost.evil.example:4200", "[", "a:b", "10.0.0.1"]
)
def test_another_name_for_this_machine_is_refused(host):
    assert refusal_of_headers(host, None).endswith("which is not this server")


@pytest.mark.parametrize(
    "origin",
    ["null", "", "http://evil.example", "https://127.0.0.1:4200", "http://127.0.0.1:80", "file://"],
)
def test_foreign_pages_are_refused(origin):
    assert refusal_of_headers("127.0.0.1:4200", origin) == f"web pages of {origin} are not answered"
