"""CPF and CNPJ: read what people write or key, check it, mask it.

Kept without signs: `123.456.789-09` → "12345678909", `12.ABC.345/01DE-35` → "12ABC34501DE35" (letters since July 2026:
Receita Federal, IN RFB 2.229/2024). With keys only digits can be given: who has letters gives the contract's number.
"""

import re
from enum import StrEnum

from stdnum.br import cnpj, cpf

from ura.errors import BadInput

CPF_LENGTH, CNPJ_LENGTH = 11, 14
_SEPARATORS = re.compile(r"[\s./\-‐‑‒–—]")  # and the dashes that spreadsheets make of a hyphen


class Fault(StrEnum):
    """Why something is no document. For us: a caller hears the same sentence for all of them, and for "unknown"."""

    EMPTY = "empty"
    LENGTH = "length"
    CHARACTERS = "characters"
    REPEATED = "repeated"  # 111.111.111-11 has right check digits and belongs to nobody
    CHECK_DIGITS = "check_digits"


class BadDocument(BadInput):
    code = "bad-document"

    def __init__(self, fault: Fault) -> None:
        super().__init__(f"not a CPF or CNPJ: {fault}")
        self.fault = fault


def parse(text: str) -> str:
    """A document as people write it → as we keep it. Raises BadDocument, which never repeats what was written."""
    document = _SEPARATORS.sub("", text).upper()
    fault = _fault(document)
    if fault:
        raise BadDocument(fault)
    return document


def keyed(digits: str) -> str | Fault:
    """What a caller keyed: 11 digits are a CPF, 14 a CNPJ; anything else says why not."""
    if not digits:
        return Fault.EMPTY
    if not (digits.isascii() and digits.isdigit()):
        return Fault.CHARACTERS
    return _fault(digits) or digits


def is_company(document: str) -> bool:
    return len(document) == CNPJ_LENGTH


def mask(document: str) -> str:
    """For logs, cards and speech: ***.456.789-** or **.***.333/0001-**."""
    if len(document) == CPF_LENGTH:
        return f"***.{document[3:6]}.{document[6:9]}-**"
    if len(document) == CNPJ_LENGTH:
        return f"**.***.{document[5:8]}/{document[8:12]}-**"
    return "*" * len(document)


def _fault(document: str) -> Fault | None:
    if not document:
        return Fault.EMPTY
    if not (document.isascii() and document.isalnum()):
        return Fault.CHARACTERS
    match len(document):
        case 11:
            if not document.isdigit():
                return Fault.CHARACTERS
            right = cpf.is_valid(document)
        case 14:
            if not document[-2:].isdigit():
                return Fault.CHARACTERS
            right = cnpj.is_valid(document)
        case _:
            return Fault.LENGTH
    if len(set(document)) == 1:
        return Fault.REPEATED
    return None if right else Fault.CHECK_DIGITS
