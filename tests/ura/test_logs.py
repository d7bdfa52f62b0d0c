"""What a log may never say, and what it must still say."""

import io
import json
import logging

import pytest
import structlog

from ura import logs


@pytest.mark.parametrize(
    ("written", "logged"),
    [
        ("caller 5511933330002 hung up", "caller ******0002 hung up"),
        ("caller +55 (11) 93333-0002", "caller ******0002"),
        ("'+5511911112222' is a mobile of São Paulo", "'******2222' is a mobile of São Paulo"),
        ("rings 1133330001, then 11933330002.", "rings ******0001, then ******0002."),
        ("cpf 123.456.789-09 typed", "cpf ***.456.789-** typed"),
        ("cpf 12345678909 typed", "cpf ***.456.789-** typed"),
        ("cnpj 11.222.333/0001-81", "cnpj **.***.333/0001-**"),
        ("cnpj 11222333000181", "cnpj **.***.333/0001-**"),
        (
            "violates x\nDETAIL:  Failing row contains (1, Ana\nLima).\n[SQL: INSERT]",
            "violates x\nDETAIL:  (left out)\n[SQL: INSERT]",
        ),
        ("violates x\nDETAIL:  Key (name)=(Ana Lima) exists.", "violates x\nDETAIL:  (left out)"),
    ],
)
def test_numbers_that_tell_who_it_is_are_masked(written: str, logged: str) -> None:
    assert logs.redact(written) == logged


@pytest.mark.parametrize(
    "text",
    [
        "uniqueid 1732258800.123 closed",
        "call 0123456789abcdef0123456789abcdef",
        "at 2026-11-22T05:54:11.123456Z on port 4573",
        "GET /api/v1/calls/11933330002abc 200",
        "waited 12345 ms, 250 calls, 99.90",
    ],
)
def test_ids_times_and_figures_stay_readable(text: str) -> None:
    assert logs.redact(text) == text


def test_every_way_into_the_log_is_redacted_and_ids_stay_whole() -> None:
    out = io.StringIO()
    logs.configure(environment="production", stream=out)
    try:
        structlog.get_logger("t").info(
            "call opened", caller="5511933330002", protocol="263260000018", keys={"to": ["11933330002"]}
        )
        logging.getLogger("uvicorn.error").warning("refused %s", "5511933330002")
        try:
            raise ValueError("no plan for 5511933330002")
        except ValueError:
            structlog.get_logger("t").exception("failed")
    finally:
        logging.getLogger().handlers = []
        structlog.reset_defaults()
    opened, refused, failed = (json.loads(line) for line in out.getvalue().splitlines())
    assert opened["caller"] == "******0002"
    assert opened["protocol"] == "263260000018"
    assert opened["keys"] == {"to": ["******0002"]}
    assert refused["event"] == "refused ******0002"
    assert "ValueError: no plan for ******0002" in failed["exception"]
