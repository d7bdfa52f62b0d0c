from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Column, Integer, MetaData, Table, insert, select, text
from sqlalchemy.exc import StatementError
from sqlalchemy.ext.asyncio import AsyncEngine

from ura.crypto import CannotOpen, Keyring, Sealed, SealedText
from ura.settings import Settings

CPF = "12345678909"


@given(st.text(max_size=40))
def test_what_is_sealed_opens_again_and_shows_nothing(words: str) -> None:
    keyring = Keyring(["a secret of the tests"])
    sealed = keyring.seal(words)
    assert keyring.open(sealed) == words
    assert len(words) < 3 or words not in sealed.token
    assert sealed != keyring.seal(words)  # nobody sees that two rows hold the same


def test_the_hash_is_the_same_for_the_same_document_and_needs_the_secret() -> None:
    ours, theirs = Keyring(["ours"]), Keyring(["theirs"])
    assert ours.index(CPF) == Keyring(["ours"]).index(CPF)
    assert ours.index(CPF) != theirs.index(CPF)
    assert ours.index(CPF) != ours.index("11144477735")
    assert len(ours.index(CPF)) == 32


def test_another_secret_opens_nothing() -> None:
    with pytest.raises(CannotOpen):
        Keyring(["theirs"]).open(Keyring(["ours"]).seal(CPF))


@pytest.mark.parametrize("spoil", [lambda t: t[:-6] + "AAAAA=", lambda t: t[:-9], lambda t: "2" + t[1:], lambda t: ""])
def test_a_damaged_text_is_refused_not_misread(spoil: Callable[[str], str]) -> None:
    keyring = Keyring(["ours"])
    with pytest.raises(CannotOpen):
        keyring.open(Sealed(spoil(keyring.seal(CPF).token)))


def test_a_changed_secret_still_reads_and_finds_what_the_old_one_sealed() -> None:
    old = Keyring(["old"])
    sealed, index = old.seal(CPF), old.index(CPF)
    both = Keyring(["new", "old"])
    assert both.open(sealed) == CPF
    assert index in both.indexes(CPF)
    assert not both.is_current(sealed)
    again = both.seal(both.open(sealed))
    assert both.is_current(again)
    assert Keyring(["new"]).open(again) == CPF


def test_the_keyring_of_an_installation_comes_from_its_secret(tmp_path: Path) -> None:
    first, second = Settings(state_dir=tmp_path / "a"), Settings(state_dir=tmp_path / "b")
    sealed = Keyring.of(first).seal(CPF)
    assert Keyring.of(first).open(sealed) == CPF
    with pytest.raises(CannotOpen):
        Keyring.of(second).open(sealed)
    moved = Settings(state_dir=tmp_path / "b", secret_keys_before=first.secret("secret_key"))
    assert Keyring.of(moved).open(sealed) == CPF
    with pytest.raises(ValueError, match="secret"):
        Keyring([])


async def test_a_column_takes_only_what_was_sealed(engine: AsyncEngine) -> None:
    table = Table("drawer", MetaData(), Column("id", Integer, primary_key=True), Column("document", SealedText))
    keyring = Keyring(["ours"])
    async with engine.begin() as connection:
        await connection.run_sync(table.create)
        await connection.execute(insert(table).values(id=1, document=keyring.seal(CPF)))
        with pytest.raises(StatementError, match="sealed"):
            await connection.execute(insert(table).values(id=2, document=CPF))
        stored = await connection.scalar(text("SELECT document FROM drawer WHERE id = 1"))
        assert CPF not in stored
        read = await connection.scalar(select(table.c.document).where(table.c.id == 1))
        assert keyring.open(read) == CPF
